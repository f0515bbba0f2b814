"""The table: each method's row with its statistics on the test split, all tested against one reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from headstart.core.comparison import PartRow, Row, Score
from headstart.evaluate.intervals import interval
from headstart.evaluate.metrics import Metric, beside, confusion, per_class
from headstart.evaluate.paired import compare, holm
from headstart.evaluate.predictions import Predictions
from headstart.evaluate.verdict import reference


def rows_with_differences(
    rows: Sequence[Row],
    predictions: Mapping[str, Sequence[Predictions]],
    metric: Metric,
    *,
    labels: Sequence[str] = (),
    parts: Mapping[str, np.ndarray] | None = None,
    level: float = 0.95,
    draws: int = 2000,
    permutations: int = 5000,
    seed: int = 0,
) -> tuple[Row, ...]:
    """The same rows, filled from their test predictions; rows that did not run stay as they are.

    predictions: method -> one `Predictions` a seed, all on the same examples.
    parts: name -> positions of the examples of a part of the test split.
    Filled: value, low, high, also, parts, classes and confusion; and, for all but the reference (best on validation,
    see `verdict.reference`), difference, its interval, p_value, and p_adjusted by Holm over all of them, controls
    included. The reference has difference 0 and no p-value.

    Raises `ValueError` where two runs hold different examples, or an `ok` row has scores that are not finite.
    """
    filled = {
        i: _measured(row, predictions[row.method], metric, labels, parts or {}, level, draws, seed)
        for i, row in enumerate(rows)
        if row.status == "ok" and predictions.get(row.method)
    }
    best = reference(list(filled.values()), metric)
    if best is None:
        return tuple(rows)
    others = {i: row for i, row in filled.items() if row is not best}
    tests = {
        i: compare(
            predictions[row.method],
            predictions[best.method],
            metric,
            permutations=permutations,
            seed=seed,
            level=level,
            draws=draws,
        )
        for i, row in others.items()
    }
    adjusted = dict(zip(tests, holm([test.p_value for test in tests.values()])))
    result = []
    for i, row in enumerate(rows):
        if i in tests:
            test = tests[i]
            row = dataclasses.replace(
                filled[i],
                difference=test.difference,
                difference_low=test.low,
                difference_high=test.high,
                p_value=test.p_value,
                p_adjusted=adjusted[i],
            )
        elif i in filled:
            row = dataclasses.replace(filled[i], difference=0.0, difference_low=0.0, difference_high=0.0)
        result.append(row)
    return tuple(result)


def _measured(
    row: Row,
    runs: Sequence[Predictions],
    metric: Metric,
    labels: Sequence[str],
    parts: Mapping[str, np.ndarray],
    level: float,
    draws: int,
    seed: int,
) -> Row:
    value, low, high = interval(runs, metric, level=level, draws=draws, seed=seed)
    names = labels or [str(i) for i in range(runs[0].scores.shape[1])]
    return dataclasses.replace(
        row,
        metric=metric.name,
        value=value,
        low=low,
        high=high,
        also=tuple(
            Score(other.name, *interval(runs, other, level=level, draws=draws, seed=seed))
            for other in beside(runs[0].kind, runs[0].scores.shape[1], metric)
        ),
        classes=per_class(runs, names),
        confusion=confusion(runs, runs[0].scores.shape[1]),
        parts=tuple(
            PartRow(name, len(rows), *interval([run.take(rows) for run in runs], metric, level=level, draws=draws))
            for name, rows in parts.items()
        ),
    )
