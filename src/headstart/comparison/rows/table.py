"""Table of a comparison: statistics of each method on the test split, and tests against one reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headstart.comparison.verdict.claims import reference
from headstart.core.records.comparison import Gain, PartRow, Row, Score, StandardError
from headstart.stats.folds import Folds
from headstart.stats.guess import guess
from headstart.stats.intervals import interval
from headstart.stats.metrics import Metric
from headstart.stats.paired import Paired, compare, holm
from headstart.stats.predictions import Predictions
from headstart.tasks.task import Task

TELLING = ("auroc", "average_precision", "balanced_accuracy")
"metrics that are more sensitive than accuracy on imbalanced data, and equal for all constant predictions"

Runs = Sequence[Predictions]
"predictions of a method, one per seed"


def rows_with_differences(
    rows: Sequence[Row],
    predictions: Mapping[str, Runs],
    metric: Metric,
    *,
    task: Task | None = None,
    parts: Mapping[str, np.ndarray] | None = None,
    level: float = 0.95,
    draws: int = 2000,
    permutations: int = 5000,
    seed: int = 0,
    folds: Folds | None = None,
) -> tuple[Row, ...]:
    """The rows with statistics of their test predictions; rows without predictions are unchanged.

    predictions: one `Predictions` per seed by method, all on the same examples; in cross-validation one per fold.
    folds: structure of a cross-validation.
    task: gives the class names [default: the kind of the predictions, with numbers as names].
    parts: positions of the examples of a part of the test split, by name.
    Fills value, low, high, also, parts, classes and confusion; and, for all but the reference (best on validation,
    see `claims.reference`), difference, its interval and standard error, p_value, and p_adjusted by Holm over all of
    them, controls and stopped ones included. The reference has difference 0, no p-value, and its gains over a constant
    guess.

    Raises `ValueError` if two runs have different examples, or if scores are not finite.
    """
    bench = _Statistics(metric, task or _numbered(predictions), parts or {}, level, draws, permutations, seed, folds)
    filled = {
        i: bench.measured(row, predictions[row.method]) for i, row in enumerate(rows) if predictions.get(row.method)
    }
    best = reference(list(filled.values()), metric)
    if best is None:
        return tuple(filled.get(i, row) for i, row in enumerate(rows))
    top = predictions[best.method]
    tests = {i: bench.against(predictions[row.method], top) for i, row in filled.items() if row is not best}
    adjusted = dict(zip(tests, holm([test.p_value for test in tests.values()])))
    result = list(rows)
    for i, row in filled.items():
        if row is best:
            result[i] = bench.as_reference(row, top)
        else:
            result[i] = bench.compared(row, predictions[row.method], top, tests[i], adjusted[i])
    return tuple(result)


@dataclass(frozen=True)
class _Statistics:
    """Computes values, intervals and tests for all rows alike."""

    metric: Metric
    task: Task
    parts: Mapping[str, np.ndarray]
    level: float
    draws: int
    permutations: int
    seed: int
    folds: Folds | None

    def interval(self, runs: Runs, metric: Metric) -> tuple[float, float, float]:
        found = self.folds.interval if self.folds else interval
        return found(runs, metric, level=self.level, draws=self.draws, seed=self.seed)

    def measured(self, row: Row, runs: Runs) -> Row:
        value, low, high = self.interval(runs, self.metric)
        whole = self.folds.pooled(runs) if self.folds else runs
        parts = tuple(
            PartRow(name, len(places), *interval(part, self.metric, level=self.level, draws=self.draws))
            for (name, places), part in zip(self.parts.items(), self.by_part(runs))
        )
        also = tuple(Score(other.name, *self.interval(runs, other)) for other in self.task.beside(self.metric))
        return dataclasses.replace(
            row, metric=self.metric.name, value=value, low=low, high=high, also=also, parts=parts,
            classes=self.task.class_rows(whole), confusion=self.task.confusion(whole),
        )  # fmt: skip

    def by_part(self, runs: Runs) -> Iterator[Runs]:
        """The runs restricted to the examples of each part."""
        return ([run.take(places) for run in runs] for places in self.parts.values())

    def against(self, runs: Runs, others: Runs, metric: Metric | None = None) -> Paired:
        found = self.folds.compare if self.folds else compare
        return found(
            runs, others, metric or self.metric, permutations=self.permutations, seed=self.seed, level=self.level,
            draws=self.draws,
        )  # fmt: skip

    def compared(self, row: Row, runs: Runs, top: Runs, test: Paired, p_adjusted: float) -> Row:
        """The row of a method with differences from the reference."""
        parts = []
        for part, mine, best in zip(row.parts, self.by_part(runs), self.by_part(top)):
            found = self.against(mine, best)
            parts.append(
                dataclasses.replace(
                    part, difference=found.difference, difference_low=found.low, difference_high=found.high,
                    p_value=found.p_value,
                )
            )  # fmt: skip
        return dataclasses.replace(
            row, difference=test.difference, difference_low=test.low, difference_high=test.high, p_value=test.p_value,
            p_adjusted=p_adjusted, parts=tuple(parts),
            standard_error=_error(test),
        )  # fmt: skip

    def as_reference(self, row: Row, runs: Runs) -> Row:
        """The reference's row: difference zero, and gains over a constant guess."""
        parts = tuple(
            dataclasses.replace(part, difference=0.0, gain=self.gain(mine, self.task.chance_metric(self.metric)))
            for part, mine in zip(row.parts, self.by_part(runs))
        )
        return dataclasses.replace(
            row, difference=0.0, difference_low=0.0, difference_high=0.0, parts=parts,
            gains=tuple(self.gains(runs)),
        )  # fmt: skip

    def gains(self, runs: Runs) -> Iterator[Gain]:
        """Gains by the main metric; if it shows none, also by more sensitive metrics."""
        metric, known = self.task.chance_metric(self.metric), self.task.metrics
        yield (first := self.gain(runs, metric))
        if not first.shown(metric.higher_is_better, 1 - self.level):
            yield from (self.gain(runs, known[name]) for name in TELLING if name in known and name != metric.name)

    def gain(self, runs: Runs, metric: Metric) -> Gain:
        constant = [guess(run) for run in runs] if self.folds else [guess(runs[0])]
        found = self.against(runs, constant, metric)
        guessed = float(np.mean([metric.of(one) for one in constant]))
        return Gain(metric.name, guessed, found.difference, found.low, found.high, found.p_value, _error(found))


def _numbered(predictions: Mapping[str, Runs]) -> Task:
    first = next((runs[0] for runs in predictions.values() if runs), None)
    labels = () if first is None else tuple(map(str, range(first.scores.shape[-1])))
    return Task("single_label" if first is None else first.kind, "text", labels)


def _error(test: Paired) -> StandardError:
    return StandardError(test.error, test.seed_error, test.unit, test.freedom)
