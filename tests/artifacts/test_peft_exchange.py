"""Adapters to and from the real PEFT: what we write it loads, what it writes we load, and planted mistakes show."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from backbones.tiny import batch_of, save
from contract.settings import method_of, save_adapted, setting_of
from headstart.artifacts.exchange.exporting import export_run
from headstart.artifacts.exchange.peft_read import from_peft
from headstart.artifacts.predictor import Predictor
from headstart.backbones.backbone import Backbone
from headstart.backbones.loaders.load import load
from headstart.core.errors import ArtifactError, HeadstartError
from headstart.engine.adapt import adapted

LORA = {"bert": ("query", "output.dense"), "gpt2": ("c_attn", "mlp.c_proj"), "llama": ("q_proj", "v_proj", "down_proj")}
CASES = [
    *((family, "lora", settings) for family in LORA for settings in (
        {}, {"rank_stabilised": True, "rank": 4}, {"dora": True},
        {"ranks": ("*.1.*=2",), "rank": 4}, {"start": "pissa", "rank": 2},
    )),
    *((family, "prefix", {"tokens": 3}) for family in LORA),
    *((family, "prompt", {"tokens": 3}) for family in LORA),
    ("bert", "prefix", {"tokens": 3, "reparametrise": True, "hidden": 8}),
]  # fmt: skip


def base_of(family: str, place: Path) -> tuple[Path, Backbone]:
    folder = save(family, place / "base")
    return folder, load(str(folder), max_length=40)


def run_of(backbone: Backbone, name: str, place: Path, **settings: Any) -> Path:
    """A trained run, away from where it began."""
    if name == "lora":
        family = {"encoder": "bert"}.get(backbone.kind, "llama" if "self_attn" in str(backbone.module) else "gpt2")
        settings = {"targets": LORA[family], **settings}
    setting, method = setting_of(backbone), method_of(name, learning_rate=3e-2, **settings)
    with adapted(setting, method, 0) as done:
        save_adapted(place / "run" / "model", done, name, method, setting)
    return place / "run"


def ours(run: Path, backbone: Backbone, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states of the adapted model at the real places, and logits."""
    predictor = Predictor(run, backbone=backbone, device="cpu", precision="fp32")
    extra = {"use_cache": False} if backbone.kind == "decoder" else {}
    with torch.no_grad():
        hidden = backbone.module(**batch, **extra).last_hidden_state
        logits = predictor.model.head(backbone.features(batch))
    predictor.close()
    return hidden, logits


def theirs(folder: Path, base: Path, plain: bool, batch: dict[str, torch.Tensor]) -> tuple[Any, torch.Tensor]:
    """The real PEFT's model with the adapter, and its logits, or the hidden states of the plain model."""
    from peft import PeftModel
    from transformers import AutoModel, AutoModelForSequenceClassification

    kind = AutoModel if plain else AutoModelForSequenceClassification
    more = {} if plain else {"num_labels": 3, "pad_token_id": 0}
    model = PeftModel.from_pretrained(kind.from_pretrained(base, attn_implementation="eager", **more), folder).eval()
    with torch.no_grad():
        out = model(**batch)
    return model, out.last_hidden_state if plain else out.logits


