"""Loading: what comes out, and the errors for what can't be loaded."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from headstart.api.loading import read_by
from headstart.backbones.backbone import fingerprint
from headstart.backbones.ladder.drawing import draw
from headstart.backbones.loaders.load import load
from headstart.core.errors import ConfigurationError, ModelError
from headstart.data.embedded import digits

from . import tiny

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_same_weights_twice_and_seeds_differ(tmp_path: Path) -> None:
    folder = tiny.save("bert", tmp_path)
    assert load(folder).fingerprint == load(folder).fingerprint != tiny.tiny("bert", seed=1).fingerprint


@pytest.mark.parametrize(
    "name", ["bert", "gpt2", "t5", "vit", "swin", "timm_resnet", "timm_vit", "torchvision_vit", "lstm"]
)
def test_reinitialise(name: str) -> None:
    backbone = tiny.tiny(name)
    before = fingerprint(backbone.module)
    state = torch.random.get_rng_state()
    backbone.reinitialise(backbone.module, 1)
    one = fingerprint(backbone.module)
    assert torch.equal(torch.random.get_rng_state(), state)
    backbone.reinitialise(backbone.module, 2)
    two = fingerprint(backbone.module)
    backbone.reinitialise(backbone.module, 1)
    assert fingerprint(backbone.module) == one
    assert len({before, one, two}) == 3
    assert torch.isfinite(backbone.features(tiny.batch_of(backbone))).all()


@pytest.mark.parametrize("name", ["bert", "distilbert", "deberta_v2", "modernbert", "gpt2", "llama", "gemma2", "t5"])
@pytest.mark.parametrize("pooling", ["mean", "last", "cls"])
def test_features_ignore_padding(name: str, pooling: str) -> None:
    backbone = tiny.tiny(name, pooling=pooling)
    batch = tiny.batch_of(backbone)
    together = backbone.features(batch)
    for row, count in enumerate(batch["attention_mask"].sum(1).tolist()):
        alone = backbone.features({k: v[row : row + 1, :count] for k, v in batch.items()})
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-4, atol=1e-5)


def test_defaults() -> None:
    bert, gpt2 = tiny.tiny("bert"), tiny.tiny("gpt2")
    assert (bert.kind, bert.pooling, bert.head_bias) == ("encoder", "mean", True)
    assert (gpt2.kind, gpt2.pooling, gpt2.head_bias) == ("decoder", "last", False)
    assert tiny.tiny("vit").kind == "vit"
    assert tiny.tiny("resnet").kind == "cnn"
    assert tiny.tiny("timm_grey").preparation.channels == 1


def test_tutorials_resnet_loses_its_classifier() -> None:
    backbone = tiny.tiny("torchvision_resnet")
    assert backbone.dimension == 512
    assert isinstance(backbone.module.fc, torch.nn.Identity)


def test_only_pickles_are_refused(tmp_path: Path) -> None:
    folder = tiny.save("bert", tmp_path)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"pytorch_model.bin.*safetensors"):
        load(folder)


@pytest.mark.parametrize("name", ["bert", "timm_resnet"])
def test_broken_folders(name: str, tmp_path: Path) -> None:
    folder = tiny.save(name, tmp_path)
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    lost = "encoder.layer.1.output.dense.weight" if name == "bert" else "layer4.0.bn2.running_var"
    save_file({k: v for k, v in tensors.items() if k != lost}, weights, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=lost.replace(".", r"\.")):
        load(folder)
    head = "classifier.weight" if name == "bert" else "fc.weight"
    save_file({**tensors, head: torch.zeros(2, 2)}, weights, {"format": "pt"})
    load(folder)  # weights of a head are left out
    weights.write_bytes(b"\x00" * 40)
    with pytest.raises(ModelError, match="can't"):
        load(folder)
    weights.unlink()
    with pytest.raises(ModelError, match="no weights"):
        load(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json"):
        load(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"no config\.json"):
        load(folder)


def test_missing_tokenizer(tmp_path: Path) -> None:
    folder = tiny.save("bert", tmp_path)
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ModelError, match="tokenizer"):
        load(folder)


def test_names_that_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ModelError, match=r"hf download some-body/no-model-of-this-name --local-dir"):
        load("some-body/no-model-of-this-name")
    with pytest.raises(ModelError, match="'resnet18'"):
        load("timm/resnet1 8")
    with pytest.raises(ModelError, match="'resnet50'"):
        load("torchvision/resnet5O")
    with pytest.raises(ModelError, match="no built-in backbone"):
        load("builtin/no-such-thing")
    with pytest.raises(ModelError, match="no folder"):
        load("./nowhere")
    with pytest.raises(ConfigurationError, match="live"):
        load("builtin/x", mean=(0.5,))


def test_sentence_settings_are_respected(tmp_path: Path) -> None:
    folder = tiny.save("bert", tmp_path)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 17}))
    backbone = load(folder)
    assert backbone.pooling == "cls"
    assert backbone.preparation.max_length == 17
    assert load(folder, pooling="mean").pooling == "mean"


def test_without_weights() -> None:
    backbone = load("torchvision/mobilenet_v3_small", weights=False, image_size=32)
    assert backbone.loader == "torchvision"
    assert backbone.features(tiny.batch_of(backbone)).shape == (4, backbone.dimension) == (4, 1024)


@pytest.mark.parametrize("side", [48, 16])
def test_another_image_size_interpolates_positions(tmp_path: Path, side: int) -> None:
    """The learned positions as a picture, resized: as timm does it, and by PyTorch's own resizing."""
    from timm.layers import resample_abs_pos_embed

    folder = tiny.save("timm_vit", tmp_path)
    weights = load_file(folder / "model.safetensors")
    weights["pos_embed"] = torch.randn(1, 1 + 16, 32, generator=torch.Generator().manual_seed(0))
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    patches = side // 8
    found = load(folder, image_size=side).module.pos_embed.detach()
    assert torch.equal(found, resample_abs_pos_embed(weights["pos_embed"], [patches, patches], num_prefix_tokens=1))
    grid = weights["pos_embed"][:, 1:].reshape(1, 4, 4, 32).permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(grid, (patches, patches), mode="bicubic", antialias=True)
    assert torch.allclose(found[:, 1:], resized.flatten(2).mT, atol=1e-6)
    assert torch.equal(found[:, 0], weights["pos_embed"][:, 0]), "the class token's place stays"


