"""Quality against cost of an evaluation: base, tuned models and other offers, with the efficient frontier (Pareto)."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.records.evaluation import CheckRecord, Evaluation, Judged
from headstart.report import format as fmt
from headstart.report.charts.scatter import Cost, Scatter, chart


@dataclass(frozen=True)
class Spot:
    """One model as a point."""

    method: str
    value: float | None
    low: float | None
    high: float | None
    spent: float | None
    control: bool = False


def tradeoff(found: Evaluation) -> tuple[Scatter, Scatter, str] | None:
    """Charts for wide and narrow screens, and the metric; None without a target check or without costs of two models.

    The cost is money if the suite gives the price of an hour, else the latency of one example.
    """
    targets = [(one, _target(one)) for one in found.models if one.checks]
    if not targets or found.base_cost is None or len({check.check for _, check in targets}) > 1:
        return None
    money = found.base_cost.money is not None
    first = targets[0][1]
    spots = [
        _spot(
            "base" if found.against == "base" else "other",
            first.base.value,
            first.base.low,
            first.base.high,
            found.base_cost,
            money,
        )
    ]
    spots += [
        _spot(one.name, c.tuned.value, c.tuned.low, c.tuned.high, one.cost, money) for one, c in targets if one.cost
    ]
    if money:
        spots += [Spot(one.name, one.quality, None, None, one.money) for one in found.externals]
    cost = Cost(
        "spent", "cost" if money else "latency",
        f"{found.currency} a thousand examples" if money else "Latency of one example",
        (lambda number: f"{number or 0:.3g}") if money else fmt.seconds, time=not money,
    )  # fmt: skip
    sign = -1 if first.higher_is_better else 1
    spots.sort(key=lambda spot: sign * (spot.value or 0.0))
    drawn = [chart(spots, first.metric, first.higher_is_better, cost, None, *size) for size in ((920, 430), (350, 400))]
    return None if drawn[0] is None or drawn[1] is None else (drawn[0], drawn[1], first.metric)


def _target(one: Judged) -> CheckRecord:
    """The check that has to improve, else the first check."""
    return next((check for check in one.checks if check.gate == "improved"), one.checks[0])


def _spot(name: str, value: float, low: float, high: float, cost: object, money: bool) -> Spot:
    return Spot(name, value, low, high, getattr(cost, "money" if money else "p50_seconds"))