def one_length(backbone: Backbone, family: str) -> dict[str, torch.Tensor]:
    """A batch of texts; of one length for decoders, whose classifier reads the last position under virtual tokens."""
    batch = {k: v for k, v in batch_of(backbone).items() if k != "token_type_ids"}
    if family != "bert":
        batch = {k: v[:, :9] for k, v in batch.items()}
        batch["attention_mask"] = torch.ones_like(batch["attention_mask"])
        batch["input_ids"] = batch["input_ids"].clamp(min=1)
    return batch


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("family", "name", "settings"), CASES)
def test_peft_loads_what_we_write(family: str, name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    folder, backbone = base_of(family, tmp_path)
    run = run_of(backbone, name, tmp_path, **settings)
    export_run(run, tmp_path / "adapter", backbone=backbone, form="peft")
    batch = one_length(backbone, family)
    hidden, logits = ours(run, backbone, batch)
    model, found = theirs(tmp_path / "adapter", folder, True, batch)
    mask = batch["attention_mask"]
    found = found[:, -mask.shape[1] :]  # prompt tuning returns the virtual tokens' places too
    torch.testing.assert_close(found[mask.bool()], hidden[mask.bool()], rtol=1e-4, atol=1e-4)
    head = load_file(tmp_path / "adapter" / "head.safetensors")
    mean = (found * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    last = found[torch.arange(len(mask)), mask.sum(1) - 1]
    found = (mean if family == "bert" else last) @ head["weight"].T + head.get("bias", 0)
    torch.testing.assert_close(found, logits, rtol=1e-4, atol=1e-4)
    # what PEFT writes from it has the same keys and shapes
    model.save_pretrained(tmp_path / "again")
    mine, again = (load_file(tmp_path / f / "adapter_model.safetensors") for f in ("adapter", "again"))
    assert {k: v.shape for k, v in mine.items()} == {k: v.shape for k, v in again.items()}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("family", "name"), [("llama", "lora"), ("gpt2", "prompt"), ("llama", "prefix"), ("bert", "lora")]
)
def test_the_readme_s_code_answers_as_the_run(
    family: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts of several lengths, some of which end in the token that the base pads with."""
    _, backbone = base_of(family, tmp_path)
    run = run_of(backbone, name, tmp_path, **({} if name == "lora" else {"tokens": 3}))
    export_run(run, tmp_path / "adapter", backbone=backbone, form="peft")
    tokenizer = backbone.preparation.tokenizer
    end = tokenizer.eos_token or tokenizer.pad_token
    texts = ["so good", f"so good{end}", f"a film{end}{end}", "good " * 60, "a"]
    (code,) = re.findall(r"```python\n(.*?)```", (tmp_path / "adapter" / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path / "adapter")
    found: dict[str, Any] = {}
    exec(code.replace("['a text']", repr(texts)), found)
    predictor = Predictor(run, backbone=backbone, device="cpu", precision="fp32")
    torch.testing.assert_close(found["scores"], predictor.logits(texts), rtol=1e-4, atol=1e-4)
    predictor.close()


KINDS = ("lora", "dora", "rslora", "patterns", "prefix", "prompt")
"each with every family; by default with one in turn"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "family"),
    [
        pytest.param(name, family, marks=[] if number % len(LORA) == turn else pytest.mark.slow)
        for number, name in enumerate(KINDS)
        for turn, family in enumerate(LORA)
    ],
)
def test_we_load_what_peft_writes(family: str, name: str, tmp_path: Path) -> None:
    from peft import LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model
    from transformers import AutoModel, AutoModelForSequenceClassification

    folder, backbone = base_of(family, tmp_path)
    plain = family == "bert" or name == "prefix"
    task = "FEATURE_EXTRACTION" if plain else "SEQ_CLS"
    second = "layer.1" if family == "bert" else "h.1" if family == "gpt2" else "layers.1"
    configs = {
        "lora": {}, "dora": {"use_dora": True}, "rslora": {"use_rslora": True},
        "patterns": {"rank_pattern": {f".*{second}.*": 2}, "alpha_pattern": {f".*{second}.*": 5}},
    }  # fmt: skip
    if name in configs:
        config = LoraConfig(task_type=task, r=4, lora_alpha=6, target_modules=list(LORA[family]), **configs[name])
    else:
        kind = PrefixTuningConfig if name == "prefix" else PromptTuningConfig
        config = kind(task_type=task, num_virtual_tokens=3)
    auto = AutoModel if plain else AutoModelForSequenceClassification
    more = {} if plain else {"num_labels": 3, "pad_token_id": 0}
    model = get_peft_model(auto.from_pretrained(folder, attn_implementation="eager", **more), config).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for n, p in model.named_parameters():
            if p.requires_grad and "magnitude" not in n:
                p.copy_(0.3 * torch.randn_like(p))
    model.save_pretrained(tmp_path / "adapter")
    if plain:  # PEFT saves no head with a feature extractor; ours lies beside
        save_file({"weight": torch.randn(3, 32), "bias": torch.zeros(3)}, tmp_path / "adapter" / "head.safetensors")
        (tmp_path / "adapter" / "head.json").write_text(json.dumps({"labels": ["a", "b", "c"]}))
    batch = one_length(backbone, family)
    with torch.no_grad():
        out = model(**batch)
    made = from_peft(tmp_path / "adapter", backbone, tmp_path / "run" / "model")
    assert len(made.task.labels) == 3
    hidden, logits = ours(tmp_path / "run", backbone, batch)
    if plain:
        real = batch["attention_mask"].bool()
        found = out.last_hidden_state[:, -real.shape[1] :]
        torch.testing.assert_close(found[real], hidden[real], rtol=1e-4, atol=1e-4)
    else:
        torch.testing.assert_close(out.logits, logits, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "mistake"), [("lora", "swapped"), ("lora", "alpha"), ("prefix", "swapped")])
def test_planted_mistakes_show(name: str, mistake: str, tmp_path: Path) -> None:
    """A and B of other layers, a wrong alpha, keys in the place of values: the comparison above would fail."""
    folder, backbone = base_of("llama", tmp_path)
    settings = {"targets": ("q_proj",), "rank": 4} if name == "lora" else {"tokens": 3}
    run = run_of(backbone, name, tmp_path, **settings)
    place = tmp_path / "adapter"
    export_run(run, place, backbone=backbone, form="peft")
    tensors, config = (
        load_file(place / "adapter_model.safetensors"),
        json.loads((place / "adapter_config.json").read_text()),
    )
    if mistake == "alpha":
        config["lora_alpha"] *= 2
    elif name == "prefix":
        rows = tensors["prompt_embeddings"].view(3, 3, 2, 16)
        tensors["prompt_embeddings"] = rows.flip(2).reshape(3, -1).contiguous()
    else:
        for key in [k for k in tensors if "lora_A" in k]:  # q_proj is square: A and B fit each other's place transposed
            other = key.replace("lora_A", "lora_B")
            tensors[key], tensors[other] = tensors[other].T.contiguous(), tensors[key].T.contiguous()
    save_file(tensors, place / "adapter_model.safetensors")
    (place / "adapter_config.json").write_text(json.dumps(config))
    batch = one_length(backbone, "llama")
    hidden, logits = ours(run, backbone, batch)
    _, found = theirs(place, folder, True, batch)
    assert float((found[:, -hidden.shape[1] :] - hidden).abs().max()) > 1e-3
    from_peft(place, backbone, tmp_path / "other" / "model")
    assert float((ours(tmp_path / "other", backbone, batch)[1] - logits).abs().max()) > 1e-3


def test_vllm_s_rules(tmp_path: Path) -> None:
    """One rank that vLLM has, alpha equal to it, no saved modules; the same update as before."""
    _, backbone = base_of("llama", tmp_path)
    run = run_of(backbone, "lora", tmp_path, rank=5, ranks=("layers.2=3",), targets=("q_proj", "v_proj"))
    export_run(run, tmp_path / "v", backbone=backbone, form="vllm")
    config = json.loads((tmp_path / "v" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["task_type"]) == (8, 8, "CAUSAL_LM")
    assert config["target_modules"] == ["q_proj", "v_proj"]
    assert not config.get("modules_to_save")
    tensors = load_file(tmp_path / "v" / "adapter_model.safetensors")
    assert {k.rpartition(".lora_")[2] for k in tensors} == {"A.weight", "B.weight"}
    assert all(k.startswith("base_model.model.model.layers.") for k in tensors)
    assert all(8 in v.shape for v in tensors.values())
    predictor = Predictor(run, backbone=backbone, device="cpu", precision="fp32")
    layer = backbone.module.layers[2].self_attn.q_proj
    key = "base_model.model.model.layers.2.self_attn.q_proj.lora_{}.weight"
    torch.testing.assert_close(tensors[key.format("B")] @ tensors[key.format("A")], layer.lora.delta())
    predictor.close()
    for name, settings, says in (("lora", {"dora": True}, "no DoRA"), ("prefix", {"tokens": 2}, "only serves LoRA")):
        other = run_of(backbone, name, tmp_path / name, **settings)
        with pytest.raises(HeadstartError, match=says):
            export_run(other, tmp_path / "none", backbone=backbone, form="vllm")
        assert not (tmp_path / "none").exists()


def test_other_methods_have_no_form(tmp_path: Path) -> None:
    _, backbone = base_of("bert", tmp_path)
    run = run_of(backbone, "bitfit", tmp_path)
    with pytest.raises(HeadstartError, match="this run is bitfit"):
        export_run(run, tmp_path / "none", backbone=backbone, form="peft")
    assert not (tmp_path / "none").exists()


def _edit(place: Path, **fields: Any) -> None:
    config = json.loads((place / "adapter_config.json").read_text())
    (place / "adapter_config.json").write_text(json.dumps(config | fields))


def _without_a(place: Path) -> None:
    tensors = load_file(place / "adapter_model.safetensors")
    tensors.pop(next(k for k in tensors if "lora_A" in k))
    save_file(tensors, place / "adapter_model.safetensors")


def _cut(place: Path) -> None:
    data = (place / "adapter_model.safetensors").read_bytes()
    (place / "adapter_model.safetensors").write_bytes(data[: len(data) // 2])


def _pickled(place: Path) -> None:
    (place / "adapter_model.safetensors").rename(place / "adapter_model.bin")


BROKEN = {
    "no configuration": (lambda p: (p / "adapter_config.json").unlink(), "can't be read"),
    "another type": (lambda p: _edit(p, peft_type="LOHA"), "type LOHA"),
    "a field that computes": (lambda p: _edit(p, lora_bias=True), "lora_bias"),
    "biases": (lambda p: _edit(p, bias="all"), "bias=all"),
    "a changed base": (lambda p: _edit(p, init_lora_weights="pissa"), "pissa"),
    "another rank": (lambda p: _edit(p, r=7), "rank is 7"),
    "a missing factor": (_without_a, "not A, B"),
    "cut short": (_cut, "cut short"),
    "a pickle": (_pickled, "can run code"),
    "no head": (lambda p: (p / "head.safetensors").unlink(), "no linear head"),
    "a head without weight": (lambda p: save_file({"w": torch.ones(2)}, p / "head.safetensors"), "no linear head"),
    "no rank": (lambda p: _edit(p, r=None), "lacks r"),
    "a broken head.json": (lambda p: (p / "head.json").write_text("{"), "head.json can't be read"),
    "a head of other features": (lambda p: (p / "head.json").write_text('{"pooling": "cls"}'), "--pooling cls"),
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Backbone]:
    place = tmp_path_factory.mktemp("exported")
    _, backbone = base_of("bert", place)
    export_run(run_of(backbone, "lora", place), place / "adapter", backbone=backbone, form="peft")
    return place / "adapter", backbone


@pytest.mark.parametrize("what", BROKEN)
def test_what_can_not_be_read_is_told_and_nothing_is_written(what: str, exported: Any, tmp_path: Path) -> None:
    place, backbone = exported
    shutil.copytree(place, tmp_path / "adapter")
    change, says = BROKEN[what]
    change(tmp_path / "adapter")
    before = backbone.module.state_dict()
    with pytest.raises(ArtifactError, match=says):
        from_peft(tmp_path / "adapter", backbone, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert all(torch.equal(v, before[k]) for k, v in backbone.module.state_dict().items())


def test_a_base_of_other_sizes_is_told(exported: Any, tmp_path: Path) -> None:
    other = load(str(save("llama", tmp_path / "base")), pooling="mean")
    with pytest.raises(ArtifactError, match="has no layer for it"):
        from_peft(exported[0], other, tmp_path / "run")


def test_labels_have_to_fit(exported: Any, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="3 classes; 2 labels"):
        from_peft(exported[0], exported[1], tmp_path / "run", labels=["a", "b"])
    made = from_peft(exported[0], exported[1], tmp_path / "run", labels=["a", "b", "c"])
    assert made.task.labels == ("a", "b", "c")
    assert made.base.fingerprint == exported[1].fingerprint


@pytest.mark.filterwarnings("ignore")
def test_a_text_classifier_that_reads_a_pooler_is_refused(tmp_path: Path) -> None:
    """BERT's classifier has the right shape and reads tanh(pooler): silently wrong, if it were taken."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification

    folder, backbone = base_of("bert", tmp_path)
    config = LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query"])
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3)
    get_peft_model(model, config).save_pretrained(tmp_path / "adapter")
    with pytest.raises(ArtifactError, match="reads a separate pooler"):
        from_peft(tmp_path / "adapter", backbone, tmp_path / "run")


@pytest.mark.filterwarnings("ignore")
def test_a_vision_model_s_classifier_is_read(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageClassification

    folder, backbone = base_of("vit", tmp_path)
    torch.manual_seed(0)
    model = AutoModelForImageClassification.from_pretrained(folder, num_labels=3)
    config = LoraConfig(r=2, target_modules=r".*(q_proj|v_proj)", modules_to_save=["classifier"])
    model = get_peft_model(model, config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
        expected = model(**batch_of(backbone)).logits
    model.save_pretrained(tmp_path / "adapter")
    from_peft(tmp_path / "adapter", backbone, tmp_path / "run" / "model")
    _, logits = ours(tmp_path / "run", backbone, batch_of(backbone))
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_the_export_s_readme_runs_as_it_stands(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the model was named by a relative path, as the README does."""
    save(family, tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    backbone = load("./base", max_length=40)
    run = run_of(backbone, "lora", tmp_path)
    export_run(run, tmp_path / "adapter", backbone=backbone, form="peft")
    code = (tmp_path / "adapter" / "README.md").read_text().split("```python")[1].split("```")[0]
    monkeypatch.chdir(tmp_path / "adapter")
    exec(code, {})
    predictor = Predictor(run, backbone=backbone, device="cpu", precision="fp32")
    expected = [predictor(["a text"])[0].label]
    predictor.close()
    assert capsys.readouterr().out.strip().endswith(str(expected))


def test_labels_and_kind_come_back(tmp_path: Path) -> None:
    """Also of decoders, whose head is transformers' own."""
    _, backbone = base_of("gpt2", tmp_path)
    setting, method = setting_of(backbone, kind="regression"), method_of("lora", rank=2)
    with adapted(setting, method, 0) as done:
        save_adapted(tmp_path / "run" / "model", done, "lora", method, setting)
    export_run(tmp_path / "run", tmp_path / "adapter", backbone=backbone, form="peft")
    assert from_peft(tmp_path / "adapter", backbone, tmp_path / "again").task.kind == "regression"
    assert (tmp_path / "adapter" / "adapter_model.safetensors").stat().st_mode & 0o044, "others may read it"
