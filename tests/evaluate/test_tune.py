"""The search spends its trials where validation gains, looks at every axis, and runs nothing twice."""

from __future__ import annotations

import math
from dataclasses import dataclass

from headstart.evaluate.tune import Outcome, tune
from headstart.methods.method import Axis, Method


@dataclass(frozen=True)
class Hill(Method):
    rate: float = 1.0
    share: float = 0.5


RATE, SHARE = Axis("rate", factor=3.0), Axis("share", values=(0.25, 0.5, 0.75))


def searched(top: Hill, trials: int, axes: tuple[Axis, ...] = (RATE, SHARE)) -> tuple[Method, list[Hill]]:
    """The choice and all trials, on a hill whose top is `top`."""
    tried: list[Hill] = []

    def run(method: Method) -> Outcome:
        assert isinstance(method, Hill)
        tried.append(method)
        return Outcome(-abs(math.log(method.rate / top.rate)) - 4 * abs(method.share - top.share))

    return tune(Hill(), axes, trials, run), tried


def test_follows_a_slope_up_and_down() -> None:
    assert searched(Hill(rate=27.0), 6, (RATE,))[0] == Hill(rate=27.0)
    down, _ = searched(Hill(rate=1 / 9), 6, (RATE,))
    assert isinstance(down, Hill)
    assert math.isclose(down.rate, 1 / 9)


def test_three_trials_look_at_both_axes() -> None:
    _, tried = searched(Hill(), 3)
    assert {m.rate for m in tried} == {1.0, 3.0}
    assert {m.share for m in tried} == {0.5, 0.75}


def test_never_more_trials_and_never_one_twice() -> None:
    for trials in range(1, 15):
        best, tried = searched(Hill(rate=2.0, share=0.25), trials)
        assert len(tried) <= trials
        assert len(set(tried)) == len(tried)
        assert best in tried


def test_refines_between_the_steps() -> None:
    best, _ = searched(Hill(rate=math.sqrt(3.0)), 9, (RATE,))
    assert isinstance(best, Hill)
    assert math.isclose(best.rate, math.sqrt(3.0))


def test_a_diverged_trial_is_never_chosen_over_one_that_ran() -> None:
    best = tune(Hill(), (RATE,), 3, lambda m: Outcome(float("nan") if m.rate > 1 else -1.0))  # type: ignore[attr-defined]
    assert isinstance(best, Hill)
    assert best.rate <= 1


def test_of_equal_scores_the_lower_loss_wins() -> None:
    best = tune(Hill(), (RATE,), 2, lambda m: Outcome(1.0, loss=1 / m.rate))  # type: ignore[attr-defined]
    assert best == Hill(rate=3.0)
