"""Non-inferiority: is it shown that a difference lies above -margin? Finding no loss does not show that.

**Bound.** The one-sided lower bound at level alpha of a difference d (more is better) is

    d - a u - t sqrt(s^2 + s_seeds^2 + a u^2),    a = (z^2 + 2) / 3,

with s the standard error over examples or clusters, s_seeds the one from the spread between seeds, u the most that one
example can change (`Paired`), z the normal and t Student's quantile of alpha, with Satterthwaite's degrees of freedom.
The claim holds if the bound lies above -margin; its p-value is the alpha at which the bound equals -margin.

**Few examples that differ.** The a imagined losses stand for losses not observed yet. With c losses and no gain the
bound is the one of the Poisson distribution, c + a + z sqrt(c + a), up to terms that shrink with c (Cornish & Fisher
1938; (z^2 - 1) / 3 corrects for its skewness, 1 for continuity). So no loss among n examples shows that at most 3.6 / n
are lost, where the exact number is 3.0 / n; agreement never counts as certainty.

**Several claims.** If one is picked among several, Holm's correction keeps the probability of any false claim below
alpha (`claims`). Guards that must all hold are not corrected (intersection-union test, Berger 1982).

In simulations (`benchmarks/cases/gates_simulated.py`, numbers in docs/evaluate.md) false claims at the margin stay at
5 % with 100 to 3,000 examples and one to five seeds; `tests/stats/test_non_inferiority.py` adds fewer examples and
metrics near their ends. One seed per method can't show how much seeds differ: the claim then holds for the two trained
models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.special import ndtri, stdtr, stdtrit

from headstart.stats.paired import Paired, holm

ALPHA = 0.05
POWER = 0.8
"probability with which a planned number of examples decides"
MOST_EXAMPLES = 10**9


@dataclass(frozen=True)
class Claim:
    """The claim that one difference lies above -margin, among several such claims."""

    bound: float
    "lower bound of the difference; the bounds of all claims hold together with probability 1 - alpha"
    p_value: float
    p_adjusted: float
    "Holm's correction over all claims"
    shown: bool


def lower_bound(found: Paired, alpha: float = ALPHA) -> float:
    """One-sided lower bound of a difference, if more is better."""
    return found.difference - _allowance(found, alpha)


def upper_bound(found: Paired, alpha: float = ALPHA) -> float:
    return found.difference + _allowance(found, alpha)


def p_value(found: Paired, margin: float) -> float:
    """One-sided p-value of a difference at or below -margin: the alpha whose lower bound is -margin."""
    gap = found.difference + margin
    if math.isnan(gap + found.error):  # undefined on these examples, or a single example
        return 1.0

    def left(t: float) -> float:  # distance of the bound above -margin, which falls as t grows
        return gap - _allowance_at(found, t)

    most = 40.0
    if left(most) >= 0:
        return float(stdtr(found.freedom, -most)) if math.isfinite(found.freedom) else 0.0
    if left(-most) <= 0:
        return 1.0
    t = float(brentq(left, -most, most))
    return float(stdtr(found.freedom, -t))


def claims(found: Sequence[Paired], margin: float, alpha: float = ALPHA) -> list[Claim]:
    """One claim per difference that it lies above -margin, corrected for picking any of them."""
    p_values = [p_value(one, margin) for one in found]
    return [
        Claim(lower_bound(one, alpha / len(found)), p, adjusted, adjusted <= alpha)
        for one, p, adjusted in zip(found, p_values, holm(p_values))
    ]


def examples_needed(
    found: Paired, examples: int, margin: float, *, assumed: float | None = None, claims: int = 1, alpha: float = ALPHA,
    power: float = POWER,
) -> int | None:  # fmt: skip
    """Total number of examples that show with probability `power` that the difference lies above -margin.

    examples: number behind `found`; its standard error shrinks with the square root of the number, while the part of
        the seeds stays.
    assumed: the true difference; None for the observed one.
    claims: number of claims among which this one is picked.

    None if no number of examples shows it: a difference at or below -margin, or seeds that differ too much.
    """
    difference = found.difference if assumed is None else assumed
    t, chance = _quantile(alpha / claims, found.freedom), float(ndtri(power))

    def shows(total: float) -> bool:
        share = examples / total
        error, unit = found.error * math.sqrt(share), found.unit * share
        scaled = Paired(difference, math.nan, math.nan, math.nan, found.seed_error, error, unit, found.freedom)
        lost = _allowance_at(scaled, t) + chance * math.hypot(error, found.seed_error)
        return difference + margin > lost

    if not shows(MOST_EXAMPLES):
        return None
    low, high = 0, MOST_EXAMPLES  # low is too few, high enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(middle) else (middle, high)
    return high


def _quantile(alpha: float, freedom: float) -> float:
    return -float(stdtrit(freedom, alpha) if math.isfinite(freedom) else ndtri(alpha))


def _allowance(found: Paired, alpha: float) -> float:
    return _allowance_at(found, _quantile(alpha, found.freedom))


def _allowance_at(found: Paired, t: float) -> float:
    """Distance of the bound at Student's quantile t below the difference."""
    z = float(ndtri(stdtr(found.freedom, t))) if math.isfinite(found.freedom) else t
    losses = (min(max(z, 0.0), 8.0) ** 2 + 2) / 3
    variance = found.error**2 + found.seed_error**2 + losses * found.unit**2
    return losses * found.unit + t * math.sqrt(variance)