@pytest.mark.parametrize(("side", "words"), [(50, "48 or 56"), (4, "give a multiple, 8")])
def test_images_that_are_no_whole_number_of_patches(tmp_path: Path, side: int, words: str) -> None:
    folder = tiny.save("timm_vit", tmp_path)
    with pytest.raises(ModelError, match=f"image_size is {side}.* 8 x 8 pixels.*{words}"):
        load(folder, image_size=side)
    with pytest.raises(ModelError, match=r"image_size is 50.* 16 x 16 pixels.*48 or 64"):
        load("timm/vit_tiny_patch16_224", weights=False, image_size=50)
    assert load(tiny.save("timm_resnet", tmp_path / "cnn"), image_size=50).preparation.size == (50, 50)


def test_another_image_size_resizes_positions(tmp_path: Path) -> None:
    folder = tiny.save("timm_vit", tmp_path)
    backbone = load(folder, image_size=48)
    assert backbone.preparation.size == (48, 48)
    assert backbone.module.pos_embed.shape == (1, 1 + 36, 32)
    assert torch.equal(backbone.module.blocks[0].mlp.fc1.weight, load(folder).module.blocks[0].mlp.fc1.weight)
    weights = load_file(folder / "model.safetensors")
    del weights["blocks.1.mlp.fc1.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"blocks\.1\.mlp\.fc1\.weight"):
        load(folder, image_size=48)


def test_drawing() -> None:
    from types import SimpleNamespace

    backbone = tiny.tiny("bert")
    group = SimpleNamespace(
        rung=3, scale=0.5, parameters=tuple(f"backbone.{n}" for n in backbone.ladder.rungs[3].parameters)
    )
    text = str(backbone) + "\n" + draw(backbone, SimpleNamespace(groups=(group,)))
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "trains x0.5" in text
    far = str(dataclasses.replace(backbone, source="/a/long/path" * 20)).splitlines()[0]
    assert len(far) == 100
    assert far.endswith(f"(encoder, {backbone.parameters:,} parameters, 32 features)"), (
        "the path is cut, not the numbers"
    )
    assert text.index("cut:") > text.index("trains x0.5")


def test_a_users_own_module_keeps_its_classifier() -> None:
    from torchvision.models import resnet18

    module = resnet18(num_classes=7)
    backbone = load(module, image_size=32)
    assert module.fc.out_features == 7
    assert backbone.dimension == 512
    with torch.no_grad():
        backbone.module.conv1.weight.zero_()
    assert float(module.conv1.weight.detach().abs().sum()) > 0


def test_how_a_model_of_the_hub_is_pooled_and_how_far_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the cache as a download leaves it: what sentence-transformers wrote holds for the name as for a folder."""
    from huggingface_hub import constants

    from headstart.backbones.loaders.transformers_text import copy_reading

    cached = tmp_path / "models--some-body--its-model"
    folder = cached / "snapshots" / COMMIT
    tiny.save("bert", folder)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(COMMIT)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 7}))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    backbone = load("some-body/its-model")
    assert backbone.pooling == load(folder).pooling == "cls"
    assert backbone.preparation.max_length == load(folder).preparation.max_length == 7  # type: ignore[attr-defined]
    (tmp_path / "further").mkdir()
    copy_reading("some-body/its-model", tmp_path / "further")
    assert (tmp_path / "further" / "1_Pooling" / "config.json").is_file()
    (folder / "1_Pooling" / "config.json").unlink()
    (folder / "sentence_bert_config.json").unlink()
    assert load("some-body/its-model").pooling == "mean"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"image_mean": [0.5', "can't read .*preprocessor_config.json.*mean, deviation and size"),
        ("[1, 2]", "preprocessor_config.json holds no JSON object"),
        ('{"image_mean": ["half", 0.5, 0.5], "size": 32}', "settings of its image processor can't be used"),
        ('{"image_mean": 0.5, "size": 32}', "settings of its image processor can't be used"),
        ('{"image_mean": [0.5, 0.5], "size": 32}', "mean and std need 1 or 3 numbers"),
        ('{"size": {"width": "wide", "height": 32}}', "settings of its image processor can't be used"),
    ],
)
def test_a_broken_image_processor_is_no_default(tmp_path: Path, content: str, message: str) -> None:
    folder = tiny.save("vit", tmp_path)
    (folder / "preprocessor_config.json").write_text(content)
    with pytest.raises(ModelError, match=message):
        load(folder)


def test_what_a_missing_image_processor_leaves_open_is_said_and_recorded(tmp_path: Path) -> None:
    folder = tiny.save("vit", tmp_path)
    assert not load(folder).preparation.assumed  # type: ignore[union-attr]
    for settings in ({"size": 32}, None):
        file = folder / "preprocessor_config.json"
        file.unlink() if settings is None else file.write_text(json.dumps(settings))
        backbone = load(folder)
        (told,) = [one for one in read_by(backbone, digits()).record.findings if one.kind == "preparation"]
        assert told.severity == "warning"
        assert "mean 0.5, 0.5, 0.5, deviation 0.5, 0.5, 0.5 and a size of 32, 32 were assumed" in told.message
    normal = {"do_normalize": False, "size": 32}
    file.write_text(json.dumps(normal))
    assert not load(folder).preparation.assumed  # type: ignore[union-attr]


def test_weights_that_can_not_be_reached_are_not_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from urllib.error import URLError

    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("headstart.backbones.loaders.torchvision.urlopen", unreachable)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    with pytest.raises(ModelError, match=r"can't get the weights of torchvision/resnet18.*no network"):
        load("torchvision/resnet18")
    assert "ownloading" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("network", ["bert", "gpt2", "vit", "timm_resnet", "clip"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(network: str, value: float, tmp_path: Path) -> None:
    from headstart.backbones.loaders.load import two_towers

    folder = tiny.save(network, tmp_path)
    file = folder / "model.safetensors"
    tensors = load_file(file)
    vision = [k for k in tensors if "vision" in k] or list(tensors)
    name = next(k for k in sorted(vision) if tensors[k].dim() > 1 and "classifier" not in k and "head" not in k)
    tensors[name].flatten()[3] = value
    save_file({k: v.contiguous() for k, v in tensors.items()}, file, {"format": "pt"})
    for reads in (load, two_towers) if network == "clip" else (load,):
        with pytest.raises(ModelError, match=r"1 of the [\d,]+ weights \S+ are NaN or infinite"):
            reads(folder)
    load(folder, weights=False)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 4), torch.nn.Linear(4, 2))
    module[1].weight.data[0, 0] = value
    with pytest.raises(ModelError, match="NaN or infinite"):
        load(module, image_size=8)


def test_an_adapter_beside_a_model_is_not_applied_in_silence(tmp_path: Path) -> None:
    folder = tiny.save("bert", tmp_path / "bert")
    before = load(folder).fingerprint
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(ModelError, match="holds an adapter .* beside the model.*headstart adopt"):
        load(folder)
    (folder / "adapter_config.json").unlink()
    assert load(folder).fingerprint == before
