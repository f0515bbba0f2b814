"""Artifacts: a saved model is the trained model, and what was damaged says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from backbones import tiny as make
from backbones.tiny import tiny
from contract.settings import logits_of, method_of, save_adapted, setting_of
from headstart.artifacts.artifact import Artifact, reloaded
from headstart.artifacts.predictor import Predictor
from headstart.backbones.backbone import Backbone, fingerprint
from headstart.backbones.loaders.load import load
from headstart.core.errors import ArtifactError, DataError, ModelError, ResourceError
from headstart.engine.adapt import adapted
from headstart.engine.trace import Trace


def trained(folder: Path, backbone: Backbone, name: str = "lora", **settings: Any) -> Tensor:
    """Trains, saves into `folder`, and gives the logits of the model in memory."""
    setting = setting_of(backbone)
    method = method_of(name, **settings)
    with adapted(setting, method, 0) as done:
        save_adapted(folder, done, name, method, setting)
        return logits_of(backbone, done.model.head, setting.validation, done.plan)


def reopened(folder: Path, backbone: Backbone) -> Tensor:
    with reloaded(folder, backbone) as (_, model, plan):
        return logits_of(backbone, model.head, setting_of(backbone).validation, plan)


# ------------------------------------------------------------------------------------------------------------- damage
def _weights(change: Callable[[dict[str, Tensor]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        weights = load_file(folder / "weights.safetensors")
        change(weights)
        save_file(weights, folder / "weights.safetensors")

    return damage


def _json(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        value = json.loads((folder / "artifact.json").read_text())
        change(value)
        (folder / "artifact.json").write_text(json.dumps(value))

    return damage


def _cut(name: str, keep: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:keep])

    return damage


def _headless(folder: Path) -> None:
    """The head is gone from both files: only the plan still knows of it."""
    _weights(lambda w: [w.pop(key) for key in list(w) if key.startswith("head.")])(folder)
    _json(lambda v: v.update(tensors=[t for t in v["tensors"] if not t.startswith("head.")]))(folder)


DAMAGE = {
    "a key is missing": (_weights(lambda w: w.pop("head.weight")), r"do not fit: missing \['head.weight'\]"),
    "a key too many": (_weights(lambda w: w.update(extra=torch.zeros(1))), r"unexpected \['extra'\]"),
    "no head at all": (_headless, r"missing \['head.bias', 'head.weight'\]"),
    "another shape": (_weights(lambda w: w.update({"head.weight": torch.zeros(2, 32)})), r"has shape \(2, 32\)"),
    "weights cut short": (_cut("weights.safetensors", 200), "can't be read .*cut short or changed"),
    "weights empty": (_cut("weights.safetensors", 0), "can't be read"),
    "no weights": (lambda f: (f / "weights.safetensors").unlink(), "has no weights.safetensors"),
    "json cut short": (_cut("artifact.json", 100), "can't read .*artifact.json as a Artifact record"),
    "json of a list": (lambda f: (f / "artifact.json").write_text("[]"), "is a JSON object, not a list"),
    "a part is no object": (_json(lambda v: v.update(task=3)), "Artifact.task is a number, where an object"),
    "a field is missing": (_json(lambda v: v.pop("method")), "has no field 'method'"),
    "another schema": (_json(lambda v: v.update(schema="headstart.artifact/9")), "written by a newer version"),
    "no artifact": (lambda f: (f / "artifact.json").unlink(), "holds no trained model"),
    "another base": (_json(lambda v: v["base"].update(fingerprint="0" * 32)), "is not the one this artifact was"),
}  # fmt: skip


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Backbone]:
    folder = tmp_path_factory.mktemp("artifact") / "model"
    backbone = tiny("bert")
    trained(folder, backbone)
    return folder, backbone


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_an_error_that_says_what(what: str, pristine: tuple[Path, Backbone], tmp_path: Path) -> None:
    import shutil

    damage, message = DAMAGE[what]
    folder, backbone = pristine
    copy = Path(shutil.copytree(folder, tmp_path / "model"))
    damage(copy)
    before = fingerprint(backbone.module)
    with pytest.raises(ArtifactError, match=message), reloaded(copy, backbone):
        pass
    assert fingerprint(backbone.module) == before


def test_a_base_with_one_other_weight_is_refused(tmp_path: Path) -> None:
    """Also one that was changed after it was loaded and used."""
    backbone = tiny("bert")
    expected = trained(tmp_path / "model", backbone)
    assert torch.equal(reopened(tmp_path / "model", backbone), expected)
    weight = backbone.module.encoder.layer[0].attention.self.query.weight
    with torch.no_grad():
        weight[0, 0] += 1e-3
    with pytest.raises(ArtifactError, match=r"is not the one this artifact was trained on.*Give the unchanged base"):
        reopened(tmp_path / "model", backbone)
    for other in (tiny("bert", seed=1), tiny("gpt2")):
        with pytest.raises(ArtifactError, match="is not the one this artifact was trained on"):
            reopened(tmp_path / "model", other)


def test_opening_does_not_spoil_the_base_for_training(tmp_path: Path) -> None:
    """A base whose fingerprint nobody had asked for before an artifact was put on it."""
    trained(tmp_path / "model", tiny("mlp"), "full")
    backbone = tiny("mlp")
    with reloaded(tmp_path / "model", backbone):
        assert backbone.fingerprint != fingerprint(backbone.module)
    with adapted(setting_of(backbone), method_of("probe"), 0) as done:
        assert done.trace.status == "ok"


@pytest.mark.parametrize(("name", "settings"), [("lora", {"dora": True, "start": "pissa"}), ("prefix", {"tokens": 2})])
def test_an_artifact_of_schema_1_is_read(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    """There, the tensors of an update or a prefix lay at the layer itself."""
    backbone = tiny("bert")
    expected = trained(tmp_path, backbone, name, **settings)

    def old(key: str) -> str:
        return key.replace(f".{name}.", ".")

    value, weights = json.loads((tmp_path / "artifact.json").read_text()), load_file(tmp_path / "weights.safetensors")
    assert value["schema"] == "headstart.artifact/2"
    value |= {"schema": "headstart.artifact/1", "tensors": [old(key) for key in value["tensors"]]}
    assert len({key for key in weights if old(key) != key}) > 4
    (tmp_path / "artifact.json").write_text(json.dumps(value))
    save_file({old(key): tensor for key, tensor in weights.items()}, tmp_path / "weights.safetensors")
    assert torch.equal(reopened(tmp_path, backbone), expected)


# -------------------------------------------------------------------------------------------------- what it is made of
def test_it_holds_what_changed_and_no_more(tmp_path: Path) -> None:
    cases = {
        ("bert", "probe", ()): {"head.weight", "head.bias"},
        ("bert", "lora", (("targets", ("*.0.*.query",)),)): {
            "head.weight", "head.bias",
            "backbone.encoder.layer.0.attention.self.query.lora.lora_a.weight",
            "backbone.encoder.layer.0.attention.self.query.lora.lora_b.weight",
        },
        ("mlp", "freeze", (("rungs", 1),)): {"head.weight", "head.bias", "backbone.3.weight", "backbone.3.bias"},
    }  # fmt: skip
    for number, ((family, name, settings), expected) in enumerate(cases.items()):
        trained(tmp_path / str(number), tiny(family), name, **dict(settings))
        assert set(load_file(tmp_path / str(number) / "weights.safetensors")) == expected


def test_statistics_of_norms_above_the_cut_are_kept(tmp_path: Path) -> None:
    backbone = tiny("timm_resnet")
    expected = trained(tmp_path / "model", backbone, "freeze", rungs=2)
    kept = {key for key in load_file(tmp_path / "model" / "weights.safetensors") if "running" in key}
    assert kept
    assert all(".layer2" in key or ".layer3" in key or ".layer4" in key for key in kept)
    assert torch.equal(reopened(tmp_path / "model", tiny("timm_resnet")), expected)


class Tied(nn.Sequential):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(192, 16), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU())
        self[4].weight = self[2].weight


def tied() -> Backbone:
    torch.manual_seed(0)
    return load(Tied(), image_size=8, mean=(0.5,) * 3, std=(0.5,) * 3)


@pytest.mark.parametrize("name", ["scratch", "full", "probe"])
def test_tied_weights_are_written_once(name: str, tmp_path: Path) -> None:
    expected = trained(tmp_path / "model", tied(), name)
    assert torch.equal(reopened(tmp_path / "model", tied()), expected)
    keys = set(load_file(tmp_path / "model" / "weights.safetensors"))
    assert len(keys & {"backbone.2.weight", "backbone.4.weight"}) == (0 if name == "probe" else 1)


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **more: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("headstart.engine.state.tensors.save_file", full)
    with pytest.raises(ResourceError, match="No space left"):
        trained(tmp_path / "model", tiny("mlp"), "probe")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------------------- predicting
@pytest.mark.parametrize("kind", ["single_label", "multi_label", "regression"])
def test_a_predictor_predicts_as_the_trained_model_did(kind: Any, tmp_path: Path) -> None:
    base = make.save("bert", tmp_path / "base")
    setting = setting_of(load(base), kind)
    method = method_of("lora")
    with adapted(setting, method, 0) as done:
        save_adapted(tmp_path / "model", done, "lora", method, setting)
        expected = done.job.predict(setting.validation)
    predictor = Predictor(tmp_path / "model", device="cpu")
    inputs = setting.validation.examples.inputs()
    np.testing.assert_allclose(predictor.scores(inputs), expected, rtol=1e-5, atol=1e-6)
    found = predictor(inputs)
    if kind == "single_label":
        assert [p.label for p in found] == [setting.task.labels[i] for i in expected.argmax(1)]
    elif kind == "multi_label":
        assert [p.label for p in found] == ["|".join(np.array(setting.task.labels)[row > 0.5]) for row in expected]
    else:
        assert [float(p.label) for p in found] == pytest.approx(expected[:, 0].tolist(), rel=1e-5)
    with pytest.raises(DataError, match="reads texts"):
        predictor([b"bytes"])
    assert predictor([]) == []


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_bf16_predictor_rounds_its_weights_once_and_answers_as_autocast_does(method: str, tmp_path: Path) -> None:
    backbone = load(make.save("bert", tmp_path / "base"))
    setting = setting_of(backbone)
    with adapted(setting, method_of(method), 0) as done:
        save_adapted(tmp_path / "model", done, method, method_of(method), setting)
    batch = backbone.probes()[0]
    with reloaded(tmp_path / "model", backbone) as (_, model, plan), torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            features = backbone.features(batch, plan.reads)
        expected = model.head(features.float())
    before = fingerprint(backbone.module)
    predictor = Predictor(tmp_path / "model", backbone=backbone, device="cpu", precision="bf16")
    layers = [layer for layer in predictor.model.backbone.modules() if type(layer) is nn.Linear]
    assert layers
    assert all(layer.weight.dtype == torch.bfloat16 for layer in layers)
    with torch.no_grad(), predictor.compute.autocast():
        features = backbone.features(batch, predictor.plan.reads)
    assert torch.equal(predictor.model.head(features.float()), expected)
    predictor.close()
    assert fingerprint(backbone.module) == before


def test_a_predictor_of_images_and_of_a_live_module(tmp_path: Path) -> None:
    setting = setting_of(tiny("plain"))
    method = method_of("full")
    with adapted(setting, method, 0) as done:
        save_adapted(tmp_path / "model", done, "full", method, setting)
        expected = done.job.predict(setting.validation)
    with pytest.raises(ArtifactError, match="give the same module"):
        Predictor(tmp_path / "model")
    backbone = tiny("plain")
    before = fingerprint(backbone.module)
    predictor = Predictor(tmp_path / "model", backbone=backbone, device="cpu")
    inputs = setting.validation.examples.inputs()
    np.testing.assert_allclose(predictor.scores(inputs), expected, rtol=1e-4, atol=1e-5)
    (tmp_path / "one.png").write_bytes(inputs[0])
    assert predictor([tmp_path / "one.png"])[0].label == predictor([inputs[0]])[0].label
    with pytest.raises(DataError, match="can't read the image"):
        predictor([tmp_path / "none.png"])
    predictor.close()
    assert fingerprint(backbone.module) == before


def test_other_preparation_is_refused(tmp_path: Path) -> None:
    base = make.save("bert", tmp_path / "base")
    trained(tmp_path / "model", load(base, max_length=64))
    backbone = load(base, max_length=16)
    with pytest.raises(ArtifactError, match="prepares inputs in another way"):
        Predictor(tmp_path / "model", backbone=backbone)
    with adapted(setting_of(backbone), method_of("probe"), 0) as done:  # nothing stayed on the base
        assert isinstance(done.trace, Trace)


# ----------------------------------------------------------------------------------------------------------- exporting
@pytest.mark.parametrize(
    ("family", "name"), [("bert", "lora"), ("bert", "ia3"), ("gpt2", "lora"), ("timm_resnet", "full")]
)
def test_an_exported_run_is_read_by_its_own_library(family: str, name: str, tmp_path: Path) -> None:
    from headstart.artifacts.exchange.exporting import export_run

    base = make.save(family, tmp_path / "base")
    backbone = load(base)
    expected = trained(tmp_path / "model", backbone, name)
    try:
        line = export_run(tmp_path / "model", tmp_path / "out")
    except ModelError as error:
        pytest.fail(str(error))
    assert str(tmp_path / "out") in line
    batch = setting_of(backbone).validation.batch(np.arange(9))
    if family == "timm_resnet":
        import timm

        model = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
        with torch.no_grad():
            found = model(batch["pixel_values"])
    else:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
        assert model.config.id2label == {0: "no", 1: "perhaps", 2: "yes"}
        # with the tokenizer that was written: a decoder's model finds a text's end by its pad token
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
        texts = setting_of(backbone).validation.examples.inputs(np.arange(9))
        with torch.no_grad():
            found = model(**tokenizer(texts, padding=True, truncation=True, return_tensors="pt")).logits
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_the_record_of_an_artifact_says_what_it_is(pristine: tuple[Path, Backbone]) -> None:
    artifact = Artifact.open(pristine[0])
    assert artifact == Artifact.open(pristine[0].parent), "a run's folder holds it as `model`"
    assert artifact.method == "lora"
    assert artifact.configuration["targets"] == ["auto"]
    assert artifact.base.fingerprint == pristine[1].fingerprint
    assert artifact.task.labels == ("no", "perhaps", "yes")


def test_a_base_named_by_a_relative_path_is_found_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.save("bert", tmp_path / "project" / "base")
    monkeypatch.chdir(tmp_path / "project")
    trained(Path("model"), load("./base"))
    monkeypatch.chdir(tmp_path)
    Predictor("project/model").close()
    (tmp_path / "project").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    Predictor("model").close()


@pytest.mark.parametrize("name", ["lora", "ia3"])
def test_an_export_leaves_the_backbone_as_it_was(name: str, tmp_path: Path) -> None:
    from headstart.artifacts.exchange.exporting import export_run

    backbone = load(make.save("bert", tmp_path / "base"))
    before = [name for name, _ in backbone.module.named_modules()]
    trained(tmp_path / "model", backbone, name)
    export_run(tmp_path / "model", tmp_path / "out", backbone=backbone)
    assert fingerprint(backbone.module) == backbone.fingerprint
    assert [name for name, _ in backbone.module.named_modules()] == before


def test_a_live_base_with_another_pooling_is_refused(tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    base = make.save("bert", tmp_path / "base")
    module, tokenizer = AutoModel.from_pretrained(base), AutoTokenizer.from_pretrained(base)
    trained(tmp_path / "model", load(module, tokenizer=tokenizer, pooling="cls"))
    with pytest.raises(ArtifactError, match="pooling=cls"):
        Predictor(tmp_path / "model", backbone=load(module, tokenizer=tokenizer))
    Predictor(tmp_path / "model", backbone=load(module, tokenizer=tokenizer, pooling="cls")).close()


def test_a_run_whose_method_is_not_installed_says_so(pristine: tuple[Path, Backbone], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(pristine[0], folder)
    told = json.loads((folder / "artifact.json").read_text())
    (folder / "artifact.json").write_text(json.dumps(told | {"method": "gain"}))
    with pytest.raises(ArtifactError, match=r"'gain'.*install the package"):
        Predictor(folder, backbone=pristine[1])


def test_what_is_no_run_says_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no folder"):
        Artifact.open(tmp_path / "none")
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ArtifactError, match="headstart adopt"):
        Artifact.open(tmp_path)
