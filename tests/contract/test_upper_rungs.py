"""The contract of upper rungs that are drawn anew or left out, on every kind of tiny backbone with blocks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from backbones.tiny import tiny
from headstart.artifacts.artifact import reloaded
from headstart.artifacts.exchange.exporting import not_exportable
from headstart.core.errors import MethodError
from headstart.engine.adapt import adapted, attached

from .settings import logits_of, method_of, rising, save_adapted, setting_of, state_of
from .test_contract import condition, same

FAMILIES = ("bert", "t5", "gpt2", "llama", "vit", "timm_resnet", "timm_convnext")
CHANGES = ({"fresh": 1}, {"drop": 1})
NARROWER = ("timm_resnet", "timm_convnext")
"families whose highest block changes the size of what it gets, so that it can't be left out"
KEPT = ("bert", "vit", "timm_resnet")
PAIRS = [(family, change) for family in FAMILIES for change in CHANGES if "fresh" in change or family not in NARROWER]


@pytest.mark.parametrize(("family", "change"), PAIRS, ids=str)
def test_it_learns_is_reloaded_and_leaves_the_base_as_it_was(
    family: str, change: dict[str, int], tmp_path: Path
) -> None:  # fmt: skip
    backbone = tiny(family)
    before, base = condition(backbone), state_of(backbone.module)
    setting, method = setting_of(backbone, score=rising()), method_of("full", **change)
    with attached(setting, method, 0) as job:
        begun, plan = state_of(job.module.backbone), job.plan
        other = {name for name, value in begun.items() if not torch.equal(value, base[name])}
        lowest = min(plan.fresh, default=0)
        rungs = backbone.ladder.rungs
        assert not other & {name for rung in rungs[:lowest] for name in rung.parameters}
        matrices = {n for i in plan.fresh for n in rungs[i].parameters if base[n].dim() > 1}
        assert matrices <= other, "weights that were to be drawn anew are the base's"
        assert bool(matrices) == ("fresh" in change)
        assert (len(begun) < len(base)) == ("drop" in change)
    same(condition(backbone), before)
    with attached(setting, method, 1) as again:
        values = state_of(again.module.backbone)
    assert all(not torch.equal(values[name], begun[name]) for name in matrices), "another seed draws the same"
    with adapted(setting, method, 0) as done:
        ended = state_of(done.model)
        trained = [name for name in done.plan.trained() if name.startswith("backbone.")]
        assert not [name for name in trained if torch.equal(ended[name], begun[name.removeprefix("backbone.")])]
        logits = logits_of(backbone, done.model.head, setting.validation, done.plan)
        save_adapted(tmp_path, done, "full", method, setting)
    same(condition(backbone), before)
    with reloaded(tmp_path, backbone) as (artifact, model, plan):
        torch.testing.assert_close(logits_of(backbone, model.head, setting.validation, plan), logits, rtol=0, atol=0)
        assert ("left out" in not_exportable(artifact)) == ("drop" in change)
    same(condition(backbone), before)


@pytest.mark.parametrize(
    ("family", "change"), [one for one in PAIRS if one[0] in ("bert", "vit", "timm_resnet")], ids=str
)
def test_cached_equals_uncached(family: str, change: dict[str, int]) -> None:
    """What lies below the cut is the base's whatever stands, or is missing, above it."""
    backbone, found = tiny(family), []
    for cache in (True, False):
        setting = setting_of(backbone, cache=cache, epochs=2, score=rising())
        with adapted(setting, method_of("freeze", rungs=1, learning_rate=1e-3, **change), 0) as done:
            found.append(done.job.logits(setting.validation))
            assert done.plan.cut(1.0) == 1
            assert bool(setting.cache._stores) == cache
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("family", "name", "settings", "told"),
    [
        ("bert", "full", {"drop": 9}, "one has to stay"),
        ("timm_resnet", "full", {"drop": 1}, "changes the size"),
        ("timm_convnext", "full", {"drop": 1}, "no list of blocks"),
        ("bert", "full", {"fresh": -1}, "one has to stay"),
        ("bert", "freeze", {"share": 1.0, "fresh": 1}, "freeze at most"),
        ("bert", "freeze", {"share": 1.0, "drop": 1}, "freeze at most"),
    ],
)
def test_what_can_not_be_changed_is_refused(family: str, name: str, settings: dict[str, object], told: str) -> None:
    with pytest.raises(MethodError, match=told), attached(setting_of(tiny(family)), method_of(name, **settings), 0):
        pass
