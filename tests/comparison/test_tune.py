"""The search spends its trials where validation gains, looks at every axis, and runs nothing twice."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import pytest

from headstart.comparison.bench import outcome
from headstart.comparison.tune import MOST_STEPS, Outcome, search, starts, tune
from headstart.core.records.trial import Run
from headstart.methods.heads.probe import Probe
from headstart.methods.layers.full import Full
from headstart.methods.method import Axis, Method


def chosen(asking: Any, axes: tuple[Axis, ...], *trials: int, method: Method, run: Callable[[Any], Outcome]) -> Method:
    """What a search chooses where each trial is a function call."""

    def attempt(candidate: Method) -> Generator[Any, None, Outcome]:
        return run(candidate)
        yield

    search = asking(method, axes, *trials, attempt)
    with pytest.raises(StopIteration) as ended:
        next(search)
    found: Method = ended.value.value
    return found


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

    return chosen(tune, axes, trials, method=Hill(), run=run), tried


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
    best = chosen(tune, (RATE,), 3, method=Hill(), run=lambda m: Outcome(float("nan") if m.rate > 1 else -1.0))
    assert isinstance(best, Hill)
    assert best.rate <= 1


def test_of_equal_scores_the_lower_loss_wins() -> None:
    best = chosen(tune, (RATE,), 2, method=Hill(), run=lambda m: Outcome(1.0, loss=1 / m.rate))
    assert best == Hill(rate=3.0)


@dataclass(frozen=True)
class Solved(Method):
    penalty: float = 30.0
    reads: str = "all"
    neighbours: int = 5


PENALTY, READS = Axis("penalty", factor=10.0), Axis("reads", values=("all", "top"))


@pytest.mark.parametrize("best", [30.0, 3e4, 0.3, 30 * 10.0**20])
def test_a_head_that_is_solved_is_searched_until_its_optimum_is_bracketed(best: float) -> None:
    tried: list[Solved] = []

    def run(method: Method) -> Outcome:
        assert isinstance(method, Solved)
        tried.append(method)
        return Outcome(-abs(math.log(method.penalty / best)))

    found = chosen(search, (PENALTY,), method=Solved(), run=run)
    assert isinstance(found, Solved)
    values = sorted(method.penalty for method in tried)
    assert len(values) == len(set(values)), "nothing is solved twice"
    if best < 1e20:
        assert found.penalty == pytest.approx(best)
        assert any(value == pytest.approx(best / 10) for value in values)
        assert any(value == pytest.approx(best * 10) for value in values)
    else:
        assert len(tried) <= MOST_STEPS + 2, "a criterion without optimum ends too"


def test_every_listed_value_is_tried_and_each_has_its_own_best_penalty() -> None:
    tried: list[Solved] = []

    def run(method: Method) -> Outcome:
        assert isinstance(method, Solved)
        tried.append(method)
        top = {"all": 3000.0, "top": 3.0}[method.reads]  # at 30, their common start, all is ahead
        return Outcome(-abs(math.log(method.penalty / top)) + (1 if method.reads == "top" else 0))

    found = chosen(search, (PENALTY, READS), method=Solved(), run=run)
    assert found == Solved(penalty=3.0, reads="top")
    assert {method.penalty for method in tried if method.reads == "all"} >= {300.0, 3000.0, 30000.0}
    listed = Axis("neighbours", values=(1, 3, 5, 10, 20))
    found = chosen(search, (listed,), method=Solved(), run=lambda one: Outcome(-abs(one.neighbours - 1)))
    assert found == Solved(neighbours=1), "worse at 3 than at 5 or not: all are tried"
    assert len(starts(Solved(), (listed, READS))) == 10


def test_where_all_fail_the_methods_own_values_stay() -> None:
    assert chosen(search, (PENALTY, READS), method=Solved(), run=lambda _: Outcome(math.nan)) == Solved()


def test_of_a_solved_head_the_loss_decides_and_of_a_trained_one_the_metric() -> None:
    def run(score: float, loss: float) -> Run:
        return Run(0, {}, "ok", score, loss, score, 1.0, None, 1, 0.1, None)

    sure, right = run(0.90, 0.30), run(0.91, 0.35)
    assert outcome(Probe(), sure).order > outcome(Probe(), right).order
    assert outcome(Full(), sure).order < outcome(Full(), right).order


def test_listed_values_need_no_order() -> None:
    assert READS.neighbours("all") == ("top", "all")
    assert READS.neighbours("top") == ("top", "all")
    assert Axis("neighbours", values=(1, 3, 5)).neighbours(4.4) == (5, 3)
