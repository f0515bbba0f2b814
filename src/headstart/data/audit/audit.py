"""Data audit: problems that no metric shows, such as leaks and duplicates. It changes no row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from headstart.core.chat import Chat
from headstart.data.audit import image_checks, near_duplicates
from headstart.data.audit.findings import SHOWN, Findings
from headstart.data.audit.prints import Prints, asked
from headstart.data.ingest.store import HOLDS, gather

FEW = 5
"minimum number of training examples of a class that is not rare"
IMBALANCE = 10
"ratio of the largest to the smallest class from which class weights are suggested"
NAMES = ("train", "validation", "test")


def audit(
    table: pa.Table,
    prints: Prints,
    split: np.ndarray,
    targets: np.ndarray,
    labels: Sequence[str],
    groups: np.ndarray | None,
    findings: Findings,
) -> None:
    """Finds duplicates, leaks, conflicting labels, near duplicates, split groups, rare classes, imbalance and units.

    split: [n] int8, 0 train, 1 validation, 2 test, -1 for rows left out. targets: as in `Examples`, of all rows.
    groups: [n] codes or None.
    """
    _duplicates(table, prints.digest, split, findings)
    _leaks(table, prints, split, findings)
    if labels or targets.ndim == 3:
        _conflicts(table, prints.digest, np.flatnonzero(split >= 0), targets, findings)
        if labels and prints.small is not None:
            _look_alikes(table, prints, np.flatnonzero(split >= 0), targets, findings)
    if prints.answers is not None:
        _other_answers(table, prints.digest, prints.answers, np.flatnonzero(split >= 0), findings)
    _near(table, prints, split, findings)
    if groups is not None:
        _crossing_groups(table, groups, split, findings)
    if labels:
        _classes(split, targets, labels, findings)
    elif targets.ndim == 1:
        _ranges(split, targets, findings)


def _places(table: pa.Table, rows: np.ndarray) -> list[str]:
    return gather(table, "place", rows[:SHOWN])


def _pairs(table: pa.Table, rows: np.ndarray, others: np.ndarray) -> list[str]:
    return [f"{a} = {b}" for a, b in zip(_places(table, rows), _places(table, others))]


def _duplicates(table: pa.Table, digest: np.ndarray, split: np.ndarray, findings: Findings) -> None:
    for code, name in enumerate(NAMES):
        rows = np.flatnonzero(split == code)
        first, inverse = np.unique(digest[rows], return_index=True, return_inverse=True)[1:]
        again = np.flatnonzero(first[inverse] != np.arange(len(rows)))
        if len(again):
            message = f"{{rows}} of {name} with the same input as an earlier row of {name}"
            findings.add(
                "duplicate", "warning", message, _pairs(table, rows[again], rows[first[inverse[again]]]), len(again)
            )


def _leaks(table: pa.Table, prints: Prints, split: np.ndarray, findings: Findings) -> None:
    for held, other in ((2, 0), (2, 1), (1, 0)):
        rows, others = np.flatnonzero(split == held), np.flatnonzero(split == other)
        marks, at = np.unique(prints.digest[others], return_index=True)
        where = np.searchsorted(marks, prints.digest[rows])
        where[where == len(marks)] = 0
        same = marks[where] == prints.digest[rows]
        if same.any():
            message = f"{{rows}} of {NAMES[held]} also in {NAMES[other]}: results on them are too good"
            found = _pairs(table, rows[same], others[at[where[same]]])
            findings.add("leak", "warning", message, found, int(same.sum()))


def _conflicts(table: pa.Table, digest: np.ndarray, rows: np.ndarray, targets: np.ndarray, findings: Findings) -> None:
    at, inverse = np.unique(digest[rows], return_index=True, return_inverse=True)[1:]
    first = rows[at[inverse]]
    differ = (targets[rows] != targets[first]).reshape(len(rows), -1).any(axis=1)
    if differ.any():
        message = "{rows} with the same input as an earlier row and another label"
        findings.add("conflict", "warning", message, _pairs(table, rows[differ], first[differ]), int(differ.sum()))


def _other_answers(
    table: pa.Table, digest: np.ndarray, answers: np.ndarray, rows: np.ndarray, findings: Findings
) -> None:
    at, inverse = np.unique(digest[rows], return_index=True, return_inverse=True)[1:]
    first = rows[at[inverse]]
    differ = answers[rows] != answers[first]
    if differ.any():
        message = "{rows} with the same question as an earlier row and another answer: a model can learn one of them"
        findings.add("conflict", "warning", message, _pairs(table, rows[differ], first[differ]), int(differ.sum()))


def _look_alikes(table: pa.Table, prints: Prints, rows: np.ndarray, targets: np.ndarray, findings: Findings) -> None:
    """Images that are equal at a few pixels but have different labels. Blank images have their own finding."""
    assert prints.small is not None
    rows = rows[prints.small[rows] != 0]
    if not len(rows):
        return
    at, inverse = np.unique(prints.small[rows], return_index=True, return_inverse=True)[1:]
    first = rows[at[inverse]]
    apart = (targets[rows] != targets[first]).reshape(len(rows), -1).any(axis=1)
    apart &= prints.digest[rows] != prints.digest[first]
    if apart.any():
        side = image_checks.SMALL
        message = f"{{rows}} that look at {side} x {side} pixels like an earlier row with another label"
        findings.add("conflict", "warning", message, _pairs(table, rows[apart], first[apart]), int(apart.sum()))


def _near(table: pa.Table, prints: Prints, split: np.ndarray, findings: Findings) -> None:
    for held, other in ((2, 0), (2, 1), (1, 0)):
        rows, others = np.flatnonzero(split == held), np.flatnonzero(split == other)
        rows = rows[~np.isin(prints.digest[rows], prints.digest[others])]  # exact duplicates are leaks
        pairs = near_duplicates.crossing(prints.bands, rows, others, _same(table, prints))
        if pairs:
            found = np.array(pairs)
            message = f"{{rows}} of {NAMES[held]} nearly the same as one of {NAMES[other]}"
            findings.add("near_duplicate", "warning", message, _pairs(table, found[:, 0], found[:, 1]), len(pairs))


def _same(table: pa.Table, prints: Prints) -> near_duplicates.Same:
    bits, thumbnails = prints.bits, prints.thumbnails
    if bits is not None and thumbnails is not None:
        return lambda first, second: image_checks.near(bits, thumbnails, first, second)

    def alike(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        close = np.zeros(len(first), dtype=bool)
        for at in range(0, len(first), 1_024):  # in chunks, to keep few texts in memory
            part = slice(at, at + 1_024)
            pairs = zip(_texts(table, first[part]), _texts(table, second[part]))
            close[part] = [near_duplicates.resemblance(a, b) >= near_duplicates.NEAR for a, b in pairs]
        return close

    return alike


def _texts(table: pa.Table, rows: np.ndarray) -> list[str]:
    names = [name for name in ("input", "input_b") if name in table.column_names]
    if (table.schema.metadata or {}).get(HOLDS) == b"chat":
        return [asked(Chat(text)) for text in gather(table, "input", rows)]
    return [" \x1f ".join(parts) for parts in zip(*(gather(table, name, rows) for name in names))]


def _crossing_groups(table: pa.Table, groups: np.ndarray, split: np.ndarray, findings: Findings) -> None:
    used = split >= 0
    pairs = np.unique(np.stack([groups[used], split[used].astype(groups.dtype)], axis=1), axis=0)
    names, counts = np.unique(pairs[:, 0], return_counts=True)
    crossing = names[counts > 1]
    if len(crossing):
        held = np.flatnonzero((split > 0) & np.isin(groups, crossing))
        message = f"{len(crossing):,} groups in more than one of the given splits: {{rows}} outside of training"
        findings.add("group_leak", "warning", message, _places(table, held), len(held))


def _classes(split: np.ndarray, targets: np.ndarray, labels: Sequence[str], findings: Findings) -> None:
    counts = class_counts(targets[split == 0], len(labels))
    rare = [f"{label}: {count}" for label, count in zip(labels, counts.tolist()) if count < FEW]
    if rare:
        message = f"classes with fewer than {FEW} training examples: measurements on them mean little"
        findings.add("rare_class", "warning", message, rare)
    for code, name in enumerate(NAMES[1:], start=1):
        held = class_counts(targets[split == code], len(labels))
        if absent := [label for label, count in zip(labels, held.tolist()) if count == 0]:
            message = f"classes without any example in {name}: measurements there say nothing about them"
            findings.add("absent_class", "warning", message, absent)
    if targets.ndim > 1 and targets.dtype.kind == "i":  # most words are in no entity: that is as it should be
        return
    largest, smallest = int(counts.argmax()), int(counts.argmin())
    if counts[largest] >= IMBALANCE * counts[smallest] and counts[smallest] > 0:
        message = (
            f"the class {labels[largest]!r} is {counts[largest] / counts[smallest]:.0f} times as large as "
            f"{labels[smallest]!r}; consider class weights (--class-weights) and a metric that counts classes alike"
        )
        findings.add("imbalance", "warning", message, count=1)


def _ranges(split: np.ndarray, targets: np.ndarray, findings: Findings) -> None:
    """Numbers of a held-out split that mostly lie outside of those of training, as those in another unit do."""
    learned = targets[split == 0]
    _stand_ins(learned, findings)
    for code, name in enumerate(NAMES[1:], start=1):
        held = targets[split == code]
        if len(held) and np.mean((held < learned.min()) | (held > learned.max())) > 0.5:
            message = (
                f"most numbers of {name} ({held.min():g} … {held.max():g}) lie outside of those of train "
                f"({learned.min():g} … {learned.max():g}): are they in the same unit?"
            )
            findings.add("unit", "warning", message, count=1)


def _stand_ins(numbers: np.ndarray, findings: Findings) -> None:
    """A number of nines (-999, 9999) that comes again, farther from the others than these from each other."""
    every, counts = np.unique(numbers, return_counts=True)
    for value, count in zip(every.tolist(), counts.tolist()):
        others = every[every != value]
        alone = len(others) > 1 and np.abs(others - value).min() > np.ptp(others)
        if count > 1 and alone and len(figures := f"{abs(value):.0f}") > 1 and {*figures} == {"9"}:
            message = (
                f"the number {value:g} stands in {{rows}} of train, far from all others ({others.min():g} … "
                f"{others.max():g}): if it means a missing one, empty these cells"
            )
            findings.add("label_numbers", "warning", message, count=count)


def class_counts(targets: np.ndarray, classes: int) -> np.ndarray:
    """[classes] number of examples per class; a multi-label example counts for each of its labels."""
    if targets.dtype.kind == "i":  # of examples, or of their words
        return np.bincount(targets[targets >= 0], minlength=classes)
    return targets.sum(axis=0).astype(np.int64)
