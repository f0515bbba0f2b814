"""The contract: what every method promises on every kind of backbone.

Each pair of method and tiny backbone is attached and trained once; the tests look at what was observed. A pair that
can't be is listed in `NOT_APPLICABLE` with what its error has to name. By default a sample of the pairs is tried, in
which each method meets three kinds of backbone and each backbone many methods; the others are slow tests.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from backbones.tiny import tiny
from headstart.artifacts.artifact import reloaded
from headstart.artifacts.exchange.merge import merge
from headstart.backbones.backbone import Backbone, fingerprint
from headstart.backbones.ladder.modes import train_above
from headstart.core.errors import MethodError, ModelError
from headstart.core.seeds import derive
from headstart.engine.adapt import Setting, adapted, new_head
from headstart.engine.adaptation import Adaptation
from headstart.engine.cache.cache import Cache
from headstart.engine.job import share_of
from headstart.engine.machine.precision import compute
from headstart.methods.method import METHODS
from headstart.methods.plan import Model

from .expectations import (
    BACKBONES,
    BEGINS_ELSEWHERE,
    KEPT,
    LOADED,
    NOT_APPLICABLE,
    SETTINGS,
    UNGRADED,
    UNLEARNED,
    UNMERGEABLE,
    WHOLE,
    sampled,
)  # fmt: skip
from .settings import logits_of, method_of, rising, save_adapted, setting_of, state_of

PAIRS = [(method, backbone) for backbone in BACKBONES for method in METHODS if (method, backbone) not in NOT_APPLICABLE]
NUMBERS = {method: number for number, method in enumerate(METHODS)}


def some(pairs: Sequence[tuple[str, str]], numbers: dict[str, int] = NUMBERS) -> list[Any]:
    """The pairs; those outside the sample are slow tests, but a method of which it has none keeps its first."""
    kept = {pair for pair in pairs if sampled(numbers[pair[0]], pair[1])}
    firsts = dict(reversed(pairs))
    kept |= {pair for pair in firsts.items() if not any(name == pair[0] for name, _ in kept)}
    return [pytest.param(pair, marks=[] if pair in kept else pytest.mark.slow, id="-".join(pair)) for pair in pairs]


@dataclass
class Observed:
    """What one pair did."""

    method: str
    backbone: Backbone
    declared: set[str]
    edits: tuple[str, ...]
    graded: set[str] = field(default_factory=set)
    "parameters that had a gradient in some phase"
    too_early: set[str] = field(default_factory=set)
    "parameters that had a gradient in a phase to which they do not belong, or that require one"
    base_features: Tensor | None = None
    first_features: Tensor | None = None
    begun: dict[str, Tensor] = field(default_factory=dict)
    started: dict[str, Tensor] = field(default_factory=dict)
    "as `begun`, with what the edits add"
    ended: dict[str, Tensor] = field(default_factory=dict)
    logits: Tensor | None = None
    merged_logits: Tensor | None = None
    merged_layers: int | None = None
    "None where the edits can't be merged"
    reloaded_logits: Tensor | None = None
    saved: tuple[str, ...] = ()
    before: dict[str, object] = field(default_factory=dict)
    after: dict[str, object] = field(default_factory=dict)
    after_reload: dict[str, object] = field(default_factory=dict)


def condition(backbone: Backbone) -> dict[str, object]:
    """All that a method must leave as it was."""
    module = backbone.module
    return {
        "fingerprint": fingerprint(module),
        "values": state_of(module),
        "flags": {name: p.requires_grad for name, p in module.named_parameters()},
        "gradients": {name for name, p in module.named_parameters() if p.grad is not None},
        "modes": {name: m.training for name, m in module.named_modules()},
        "types": {name: type(m) for name, m in module.named_modules()},
        "hooks": sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in module.modules()),
        "forwards": [name for name, m in module.named_modules() if "forward" in m.__dict__],
    }


def same(found: dict[str, object], expected: dict[str, object]) -> None:
    values, wanted = found["values"], expected["values"]
    assert values.keys() == wanted.keys()
    changed = [n for n in wanted if not torch.equal(values[n], wanted[n])]
    assert not changed, f"changed: {changed}"
    for key in ("fingerprint", "flags", "gradients", "modes", "types", "hooks", "forwards"):
        assert found[key] == expected[key], key


def unusual(backbone: Backbone) -> None:
    """Flags and modes as no loader leaves them, to see that they come back."""
    parameters = list(backbone.module.parameters())
    parameters[0].requires_grad_(False)
    parameters[-1].requires_grad_(False)
    for child in list(backbone.module.children())[:2]:  # a norm in training mode is among them
        child.train()


@pytest.fixture(scope="module", params=some(PAIRS))
def observed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    name, family = request.param
    backbone = tiny(family, **LOADED.get(family, {}))
    setting, method = setting_of(backbone, score=rising()), method_of(name, **SETTINGS.get(name, {}))
    unusual(backbone)
    before = condition(backbone)
    head = new_head(backbone, setting.task, method, 0)
    plan = method.attach(backbone, head)
    out = Observed(name, backbone, set(plan.trained()), tuple(e.place for e in plan.edits), before=before)
    batch = setting.validation.batch(torch.arange(5).numpy())
    model = Model(backbone.module, head)
    modes = dict(before["modes"])
    backbone.module.eval()
    with torch.no_grad():
        out.base_features = backbone.features(batch)
    for path, module in backbone.module.named_modules():
        module.training = modes[path]

    assert backbone.fingerprint == before["fingerprint"]  # asked for before anything is attached
    torch.manual_seed(0)
    with plan.applied(model, lambda module: backbone.reinitialise(module, derive(0, "scratch"))):
        job = Adaptation(
            model, backbone, plan, setting.task, setting.train, setting.validation, setting.options, setting.compute,
            setting.score, 0,
        )  # fmt: skip
        job.hold()
        model.eval()
        out.started = state_of(model)
        with torch.no_grad():
            out.first_features = backbone.features(batch)
        for start in [phase.start for phase in plan.timeline] or ([0.0] if plan.trained() else []):
            job.enter(start)
            allowed = {n for group in plan.active(start) for n in group.parameters}
            for micro in next(iter(job.steps(0, 0))):
                share_of(job.losses(micro, start)).backward()
            for key, parameter in model.named_parameters():
                if parameter.grad is not None:
                    out.graded.add(key)
                if key not in allowed and (parameter.grad is not None or parameter.requires_grad):
                    out.too_early.add(f"{key} at {start}")
                parameter.grad = None

    folder = tmp_path_factory.mktemp("artifact")
    with adapted(setting, method, 0) as done:
        out.ended = state_of(done.model)
        out.logits = logits_of(backbone, done.model.head, setting.validation, done.plan)
        save_adapted(folder, done, name, method, setting)
        twin = copy.deepcopy(done.model)
        with contextlib.suppress(ModelError):
            out.merged_layers = merge(twin.backbone)
            merged = replace(backbone, module=twin.backbone)
            out.merged_logits = logits_of(merged, twin.head, setting.validation, done.plan)
    out.after = condition(backbone)
    out.begun = {f"backbone.{n}": v for n, v in before["values"].items()}
    with reloaded(folder, backbone) as (artifact, again, plan):
        out.saved = artifact.tensors
        out.reloaded_logits = logits_of(backbone, again.head, setting.validation, plan)
    out.after_reload = condition(backbone)
    return out


def test_gradients_reach_what_the_plan_declares_and_nothing_else(observed: Observed) -> None:
    solved = UNGRADED.get(observed.method)
    expected = {n for n in observed.declared if solved is None or not n.startswith(solved)}
    assert observed.graded == expected
    assert not observed.too_early


def test_leaving_the_plan_restores_the_base_bit_for_bit(observed: Observed) -> None:
    same(observed.after, observed.before)
    same(observed.after_reload, observed.before)


def test_only_declared_parameters_changed(observed: Observed) -> None:
    changed = {
        n for n, v in observed.begun.items() if n in observed.ended and not torch.equal(v, observed.ended[n])
    }  # fmt: skip
    buffers = {f"backbone.{n}" for n, _ in observed.backbone.module.named_buffers()}
    random = {n for n in changed if n.startswith("backbone.") and observed.method in UNLEARNED}
    assert changed - buffers - random <= observed.declared
    if not any(n in observed.begun for n in observed.declared):  # a norm that does not train keeps its statistics
        assert not changed - random
    assert set(observed.begun) <= set(observed.ended)


def test_what_is_declared_moved(observed: Observed) -> None:
    """Every rung, every adapter and the head: a group left out of the optimizer would show here."""
    still = {n for n in observed.declared & set(observed.begun) if torch.equal(observed.ended[n], observed.begun[n])}
    assert not still


def test_saved_and_reloaded_gives_equal_logits(observed: Observed) -> None:
    torch.testing.assert_close(observed.reloaded_logits, observed.logits, rtol=0, atol=0)
    assert {name for name in observed.ended if name.startswith("head.")} <= set(observed.saved)


def test_merged_equals_unmerged(observed: Observed) -> None:
    if observed.method in UNMERGEABLE:
        assert observed.merged_layers is None
        return
    torch.testing.assert_close(observed.merged_logits, observed.logits, rtol=1e-4, atol=1e-4)
    assert observed.merged_layers == len(observed.edits)


def test_additive_methods_begin_as_the_base_and_end_elsewhere(observed: Observed) -> None:
    if not observed.edits:
        return
    if observed.method in BEGINS_ELSEWHERE:
        assert not torch.allclose(observed.first_features, observed.base_features, rtol=1e-4, atol=1e-4)
        return
    torch.testing.assert_close(observed.first_features, observed.base_features, rtol=1e-5, atol=1e-5)
    added = {n for n in observed.declared - set(observed.begun) if not n.startswith("head.")}
    assert added
    still = {n for n in added if torch.equal(observed.ended[n], observed.started[n])}
    assert not still, "added parameters that training did not move"


FROZEN = [(method, backbone) for backbone in (*BACKBONES, "dropouts") for method in KEPT]


@pytest.mark.parametrize("pair", some(FROZEN, {method: number for number, method in enumerate(KEPT)}))
def test_cached_equals_uncached(pair: tuple[str, str]) -> None:
    """Predictions and trained weights, after steps in which dropout and the upper rungs were at work."""
    name, family = pair
    backbone = tiny(family, **LOADED.get(family, {}))
    found = {}
    settings = SETTINGS.get(name, {}) | ({} if name == "probe" else {"learning_rate": 1e-3})
    for cache in (True, False):
        setting = setting_of(backbone, cache=cache, epochs=3, score=rising())
        with adapted(setting, method_of(name, **settings), 0) as done:
            kept = state_of(done.model)
            logits = done.job.logits(setting.validation)
            found[cache] = kept, logits, done.trace.losses, setting.cache
    (kept, logits, losses, cache), (plain, plain_logits, plain_losses, _) = found[True], found[False]
    if (family, name) in WHOLE:
        assert any("something below the cut reaches above it" in note for note in cache.notes)
    else:
        assert cache.notes == []
        assert name == "probe" or any(key[2] < len(backbone.ladder) for key in cache._stores)
    assert all(cache._stores.values())
    torch.testing.assert_close(logits, plain_logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.tensor(losses), torch.tensor(plain_losses), rtol=1e-4, atol=1e-5)
    worst = max(float((kept[n] - plain[n]).abs().max()) for n in plain if plain[n].is_floating_point())
    assert worst < 5e-4, worst


def test_whatever_lies_below_the_cut_is_in_eval_mode() -> None:
    """And what lies above it is not: at each cut, by the modes of a network that drops out everywhere."""
    backbone = tiny("dropouts")
    ladder, module = backbone.ladder, backbone.module
    assert [rung.modules for rung in ladder.rungs] == [("blocks.0",), ("blocks.1",), ("blocks.2",)]
    assert "fc" in ladder.tail
    training = {}
    for cut in range(len(ladder) + 1):
        train_above(module, ladder, cut)
        training[cut] = {name for name, part in module.named_modules() if part.training and name}
    drops = ["before", "blocks.0.drop", "blocks.1.drop", "blocks.2.drop", "fc.0"]
    found = {cut: [name in on for name in drops] for cut, on in training.items()}
    assert found == {0: [True] * 5, 1: [False, False, True, True, True], 2: [False] * 3 + [True] * 2, 3: [False] * 5}
    train_above(module, ladder, 1)
    assert not module.training, "its forward drops out values of rungs on both sides"


@pytest.mark.parametrize("amx", [False, True])
def test_cached_equals_uncached_within_the_rounding_of_bf16(amx: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward alone, a processor with AMX takes another kernel of attention than in a step."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx}, raising=False)
    backbone, bf16, found = tiny("timm_vit"), compute("cpu", "bf16"), []
    for cache in (True, False):
        setting = setting_of(backbone, cache=cache, epochs=3, score=rising())
        setting = replace(setting, compute=bf16, cache=Cache(backbone, bf16))
        with adapted(setting, method_of("freeze", learning_rate=1e-3), 0) as done:
            found.append(done.job.logits(setting.validation))
            assert cache == bool(setting.cache._stores)
    torch.testing.assert_close(*found, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("pair", some([*NOT_APPLICABLE]))
def test_what_does_not_apply_says_what_it_needs(pair: tuple[str, str]) -> None:
    name, family = pair
    backbone = tiny(family, **LOADED.get(family, {}))
    setting: Setting = setting_of(backbone)
    before = condition(backbone)
    with pytest.raises(MethodError, match=NOT_APPLICABLE[pair]), adapted(setting, method_of(name), 0):
        pass
    same(condition(backbone), before)


def test_every_method_of_the_registry_is_here() -> None:
    assert {method for method, _ in [*PAIRS, *NOT_APPLICABLE]} == set(METHODS.names())
