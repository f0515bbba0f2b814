"""A race's time: what it will take, how long all may train in what is left, and who can still be finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.core.comparison import Forecast
from headstart.engine.forecast import Cost
from headstart.evaluate.race import HEATS

RESERVE = 0.05
"share of the remaining time that is kept for what no forecast sees"
ENDING = 2
"of a training, in pauses: it is saved, read again and tested"
LEAST_STEPS = 100
"of a training, however short the budget: after a ninth of fewer, nothing is to be seen yet"


def forecast(
    starters: Sequence[str], costs: Mapping[str, Cost], seeds: int, epochs: int | None = None
) -> Forecast | None:
    """From the first heat and one finalist with all seeds, to everything in full (but one configuration a method).

    starters: the method of each; costs: of one training by method. To get below the least, a method would have to stop
    at the first heat: under a budget some do.
    """
    if not starters:
        return None
    every = [costs[name] for name in starters]
    pauses = sum(found.pause_seconds for found in every)
    first, second = (sum(found.seconds for found in every) * share for share in (HEATS[0], HEATS[-1]))
    each = [(found.seconds, found.pause_seconds) for found in costs.values()]
    rest = [seconds * (seeds - HEATS[-1]) + seeds * ENDING * pause for seconds, pause in each]
    last_heat = sum(seconds * (HEATS[-1] - HEATS[0]) + pause for seconds, pause in each)
    least = first + pauses + last_heat + min(rest)
    most = second + len(HEATS) * pauses + sum(rest)
    peak = max((c.peak_memory_bytes or 0 for c in costs.values()), default=0) or None
    return Forecast(least, most, peak, epochs, sum(found.state_bytes for found in every))


def said(forecast: Forecast, seconds: float | None = None, peak: int | None = None) -> str:
    """The forecast in words; beside what it came to, once that is known."""
    span = f"{forecast.least_seconds:.0f} to {forecast.most_seconds:.0f} s"
    memory = f"at least {(forecast.peak_memory_bytes or 0) / 1e9:.1f} GB"
    if seconds is None:
        return f"forecast {span}, by how many go on, {memory} of memory and {forecast.disk_bytes / 1e9:.1f} GB of disk"
    return f"{seconds:.0f} s (forecast {span}), {(peak or 0) / 1e9:.1f} GB of memory (forecast {memory})"


def epochs_within(seconds: float, costs: Sequence[Cost], usual: int, steps: int) -> int:
    """The most epochs of so many steps with which one training of each fits, but no fewer than for `LEAST_STEPS`.

    costs: with the `usual` epochs, which are never exceeded.
    """
    left = seconds * (1 - RESERVE) - sum(cost.pause_seconds for cost in costs) * (len(HEATS) + ENDING)
    each = sum(cost.seconds for cost in costs) / usual
    return min(usual, max(-(-LEAST_STEPS // steps), int(left / each)))


def going_on(
    trainings: Sequence[tuple[float, float]], number: int, seconds: float, seeds: int
) -> tuple[list[bool], int]:
    """Who may go on after heat `number` with the seconds that are left, and with how many seeds they then finish.

    trainings: the seconds of a whole one and of its pause, best first. Who is to finish is settled at the last heat;
    until then time is kept for one of them, whichever it is.
    """
    left, last = seconds * (1 - RESERVE), number == len(HEATS) - 1
    if last:
        costs = [whole * (1 - HEATS[number]) + ENDING * pause for whole, pause in trainings]
    else:
        costs = [whole * (HEATS[number + 1] - HEATS[number]) + pause for whole, pause in trainings]
        left -= max(whole * (1 - HEATS[-1]) + ENDING * pause for whole, pause in trainings)
    going = affordable(costs, left)
    if last:
        spare = left - sum(cost for cost, goes in zip(costs, going) if goes)
        again = sum(whole + ENDING * pause for (whole, pause), goes in zip(trainings, going) if goes)
        seeds = max(1, min(seeds, 1 + int(spare / again)))
    return going, seeds


def affordable(costs: Sequence[float], left: float) -> list[bool]:
    """Which runners, best first, go on with the time that is left: each that still fits, and the first in any case."""
    going, spent = [], 0.0
    for place, cost in enumerate(costs):
        goes = place == 0 or spent + cost <= left
        spent += cost if goes else 0.0
        going.append(goes)
    return going
