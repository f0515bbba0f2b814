"""The data audit as plain cells: class counts side by side for the splits, findings by severity."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.records.comparison import DataRecord, Finding

SEVERITIES = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class ClassCounts:
    label: str
    counts: list[int]
    "one a split"
    shares: list[float]
    "percent of the largest class in that split, for the bar"


def class_counts(record: DataRecord) -> list[ClassCounts]:
    """Largest class of the first split first; empty where there are no classes."""
    labels = list(dict.fromkeys(label for split in record.splits for label in split.class_counts))
    largest = [max(split.class_counts.values(), default=0) or 1 for split in record.splits]
    rows = []
    for label in labels:
        counts = [split.class_counts.get(label, 0) for split in record.splits]
        rows.append(ClassCounts(label, counts, [round(100 * n / most, 1) for n, most in zip(counts, largest)]))
    return sorted(rows, key=lambda row: [-n for n in row.counts])


def findings(record: DataRecord) -> list[Finding]:
    """Errors first, then warnings, then notes."""
    return sorted(record.findings, key=lambda finding: SEVERITIES.get(finding.severity, 3))
