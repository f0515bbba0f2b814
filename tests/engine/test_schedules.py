"""Schedules against torch's and transformers' schedulers, and against the formulas as the papers have them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from backbones.tiny import tiny
from contract.settings import method_of, setting_of
from headstart.engine.adapt import adapted
from headstart.engine.optim.schedules import factor
from headstart.methods.plan import Schedule

TOTAL, RISE = 40, 10


def _optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)


def _rates(scheduler: torch.optim.lr_scheduler.LRScheduler, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(scheduler.get_last_lr()[0])
        scheduler.optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("name", ["constant", "linear", "cosine"])
def test_warm_up_and_decay_as_in_transformers(name: str) -> None:
    import transformers

    make = getattr(transformers, f"get_{name}_schedule_with_warmup")
    arguments = (RISE,) if name == "constant" else (RISE, TOTAL)
    expected = _rates(make(_optimizer(), *arguments), TOTAL)
    found = [factor(Schedule(name, warmup=RISE / TOTAL), step / TOTAL) for step in range(TOTAL)]
    assert found == pytest.approx(expected, abs=1e-7)


def test_one_cycle_as_in_torch() -> None:
    """Torch's peak lies at step pct T - 1 of T - 1; as a share (pct T - 1) / (T - 1)."""
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        _optimizer(), max_lr=1.0, total_steps=TOTAL, pct_start=RISE / TOTAL, div_factor=25.0, final_div_factor=1e3
    )
    expected = _rates(scheduler, TOTAL - 1)
    schedule = Schedule("one_cycle", warmup=(RISE - 1) / (TOTAL - 1), ratio=25.0)
    found = [factor(schedule, step / (TOTAL - 1)) for step in range(TOTAL - 1)]
    assert found == pytest.approx(expected, abs=1e-7)
    assert max(found) == pytest.approx(1.0)


def test_slanted_triangular_as_in_the_paper() -> None:
    """Howard & Ruder 2018, equation 3, with T = 200, cut_frac = 0.1, ratio = 32, as it stands there."""
    T, cut_frac, ratio = 200, 0.1, 32
    cut = math.floor(T * cut_frac)

    def paper(t: int) -> float:
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_frac - 1))
        return (1 + p * (ratio - 1)) / ratio

    found = [factor(Schedule("slanted_triangular", cut_frac, ratio), t / T) for t in range(T)]
    assert found == pytest.approx([paper(t) for t in range(T)], abs=1e-12)
    assert found[0] == 1 / 32
    assert max(found) == found[cut] == 1.0


def test_exponential_rises_by_the_ratio() -> None:
    schedule = Schedule("exponential", warmup=0.0, ratio=1e6)
    assert factor(schedule, 0.0) == pytest.approx(1e-6)
    assert factor(schedule, 0.5) == pytest.approx(1e-3)
    assert factor(schedule, 1.0) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["constant", "linear", "cosine", "one_cycle", "slanted_triangular"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 1.0])
def test_between_0_and_1_at_the_edges_of_warm_up(name: str, warmup: float) -> None:
    values = [factor(Schedule(name, warmup), (step + 0.5) / 9) for step in range(9)]
    assert all(0 < value <= 1 for value in values)


@pytest.mark.parametrize(("name", "expected"), [("linear", [1 / 6, 0.5, 5 / 6, 5 / 6, 0.5, 1 / 6]), ("constant", None)])
def test_the_loop_takes_the_middle_of_each_step(name: str, expected: list[float] | None) -> None:
    """6 steps, the first half of them rising: no step has rate 0."""
    setting = setting_of(tiny("mlp"), epochs=2)
    with adapted(setting, method_of("full", schedule=name, warmup=0.5, learning_rate=3e-3), 0) as done:
        expected = expected or [1 / 6, 0.5, 5 / 6, 1, 1, 1]
        assert done.trace.rates == pytest.approx([3e-3 * value for value in expected])
