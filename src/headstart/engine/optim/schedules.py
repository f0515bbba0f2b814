"""Learning-rate schedules: the factor of the peak rate at a share t in [0, 1) of the steps."""

from __future__ import annotations

import math

from headstart.methods.plan import Schedule


def factor(schedule: Schedule, t: float) -> float:
    """With warm-up share w and ratio R, after the rise from 0 to 1 over t in [0, w):

    constant: `1`. linear: `(1 - t) / (1 - w)`. cosine: `(1 + cos(pi (t - w) / (1 - w))) / 2`.
    one_cycle: cosine from `1/R` up to 1, then cosine down to `1/(R 10^3)` (Smith & Topin 2017; as PyTorch has it).
    slanted_triangular: `(1 + p (R - 1)) / R` with p = t/w rising, `(1 - t)/(1 - w)` falling
        (Howard & Ruder 2018, equation 3).
    exponential: `R^t / R`, rising, for the learning-rate finder (Smith 2015).
    """
    w, ratio = schedule.warmup, schedule.ratio
    rising = t < w
    p = t / w if rising else (1 - t) / (1 - w) if w < 1 else 1.0
    match schedule.name:
        case "constant":
            return p if rising else 1.0
        case "linear":
            return p
        case "cosine":
            return p if rising else 0.5 * (1 + math.cos(math.pi * (1 - p)))
        case "one_cycle":
            low = 1 / ratio if rising else 1 / (ratio * 1e3)
            return low + (1 - low) * 0.5 * (1 - math.cos(math.pi * p))
        case "slanted_triangular":
            return (1 + p * (ratio - 1)) / ratio
        case "exponential":
            return ratio**t / ratio
    raise AssertionError(schedule.name)
