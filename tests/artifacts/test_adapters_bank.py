"""Named adapters on one backbone: switching, merging, combining, and batches in which rows differ."""

from __future__ import annotations

import atexit
import gc
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch

from backbones.tiny import batch_of, tiny
from contract.settings import method_of, save_adapted, setting_of, state_of
from headstart import Adapters
from headstart.backbones.backbone import Backbone, fingerprint
from headstart.backbones.ladder.observation import tensors
from headstart.core.errors import ArtifactError, ConfigurationError
from headstart.engine.adapt import adapted

TARGETS = {"bert": ("query", "output.dense"), "gpt2": ("c_attn",), "llama": ("q_proj", "v_proj"), "vit": ("fc1",)}


TRAINED: dict[tuple[Any, ...], Path] = {}


def trained(backbone: Backbone, place: Path, name: str, seed: int = 0, **settings: Any) -> Path:
    """The folder, copied where the same has been trained before."""
    key = (backbone.fingerprint, name, seed, repr(settings))
    if key not in TRAINED:
        TRAINED[key] = Path(tempfile.mkdtemp(prefix="trained-"))
        atexit.register(shutil.rmtree, TRAINED[key], ignore_errors=True)
        setting, method = setting_of(backbone), method_of(name, learning_rate=3e-2, **settings)
        with adapted(setting, method, seed) as done:
            save_adapted(TRAINED[key] / "model", done, name, method, setting)
    shutil.copytree(TRAINED[key] / "model", place / "model")
    return place


def bank_of(backbone: Backbone, place: Path, **methods: tuple[str, dict[str, Any]]) -> Adapters:
    bank = Adapters(backbone)
    for seed, (key, (name, settings)) in enumerate(methods.items()):
        bank.add(key, trained(backbone, place / key, name, seed, **settings))
    return bank


