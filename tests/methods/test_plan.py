"""Plans as data: what is active, what has been touched, and gradual phases."""

from __future__ import annotations

import pytest
from torch import nn

from backbones.tiny import tiny
from headstart.core.errors import MethodError
from headstart.methods.method import gradual
from headstart.methods.plan import Beside, Edit, Group, Model, Phase, Plan


def state(model: nn.Module) -> tuple[dict[str, nn.Module], list[str]]:
    """Its modules by name, and the names of those whose forward is replaced."""
    modules = dict(model.named_modules())
    return modules, [name for name, module in modules.items() if "forward" in module.__dict__]


GROUPS = (Group("low", ("backbone.a",), 0), Group("high", ("backbone.b",), 1), Group("head", ("head.weight",), 2))


def test_the_cut_remembers_what_was_touched_before() -> None:
    """A plan that trains everything first and the head afterwards has left the base for good."""
    plan = Plan(GROUPS, timeline=(Phase(0.0, ("head",)), Phase(0.3, ("low", "high")), Phase(0.6, ("head",))))
    assert [plan.cut(f) for f in (0.0, 0.29, 0.3, 0.6, 1.0)] == [2, 2, 0, 0, 0]
    assert [g.name for g in plan.active(0.7)] == ["head"]
    assert Plan(GROUPS[1:]).cut(0.0) == 1
    late = Plan(GROUPS, timeline=(Phase(0.5, ("head",)),))
    assert [g.name for g in late.active(0.2)] == ["low", "high", "head"]
    assert [late.cut(f) for f in (0.0, 0.2, 0.5, 1.0)] == [0, 0, 0, 0], "before its first phase all groups train"
    assert late.prefixes(2) == [(0, "top"), (0, "top")]
    assert Plan(GROUPS[2:], fresh=(0, 1)).cut(0.0) == 0


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        (2, [(0.0, 0), (0.6, 4)]),
        (3, [(0.0, 0), (0.3, 2), (0.6, 4)]),
        (99, [(0.0, 0), (0.15, 1), (0.3, 2), (0.45, 3), (0.6, 4)]),
    ],
)
def test_gradual_phases(stages: int, expected: list[tuple[float, int]]) -> None:
    rungs = tuple(Group(str(i), (str(i),), i) for i in range(4))
    phases = gradual((*rungs, Group("head", ("h",), 4)), 0.6, stages)
    assert [(pytest.approx(p.start), len(p.groups) - 1) for p in phases] == expected
    for phase in phases:
        free = len(phase.groups) - 1
        assert set(phase.groups) == {"head", *(str(i) for i in range(4 - free, 4))}


def test_a_parameter_that_does_not_exist_is_told_and_nothing_stays() -> None:
    backbone = tiny("mlp")
    model = Model(backbone.module, nn.Linear(32, 2))
    before = state(model)
    plan = Plan((Group("x", ("backbone.none",), 0),), edits=(Edit("backbone.1", lambda m: Beside(), "beside"),))
    with pytest.raises(MethodError, match="do not exist: backbone.none"), plan.applied(model):
        pass
    assert state(model) == before


def test_an_edit_that_fails_puts_the_others_back() -> None:
    backbone = tiny("mlp")
    model = Model(backbone.module, nn.Linear(32, 2))
    before = state(model)

    def fails(module: nn.Module) -> nn.Module:
        raise RuntimeError("no")

    plan = Plan((), edits=(Edit("backbone.1", lambda m: Beside(), "beside"), Edit("backbone.3", fails, "fails")))
    with pytest.raises(RuntimeError, match="no"), plan.applied(model):
        pass
    assert state(model) == before
