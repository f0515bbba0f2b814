"""The learning-rate finder: a short training in which the rate rises exponentially."""

from __future__ import annotations

from dataclasses import dataclass, replace

from headstart.core.progress import Progress
from headstart.engine.adapt import economical
from headstart.engine.adaptation import Adaptation
from headstart.engine.budget import Budget
from headstart.engine.fit import fit
from headstart.engine.runtime import Runtime
from headstart.engine.trace import smoothed
from headstart.methods.plan import Schedule


@dataclass(frozen=True)
class Found:
    """learning_rates and losses (smoothed) of each step; `suggestion` is the rate at which the loss falls fastest."""

    learning_rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float | None


def find_rate(
    job: Adaptation, *, low: float = 1e-6, high: float = 1.0, steps: int = 100, progress: Progress | None = None
) -> Found:
    """Trains `steps` steps with rates from `low` to `high`, equal in ratio, until the loss is four times its minimum.

    The suggestion is the rate of the steepest fall of the smoothed loss over the logarithm of the rate, between the
    tenth step and the minimum; None where the loss never fell. The model keeps what it learned: use it inside a
    plan's context, which puts the base back. Source: Smith 2015, "Cyclical Learning Rates for Training Neural
    Networks", section 3.3.
    """
    epochs = -(-steps // job.steps_an_epoch())
    share = steps / (epochs * job.steps_an_epoch())  # the schedule runs over whole epochs
    schedule = Schedule("exponential", warmup=0.0, ratio=(high / low) ** (1 / share))
    job.plan = replace(job.plan, schedule=schedule, learning_rate=low * schedule.ratio, timeline=())
    job.validation = job.validation.none()
    with economical(job):
        budget = Budget(epochs, clip=1e9, steps=steps, stop_factor=4.0)
        trace = fit(job, budget, Runtime(job.compute), progress=progress)
    losses = smoothed(trace.losses)
    return Found(tuple(trace.rates), tuple(losses), _steepest(trace.rates, losses))


def _steepest(rates: list[float], losses: list[float], skip: int = 10) -> float | None:
    """Where the loss falls most over a window of five steps; the steps are equal in log rate."""
    bottom = min(range(len(losses)), key=losses.__getitem__)
    falls = {i: losses[i - 2] - losses[i + 2] for i in range(max(2, skip), min(bottom + 1, len(losses) - 2))}
    best = max(falls, key=lambda i: falls[i], default=None)
    return rates[best] if best is not None and falls[best] > 0 else None
