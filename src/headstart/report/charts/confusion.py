"""Confusion matrix: a heat map of limited size, and the most confused pairs of classes."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.records.comparison import Row

MOST_CLASSES = 20
"maximum number of classes for the whole matrix"
WORST = 14
"number of classes with the most errors that are drawn of a larger matrix; the others are merged"
PAIRS = 12


@dataclass(frozen=True)
class Cell:
    count: int
    share: float
    "share of the true class"
    kind: str
    "`right`, `wrong`, or `mixed` for the cell of merged classes among themselves"
    tooltip: str


@dataclass(frozen=True)
class Pair:
    true: str
    predicted: str
    count: int
    share: float


@dataclass(frozen=True)
class Confusion:
    labels: list[str]
    cells: list[list[Cell]]
    pairs: list[Pair]
    left_out: int
    "number of merged classes"
    errors: int
    total: int


def confusion(row: Row, labels: tuple[str, ...]) -> Confusion | None:
    """The heat map; None if the row has no matrix, or one that does not fit the labels."""
    matrix, n = row.confusion, len(labels)
    if n < 2 or len(matrix) != n or any(len(line) != n for line in matrix):
        return None
    totals = [sum(line) for line in matrix]
    pairs = [
        Pair(labels[i], labels[j], matrix[i][j], matrix[i][j] / totals[i])
        for i in range(n) for j in range(n) if i != j and matrix[i][j] > 0
    ]  # fmt: skip
    pairs.sort(key=lambda pair: (-pair.count, -pair.share, pair.true, pair.predicted))
    errors = sum(totals) - sum(matrix[i][i] for i in range(n))
    groups = [[i] for i in range(n)]
    if n > MOST_CLASSES:
        wrong = [totals[i] - matrix[i][i] + sum(matrix[j][i] for j in range(n) if j != i) for i in range(n)]
        worst = sorted(sorted(range(n), key=lambda i: (-wrong[i], i))[:WORST])
        groups = [[i] for i in worst] + [[i for i in range(n) if i not in worst]]
    left_out = len(groups[-1]) if n > MOST_CLASSES else 0
    names = [labels[group[0]] for group in groups]
    if left_out:
        names[-1] = f"{left_out} other classes"
    return Confusion(names, _cells(matrix, groups, names), pairs[:PAIRS], left_out, errors, sum(totals))


def _cells(matrix: tuple[tuple[int, ...], ...], groups: list[list[int]], names: list[str]) -> list[list[Cell]]:
    cells = []
    for i, rows in enumerate(groups):
        counts = [sum(matrix[r][c] for r in rows for c in columns) for columns in groups]
        total = sum(counts)
        line = []
        for j, count in enumerate(counts):
            share = count / total if total else 0.0
            kind = "wrong" if i != j else "right" if len(rows) == 1 else "mixed"
            words = f"{names[i]} taken for {names[j]}" if kind == "wrong" else f"{names[i]} among themselves"
            words = f"{names[i]} recognised" if kind == "right" else words
            line.append(Cell(count, share, kind, f"{words}: {count} of {total} ({100 * share:.1f} %)"))
        cells.append(line)
    return cells
