"""The data audit as cells of a page: class counts per split, findings by severity."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.records.data import DataRecord, Finding

SEVERITIES = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class ClassCounts:
    label: str
    counts: list[int]
    "one per split"
    shares: list[float]
    "length of the bar, in percent of the largest class in that split"


def class_counts(record: DataRecord) -> list[ClassCounts]:
    """Rows of classes, the largest in the first split first; empty without classes."""
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
