"""The row of a method in the table, from its trainings and their test predictions."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from headstart.artifacts.artifact import fields_of
from headstart.comparison.race.race import told
from headstart.comparison.trials.containment import Failed
from headstart.comparison.trials.workshop import Workshop
from headstart.core.errors import MethodError
from headstart.core.records.comparison import Row
from headstart.core.records.training import SeedRun, Shortened, Stop, Trial
from headstart.core.records.trial import Run
from headstart.methods.method import Method
from headstart.stats.predictions import Predictions


@dataclass(frozen=True)
class Tuned:
    """What the search for a method's configuration came to."""

    name: str
    method: Method
    "as the user set it"
    chosen: Method
    runs: Sequence[Run]
    "trainings of the chosen configuration, one per seed"
    trials: Sequence[tuple[Method, Run]]
    "all trainings on the first seed"
    failures: Mapping[Method, Exception]
    "configurations that failed"
    stopped: Stop | None = None
    "set if a race stopped the method; runs are then its last completed trainings"

    @property
    def tuning_seconds(self) -> float:
        """Without the cost of the cache for all but the first training, because it was filled once."""
        seconds = sum(run.seconds - run.charged for _, run in self.trials)
        return seconds + (self.trials[0][1].charged if self.trials else 0.0)

    @property
    def diverged(self) -> str | None:
        return next((run.status for run in self.runs if run.status != "ok"), None)


def row_of(tried: Tuned, found: Sequence[Predictions], latencies: Sequence[float], workshop: Workshop) -> Row:
    """The row of a method that ran. found: test predictions, one per seed; latencies: seconds for one example."""
    best = max(tried.runs, key=lambda run: (run.score or 0.0, -(run.validation_loss or 0.0)))
    values = [run.validation_value for run in tried.runs]
    metric, stopped = workshop.metric, tried.stopped
    return Row(
        method=tried.name,
        status=told(stopped, metric) if stopped else "ok",
        metric=metric.name,
        configuration=fields_of(tried.chosen),
        validation_value=None if None in values else statistics.fmean(value or 0.0 for value in values),
        learning_rate=getattr(tried.chosen, "learning_rate", None),
        trained_parameters=best.trained_parameters,
        trained_share=best.trained_share,
        peak_memory_bytes=max((run.peak_memory_bytes or 0 for run in tried.runs), default=0) or None,
        train_seconds=statistics.median(run.seconds for run in tried.runs),
        tuning_seconds=tried.tuning_seconds,
        latency_seconds=statistics.median(latencies),
        tokens_in=best.tokens_in,
        tokens_out=best.tokens_out,
        artifact_bytes=best.artifact_bytes,
        control=tried.method.control,
        seeds=tuple(
            SeedRun(
                run.seed, run.validation_value, metric.of(one), run.seconds, run.best_epoch, run.curve,
                run.interpolation,
            )
            for run, one in zip(tried.runs, found)
        ),
        trials=trials_of(tried, workshop),
        notes=tuple(dict.fromkeys(note for run in tried.runs for note in run.notes)),
        stopped=stopped,
        shortened=None if stopped else _shortened(min(run.share for run in tried.runs), workshop),
    )  # fmt: skip


def row_of_diverged(tried: Tuned, status: str, workshop: Workshop) -> Row:
    return Row(
        tried.name, status, workshop.metric.name, fields_of(tried.chosen), control=tried.method.control,
        trials=trials_of(tried, workshop), tuning_seconds=tried.tuning_seconds,
    )  # fmt: skip


def row_of_failed(name: str, method: Method, error: Exception, metric: str, folder: Path) -> Row:
    """The row of a method that does not fit, or whose code or GPU failed; others may still run."""
    if isinstance(error, MethodError):
        return Row(name, status_of(name, error), metric, control=method.control)
    notes = (f"traceback: {error.file.relative_to(folder)}",) if isinstance(error, Failed) else ()
    return Row(name, status_of(name, error), metric, fields_of(method), control=method.control, notes=notes)


def status_of(name: str, error: Exception) -> str:
    if isinstance(error, MethodError):
        return f"not applicable: {str(error).removeprefix(name.partition('@')[0] + ': ')}"
    return f"failed: {(str(error).strip() or type(error).__name__).splitlines()[0][:300]}"


def trials_of(tried: Tuned, workshop: Workshop) -> tuple[Trial, ...]:
    """All configurations that were tried, with the fields in which they differ; failed ones last."""
    settled = workshop.settled(tried.method)

    def changed(candidate: Method) -> dict[str, Any]:
        tuned = [axis.name for axis in candidate.axes(workshop.backbone)]
        return {
            field.name: getattr(candidate, field.name)
            for field in fields(candidate)
            if field.name in tuned or getattr(candidate, field.name) != getattr(settled, field.name)
        }

    ran = [
        Trial(
            changed(candidate), run.validation_value, run.validation_loss, run.seconds, run.status,
            candidate == tried.chosen,
        )
        for candidate, run in tried.trials
    ]  # fmt: skip
    failed = [
        Trial(changed(candidate), None, status=status_of("", error)) for candidate, error in tried.failures.items()
    ]
    return (*ran, *failed)


def _shortened(share: float, workshop: Workshop) -> Shortened | None:
    if share >= 1:
        return None
    epochs, examples, usual = *workshop.seen(share), workshop.options.epochs
    assert usual is not None
    return Shortened(epochs, examples, usual)
