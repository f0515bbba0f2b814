"""Weight interpolation between a start and the weights tuned from it (WiSE-FT)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from headstart.core.records.training import Share
from headstart.engine.job import Evaluation
from headstart.engine.state.checkpoint import State


def between(start: Mapping[str, Tensor], tuned: Mapping[str, Tensor], share: float) -> State:
    """`(1 - share) start + share tuned`, exact at both ends; integers are those of the nearer end."""
    if share in (0.0, 1.0):
        return dict(start if share == 0.0 else tuned)
    return {
        name: value + share * (tuned[name] - value)
        if value.is_floating_point()
        else (tuned[name] if share > 0.5 else value)
        for name, value in start.items()
    }


def interpolate(
    start: State, tuned: State, shares: Sequence[float], put: Callable[[State], None],
    judge: Callable[[], Evaluation | None],
) -> tuple[tuple[Share, ...], Evaluation | None]:  # fmt: skip
    """Puts the share into the model that is best on validation, the smallest of equals; returns the whole curve.

    Without validation the tuned weights stay.
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