def features(backbone: Backbone, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    backbone.module.eval()
    with torch.no_grad():
        return backbone.features(batch)


METHODS = {"lora": {}, "dora": {}, "houlsby": {}, "parallel": {}, "ia3": {}, "bitfit": {}, "full": {}, "prefix": {}}


def settings_of(name: str) -> tuple[str, dict[str, Any]]:
    if name == "dora":
        return "lora", {"dora": True}
    return name, {"tokens": 2} if name == "prefix" else {}


@pytest.mark.parametrize("name", METHODS)
def test_switching_and_taking_off(name: str, tmp_path: Path) -> None:
    backbone = tiny("bert")
    batch, before, plain = batch_of(backbone), fingerprint(backbone.module), None
    plain = features(backbone, batch)
    bank = bank_of(backbone, tmp_path, a=settings_of(name), b=("lora", {"rank": 2}))
    seen = []
    for key in ("a", "b", "a"):
        bank.use(key)
        assert bank.active == key
        seen.append(features(backbone, batch))
    assert torch.equal(seen[0], seen[2])
    assert not torch.allclose(seen[0], seen[1], atol=1e-4)
    with bank.using("b"):
        assert torch.equal(features(backbone, batch), seen[1])
    assert torch.equal(features(backbone, batch), seen[0]), "what was in use before is in use again"
    bank.use(None)
    assert torch.equal(features(backbone, batch), plain)
    assert fingerprint(backbone.module) == before


@pytest.mark.parametrize(("family", "name"), [("bert", "lora"), ("gpt2", "lora"), ("bert", "dora"), ("bert", "ia3"),
                                              ("bert", "full"), ("timm_resnet", "lora")])  # fmt: skip
def test_merged_equals_unmerged_and_the_base_comes_back(family: str, name: str, tmp_path: Path) -> None:
    backbone = tiny(family)
    batch, before = batch_of(backbone), state_of(backbone.module)
    bank = bank_of(backbone, tmp_path, a=settings_of(name), b=("full", {}))
    expected = torch.stack(bank.logits(batch, ["a"] * 4))
    bank.merge("a")
    torch.testing.assert_close(torch.stack(bank.logits(batch, ["a"] * 4)), expected, rtol=1e-4, atol=1e-5)
    assert fingerprint(backbone.module) != backbone.fingerprint
    for call in (lambda: bank.use("b"), lambda: bank.logits(batch, ["b"] * 4), lambda: bank.combine("c", {"a": 1})):
        with pytest.raises(ConfigurationError, match="unmerge"):
            call()
    bank.unmerge()
    after = state_of(backbone.module)
    assert all(torch.equal(after[n], v) for n, v in before.items())
    assert torch.equal(torch.stack(bank.logits(batch, ["a"] * 4)), expected)


def test_what_can_not_be_merged_is_told(tmp_path: Path) -> None:
    backbone = tiny("bert")
    bank = bank_of(backbone, tmp_path, a=("houlsby", {}))
    with pytest.raises(Exception, match="can't be merged"):
        bank.merge("a")
    assert bank.active is None
    assert fingerprint(backbone.module) == backbone.fingerprint


MIXED = [
    ("bert", ("lora", {"rank": 2}), ("lora", {"rank": 5, "targets": ("query", "value")}), True),
    ("bert", ("lora", {"dora": True}), ("lora", {}), True),
    ("bert", ("houlsby", {"norms": False}), ("ia3", {}), True),
    ("bert", ("parallel", {}), ("pfeiffer", {}), True),
    ("gpt2", ("lora", {}), ("ia3", {}), True),
    ("llama", ("lora", {}), ("parallel", {}), True),
    ("vit", ("lora", {}), ("pfeiffer", {}), True),
    ("timm_resnet", ("lora", {}), ("conv_adapter", {}), True),
    ("bert", ("lora", {}), ("full", {}), False),
    ("bert", ("lora", {}), ("prefix", {"tokens": 2}), False),
    ("bert", ("houlsby", {}), ("probe", {}), False),
]


@pytest.mark.parametrize(("family", "one", "other", "shared"), MIXED)
def test_a_mixed_batch_is_the_rows_apart(
    family: str, one: Any, other: Any, shared: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With padding, in any order; in one pass where `shared`."""
    backbone = tiny(family)
    if other[0] == "probe":
        other = ("probe", {})
    bank = Adapters(backbone)
    for key, (name, settings) in {"a": one, "b": other}.items():
        if name == "probe":
            setting, method = setting_of(backbone), method_of("probe")
            with adapted(setting, method, 0) as done:
                save_adapted(tmp_path / key / "model", done, "probe", method, setting)
        else:
            trained(backbone, tmp_path / key, name, **settings)
        bank.add(key, tmp_path / key)
    assert (bank.mixable("a") and bank.mixable("b")) == shared
    batch, names = batch_of(backbone, 6), ["a", "b", "b", "a", "b", "a"]
    passes = 0

    def count(module: object, args: object, output: Any) -> None:
        nonlocal passes
        first = next(tensors(output))
        passes += int(len(first) == 6)  # attaching some methods takes a look of its own, at fewer rows

    handle = backbone.module.register_forward_hook(count)
    found = bank.logits(batch, names)
    assert passes == int(shared)
    handle.remove()
    for i, name in enumerate(names):
        with bank.using(name):
            alone = {k: v[i : i + 1] for k, v in batch.items()}
            if "attention_mask" in alone:  # without the padding that the others brought
                length = int(alone["attention_mask"].sum())
                alone = {k: v[:, :length] for k, v in alone.items()}
            with torch.no_grad():
                expected = bank._now.head(backbone.features(alone, bank._now.plan.reads))[0]
        torch.testing.assert_close(found[i], expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found[0], bank.logits(batch, ["b"] * 6)[0], atol=1e-4)
    assert fingerprint(backbone.module) == backbone.fingerprint


@pytest.mark.parametrize("others", [("lora", "houlsby"), ("full", "prefix")])
def test_a_batch_attaches_nothing(others: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans are made and their parts built when an adapter is added; a batch only switches the route."""
    backbone = tiny("bert")
    bank = bank_of(backbone, tmp_path, a=("lora", {}), b=settings_of(others[0]), c=settings_of(others[1]))
    bank.add("again", tmp_path / "c")
    expected = {name: bank.logits(batch_of(backbone), [name] * 4) for name in "abc"}

    def attach(*_: Any) -> Any:
        raise AssertionError("a plan is attached again")

    for kind in {type(entry.method) for entry in bank._entries.values()}:
        monkeypatch.setattr(kind, "attach", attach)
    for _ in range(2):
        found = bank.logits(batch_of(backbone), ["c", "a", "b", "a"])
        for row, name in enumerate("caba"):
            torch.testing.assert_close(found[row], expected[name][row], rtol=1e-4, atol=1e-5)
        bank.use("b")
        bank.use("c")
        bank.use(None)
    assert fingerprint(backbone.module) == backbone.fingerprint
    del bank
    gc.collect()
    assert not any("forward" in module.__dict__ for module in backbone.module.modules()), "a bank that is gone"


def test_modules_that_fold_rows_away_fall_back(tmp_path: Path) -> None:
    """Swin's windows: the first dimension is not the batch, and rows are run apart."""
    backbone = tiny("timm_swin")
    bank = bank_of(backbone, tmp_path, a=("lora", {}), b=("lora", {"rank": 2}))
    batch, names = batch_of(backbone, 4), ["a", "b", "a", "b"]
    found = bank.logits(batch, names)
    for i, name in enumerate(names):
        torch.testing.assert_close(found[i], bank.logits(batch, [name] * 4)[i], rtol=1e-4, atol=1e-5)


def test_lora_combined_is_the_weighted_sum_of_updates(tmp_path: Path) -> None:
    backbone = tiny("bert")
    wide = {"rank": 4, "alpha": 6.0, "targets": ("query", "value"), "rank_stabilised": True}
    bank = bank_of(backbone, tmp_path, a=("lora", {"rank": 2, "targets": ("query", "key")}), b=("lora", wide))

    def deltas(name: str) -> dict[str, torch.Tensor]:
        with bank.using(name):
            return {n: m.delta().detach().clone() for n, m in backbone.module.named_modules() if hasattr(m, "delta")}

    bank.combine("both", {"a": 0.3, "b": -0.7})
    bank.combine("low", {"a": 0.3, "b": -0.7}, kind="svd", rank=3)
    bank.combine("same", {"a": 1.0})
    a, b, both, low = (deltas(name) for name in ("a", "b", "both", "low"))
    assert both.keys() == a.keys() | b.keys()
    for path, found in both.items():
        zero = torch.zeros_like(found)
        expected = 0.3 * a.get(path, zero) - 0.7 * b.get(path, zero)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
        u, s, v = torch.linalg.svd(expected, full_matrices=False)
        torch.testing.assert_close(low[path], u[:, :3] * s[:3] @ v[:3], rtol=1e-3, atol=1e-5)
    batch = batch_of(backbone)
    torch.testing.assert_close(bank.logits(batch, ["same"] * 4), bank.logits(batch, ["a"] * 4), rtol=1e-4, atol=1e-5)


def test_lora_combined_where_norms_keep_statistics(tmp_path: Path) -> None:
    backbone = tiny("timm_resnet")
    bank = bank_of(backbone, tmp_path, a=("lora", {}), b=("lora", {}))
    batch = batch_of(backbone)
    bank.combine("same", {"a": 1.0, "b": 0.0}, head="a")
    torch.testing.assert_close(bank.logits(batch, ["same"] * 4), bank.logits(batch, ["a"] * 4), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["full", "bitfit", "pfeiffer", "ia3"])
def test_linear_combination_by_hand(name: str, tmp_path: Path) -> None:
    """Task arithmetic on weights of the base, an average of what was added."""
    backbone = tiny("bert")
    before = {f"backbone.{n}": v for n, v in state_of(backbone.module).items()}
    bank = bank_of(backbone, tmp_path, a=(name, {}), b=(name, {}))
    bank.combine("both", {"a": 0.5, "b": 0.25})
    states = {}
    for key in ("a", "b", "both"):
        with bank.using(key):
            states[key] = state_of(bank._now.model)
    moved = 0
    for key, value in states["both"].items():
        if key.startswith("head."):
            expected = (2 * states["a"][key] + states["b"][key]) / 3
        else:
            zero = before.get(key, torch.zeros_like(value))
            if not value.is_floating_point():
                continue
            total = 1.0 if key in before else 0.75
            expected = zero + (0.5 * (states["a"][key] - zero) + 0.25 * (states["b"][key] - zero)) / total
            moved += int(not torch.equal(value, zero))
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-6)
    assert moved


def test_adapters_that_compute_differently_are_not_averaged(tmp_path: Path) -> None:
    backbone = tiny("bert")
    bank = bank_of(backbone, tmp_path, a=("lora", {"alpha": 16.0}), b=("lora", {"alpha": 32.0}), c=("ia3", {}))
    with pytest.raises(ConfigurationError, match="alpha differ"):
        bank.combine("both", {"a": 0.5, "b": 0.5}, kind="linear")
    with pytest.raises(ConfigurationError, match="add up to more than"):
        bank.combine("less", {"c": -1.0})


def test_what_is_in_use_stays_in_use(tmp_path: Path) -> None:
    backbone = tiny("bert")
    batch = batch_of(backbone)
    bank = bank_of(backbone, tmp_path, a=("lora", {}), b=("lora", {"rank": 2}))
    bank.use("b")
    bank.merge("a")  # of the bare base, whatever was in use
    bank.unmerge()
    bank.use("a")
    expected = features(backbone, batch)
    bank.logits(batch, ["a", "b", "b", "a"])
    bank.combine("c", {"a": 0.5, "b": 0.5}, head="a")
    assert bank.active == "a"
    assert torch.equal(features(backbone, batch), expected)
    texts = ["bad", "a good film, and the story is great", "awful"]
    torch.manual_seed(3)
    drawn = torch.rand(2)
    torch.manual_seed(3)
    bank.predict(texts, ["a", "b", "a"])
    assert torch.equal(torch.rand(2), drawn), "a seeded program gets the numbers it would have got"
    assert bank.predict(texts) == bank.predict(texts, "a")
    assert bank.predict([]) == []
    assert "a: Lora" in repr(bank)
    assert "(in use)" in repr(bank)


def test_a_head_that_reads_all_rungs_works_merged_too(tmp_path: Path) -> None:
    """A base that is in training mode does not predict with dropout either."""
    backbone = tiny("bert")
    batch = batch_of(backbone)
    bank = bank_of(backbone, tmp_path, a=("mix", {}))
    expected = torch.stack(bank.logits(batch, ["a"] * 4))
    bank.merge("a")
    backbone.module.train()
    torch.testing.assert_close(torch.stack(bank.logits(batch, ["a"] * 4)), expected)


def test_a_base_that_reads_its_features_in_another_way_is_refused(tmp_path: Path) -> None:
    run = trained(tiny("bert"), tmp_path, "lora")
    with pytest.raises(ArtifactError, match="pooling"):
        Adapters(tiny("bert", pooling="cls")).add("a", run)


def test_predictions_carry_each_adapter_s_labels(tmp_path: Path) -> None:
    backbone = tiny("bert")
    bank = bank_of(backbone, tmp_path, a=("lora", {}), b=("ia3", {}))
    texts = ["a good film", "bad", "the story is awful"]
    mixed = bank.predict(texts, ["a", "b", "a"])
    assert [m.label for m in mixed] == [bank.predict([t], n)[0].label for t, n in zip(texts, "aba")]
    assert set(mixed[0].probabilities) == {"no", "perhaps", "yes"}


def test_mistakes_are_told(tmp_path: Path) -> None:
    backbone = tiny("bert")
    bank = bank_of(backbone, tmp_path, a=("lora", {}), b=("houlsby", {}), c=("full", {}))
    with pytest.raises(ConfigurationError, match="Did you mean 'a'|Allowed"):
        bank.use("aa")
    with pytest.raises(ConfigurationError, match="already"):
        bank.add("a", tmp_path / "a")
    with pytest.raises(ArtifactError, match="another base"):
        Adapters(tiny("bert", seed=1)).add("a", tmp_path / "a")
    with pytest.raises(ConfigurationError, match="different methods"):
        bank.combine("d", {"b": 1.0, "c": 1.0})
    with pytest.raises(ConfigurationError, match="LoRA without"):
        bank.combine("d", {"b": 1.0}, kind="cat")
    with pytest.raises(ConfigurationError, match="needs the rank"):
        bank.combine("d", {"a": 1.0}, kind="svd")
    with pytest.raises(ConfigurationError, match="2 inputs came with 1"):
        bank.predict(["x", "y"], ["a"])
    assert bank.names == ("a", "b", "c")
    bank.use("a")
    bank.remove("a")
    assert bank.names == ("b", "c")
    assert bank.active is None


def test_what_an_adapter_puts_into_the_model_is_built_once(tmp_path: Path) -> None:
    """Whatever sets of adapters share batches: four make eleven sets of two or more."""
    from itertools import combinations

    from headstart.methods.adapters.lora_update import LoraUpdate

    backbone = tiny("bert")
    names = {key: ("lora", {"rank": 2}) for key in "abcd"}
    bank = bank_of(backbone, tmp_path, **names)
    batch = batch_of(backbone, 4)
    counts = []
    for size in (4, 3, 2):
        for chosen in combinations(names, size):
            bank.logits(batch, [chosen[i % size] for i in range(4)])
        gc.collect()
        layers = [one for one in gc.get_objects() if type(one) is LoraUpdate]
        counts.append(len({id(layer.lora_a.weight) for layer in layers}))
    assert counts[0] == counts[1] == counts[2] > 0
    alone = {name: bank.logits(batch, [name] * 4)[0] for name in names}
    for name, row in zip("abcd", bank.logits({k: v[:1].repeat(4, 1) for k, v in batch.items()}, list("abcd"))):
        torch.testing.assert_close(row, alone[name], rtol=1e-5, atol=1e-5)
    bank.remove("a")
    assert "a" not in bank._placed
