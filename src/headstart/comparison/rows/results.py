"""Results of a comparison while it runs: the finished rows, and the record that they make at any time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from headstart.backbones.backbone import Backbone
from headstart.comparison.asked import Asked
from headstart.comparison.rows.mistakes import mistakes
from headstart.comparison.rows.table import rows_with_differences
from headstart.comparison.verdict.verdict import verdict
from headstart.core.records.comparison import Comparison, Forecast, Row, Verdict
from headstart.core.records.data import TaskRecord
from headstart.core.records.environment import EnvironmentRecord
from headstart.data.examples import Data
from headstart.stats.guess import margin_in
from headstart.stats.metrics import Metric
from headstart.stats.predictions import Predictions
from headstart.tasks.task import Task


@dataclass(eq=False)
class Results:
    data: Data
    backbone: Backbone
    asked: Asked
    metric: Metric
    metric_reason: str
    environment: EnvironmentRecord
    configuration: Mapping[str, Any]
    begun: float
    "start of the run by `time.perf_counter()`, less the duration before an interruption"
    rows: list[Row] = field(default_factory=list)
    predictions: dict[str, list[Predictions]] = field(default_factory=dict)
    "test predictions of each method that ran, one per seed"

    def add(self, row: Row, found: list[Predictions]) -> None:
        self.rows.append(row)
        if found:
            self.predictions[row.method] = found

    def record(self, status: str, forecast: Forecast | None) -> Comparison:
        """The record of all rows so far; methods without a row are listed as not run."""
        asked, metric, data = self.asked, self.metric, self.data
        done = {row.method for row in self.rows}
        pending = [
            Row(name, "not run", metric.name, control=method.control)
            for name, method in asked.methods.items()
            if name not in done
        ]
        described = [replace(row, summary=asked.methods[row.method].summary) for row in (*self.rows, *pending)]
        full = rows_with_differences(described, self.predictions, metric, task=data.task, parts=asked.parts)
        if any(row.status == "ok" for row in self.rows):
            margin = margin_in(metric, asked.margin)
            finding = verdict(full, metric, test_size=len(data.test), margin=margin, prefer=asked.prefer)
        else:
            finding = Verdict(None, "No method has finished, so there is no verdict.")
        used = self.predictions.get(finding.method or "", [])
        return Comparison(
            task=task_record(data.task, metric, self.metric_reason),
            model=self.backbone.record(),
            data=data.record,
            seeds=asked.seeds,
            environment=self.environment,
            rows=full,
            verdict=finding,
            configuration=dict(self.configuration),
            status=status,
            seconds=time.perf_counter() - self.begun,
            forecast=forecast,
            mistakes=mistakes(used, data.test, data.task) if used else (),
        )


def task_record(task: Task, metric: Metric, reason: str) -> TaskRecord:
    return TaskRecord(
        task.kind, task.modality, task.labels, metric.name, metric.higher_is_better, reason, task.noun, task.pipeline
    )
