"""Averages of weights: between a start and what was tuned from it, and over several trainings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from headstart.core.records.comparison import Share
from headstart.engine.job import Evaluation
from headstart.engine.state.checkpoint import State


@dataclass(frozen=True)
class Ingredient:
    """A finished training of the same comparison."""

    name: str
    score: float
    loss: float
    seconds: float
    "that its training took"
    load: Callable[[], State]
    "its weights, by names of the model's"


def between(start: Mapping[str, Tensor], tuned: Mapping[str, Tensor], share: float) -> State:
    """`(1 - share) start + share tuned`, exact at both ends; integers are those of the nearer one."""
    if share in (0.0, 1.0):
        return dict(start if share == 0.0 else tuned)
    return {
        name: value + share * (tuned[name] - value) if value.is_floating_point() else
        (tuned[name] if share > 0.5 else value)
        for name, value in start.items()
    }  # fmt: skip


def interpolate(
    start: State, tuned: State, shares: Sequence[float], put: Callable[[State], None],
    judge: Callable[[], Evaluation | None],
) -> tuple[tuple[Share, ...], Evaluation | None]:  # fmt: skip
    """Puts the share into the model that is best on validation, of equals the smallest; gives the whole curve.

    Without validation there is nothing to choose by, and the tuned weights stay.
    """
    curve, best, chosen = [], None, tuned
    for share in sorted(shares):
        weights = between(start, tuned, share)
        put(weights)
        found = judge()
        if found is None:
            break
        curve.append(Share(share, found.value, found.loss))
        if best is None or (found.score, -found.loss) > (best.score, -best.loss):
            best, chosen = found, weights
    put(chosen)
    return tuple(curve), best


def greedy_soup(
    ingredients: Sequence[Ingredient], put: Callable[[State], None], judge: Callable[[], Evaluation | None]
) -> tuple[list[str], Evaluation | None]:
    """Puts the greedy average into the model; gives the names that went in.

    From the best on, each ingredient joins where the average with it does not score lower on validation. Sums are in
    float64, so that the order of equals changes no result that is seen. `judge` has to have validation examples.
    """
    ranked = sorted(ingredients, key=lambda one: (-one.score, one.loss, one.name))
    total: State = {}
    names: list[str] = []
    best: Evaluation | None = None
    kept: State = {}
    for one in ranked:
        weights = one.load()
        tried = {n: v.double() + total[n] if total else v.double() for n, v in weights.items()}
        average = {n: (v / (len(names) + 1)).to(weights[n].dtype) for n, v in tried.items()}
        put(average)
        found = judge()
        assert found is not None
        if best is None or found.score >= best.score:
            total, best, kept = tried, found, average
            names.append(one.name)
    put(kept)
    return names, best
