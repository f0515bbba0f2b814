"""Making missing splits: stratified by class or by group, determined by the seed.

Rows of one unit stay together. A unit is a group where one is given, else the rows with the same input, so that a
text that occurs twice in a file is never in both train and test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa

from headstart.core.errors import DataError
from headstart.core.seeds import derive
from headstart.data.audit.audit import class_counts

_MOST_CELLS = 20_000_000
"maximum of groups x classes for stratified groups"


def by_class(strata: np.ndarray, units: np.ndarray, shares: Mapping[str, float], seed: int) -> dict[str, np.ndarray]:
    """Stratified splits: row indices of each split named in `shares`; all other rows are for training.

    strata: [n] int64, classes to distribute evenly (all 0 for none). units: [n], rows that stay together. shares: share
    of all rows by split, above 0. Every stratum keeps a unit for training, and every split gets a row; `DataError` if
    that is impossible.
    """
    names, first, unit_of = np.unique(units, return_index=True, return_inverse=True)
    size = np.bincount(unit_of)
    stratum = np.unique(strata[first], return_inverse=True)[1].reshape(-1)
    if len(names) < len(shares) + 1:
        raise DataError(_too_few(len(strata), f"{len(names)} different inputs", shares))
    rng = np.random.default_rng(derive(seed, "split"))
    # single inputs first, because repeated ones belong in training, and test should count each input once
    order = np.lexsort((rng.random(len(names)), size, stratum))
    last = np.ones(len(order), dtype=bool)
    last[:-1] = stratum[order][1:] != stratum[order][:-1]
    open_units = order[~last]  # not the last unit of a stratum, because it stays for training
    rows_of = np.bincount(stratum, weights=size).astype(np.int64)  # rows of each stratum
    taken: dict[str, np.ndarray] = {}
    for at, (name, share) in enumerate(shares.items()):
        still = len(shares) - at - 1
        if len(open_units) <= still:
            raise DataError(_too_few(len(strata), f"{len(rows_of)} classes, most with one input", shares))
        chosen = _fill(open_units, stratum, size, _quotas(rows_of, share))[: len(open_units) - still]
        if not len(chosen):
            biggest = np.argmax(np.bincount(stratum[open_units]))
            chosen = open_units[stratum[open_units] == biggest][:1]
        open_units = open_units[~np.isin(open_units, chosen)]
        taken[name] = np.flatnonzero(np.isin(unit_of, chosen))
    return taken


def strata_of(targets: np.ndarray) -> np.ndarray:
    """[n] int64: the class; the rarest of an example's labels for multi-label, of its words' tags; 1 for a question
    with an answer in its passage; 0 for numbers."""
    if targets.ndim == 2 and targets.dtype.kind == "i":
        counts = np.bincount(targets[targets >= 0])
        often = np.where(targets >= 0, counts[targets], targets.size + 1)
        return np.take_along_axis(targets, often.argmin(axis=1)[:, None], axis=1)[:, 0].astype(np.int64)
    if targets.ndim == 3:  # answers in passages
        return (targets[:, 0, 0] > 0).astype(np.int64)
    if targets.ndim == 1:
        return targets if targets.dtype.kind == "i" else np.zeros(len(targets), dtype=np.int64)
    counts = targets.sum(axis=0)
    rarest = np.where(targets > 0, counts, np.inf).argmin(axis=1)
    return np.where(targets.any(axis=1), rarest, targets.shape[1]).astype(np.int64)


def with_every_class(
    found: Mapping[str, np.ndarray], targets: np.ndarray, units: np.ndarray, classes: int
) -> dict[str, np.ndarray]:
    """The made splits, without the units that training needs to have every class.

    A row with several labels or tags counts in one stratum, so that strata can't keep all of them. Raises `DataError`
    if a split would be empty.
    """
    training = np.ones(len(units), dtype=bool)
    training[np.concatenate(list(found.values()))] = False
    for label in np.flatnonzero(class_counts(targets[training], classes) == 0).tolist():
        holds = _holding(targets, label)
        if holds.any() and not (holds & training).any():
            training |= units == units[holds.argmax()]
    left = {name: rows[~training[rows]] for name, rows in found.items()}
    if not all(map(len, left.values())):
        raise DataError(_too_few(len(units), "most of them the only ones of a class", found))
    return left


def _holding(targets: np.ndarray, label: int) -> np.ndarray:
    """[n] True for the examples that have this class, among others or on one of their words."""
    if targets.dtype.kind == "f":
        return targets[:, label] > 0
    return (targets == label).reshape(len(targets), -1).any(1)


def _quotas(rows: np.ndarray, share: float) -> np.ndarray:
    """[strata] rows to take by the largest-remainder method: `share` of each, with the right sum."""
    exact = rows * share
    quotas = np.floor(exact).astype(np.int64)
    rest = max(1, round(float(exact.sum()))) - int(quotas.sum())
    quotas[np.argsort(-(exact - quotas), kind="stable")[:rest]] += 1
    return quotas


def _fill(units: np.ndarray, stratum: np.ndarray, size: np.ndarray, quotas: np.ndarray) -> np.ndarray:
    """The first units of each stratum that fit into its quota; `units` is sorted by stratum."""
    if not len(units):
        return units
    total = np.cumsum(size[units])
    begins = np.searchsorted(stratum[units], stratum[units], side="left")
    before = np.where(begins > 0, total[begins - 1], 0)
    return units[total - before <= quotas[stratum[units]]]


def group_codes(table: pa.Table, role: str, column: str) -> np.ndarray:
    """[n] codes of the groups or clusters that the user's column names; a row without one is alone in one.

    role: the store's column. Raises `DataError` where the column names none, or one for all rows.
    """
    encoded = table.column(role).combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy().astype(np.int64)
    alone = np.flatnonzero(codes < 0)
    option = {"group": "--group", "cluster": "--cluster-by"}[role]
    if len(alone) == len(codes):
        raise DataError(f"the column {column!r} ({option}) is empty in every row; leave the option out.")
    if len(encoded.dictionary) == 1 and not len(alone):
        raise DataError(
            f"the column {column!r} ({option}) holds {encoded.dictionary[0].as_py()!r} in every row: all would count "
            "as one example, which is too few for any interval. Name another column, or leave the option out."
        )
    codes[alone] = len(encoded.dictionary) + np.arange(len(alone))
    return codes


def by_group(classes: np.ndarray, groups: np.ndarray, shares: Mapping[str, float], seed: int) -> dict[str, np.ndarray]:
    """Splits of whole groups: large groups first, each to the split that lacks its classes most.

    classes: [n] int64. groups: [n]. Every class keeps a group for training. Raises `DataError` with the numbers if
    there are fewer groups than splits, or if training can't keep every class.
    """
    names, group_of = np.unique(groups, return_inverse=True)
    every = ["train", *shares]
    if len(names) < len(every):
        raise DataError(_too_few(len(classes), f"{len(names)} groups", shares))
    class_of = np.unique(classes, return_inverse=True)[1].reshape(-1)
    kinds = int(class_of.max()) + 1
    if len(names) * kinds > _MOST_CELLS:
        class_of, kinds = np.zeros_like(class_of), 1
    counts = np.bincount(group_of * kinds + class_of, minlength=len(names) * kinds).reshape(
        -1, kinds
    )  # [groups, kinds]
    rng = np.random.default_rng(derive(seed, "split"))
    order = np.lexsort((rng.random(len(names)), -counts.sum(axis=1)))
    share = np.array([1.0 - sum(shares.values()), *shares.values()])
    lacking = share[:, None] * counts.sum(axis=0)  # [splits, kinds]
    weight = 1.0 / np.maximum(counts.sum(axis=0), 1)
    place = np.zeros(len(names), dtype=np.int64)
    for group in order:
        place[group] = int(np.argmax(lacking @ (counts[group] * weight)))
        lacking[place[group]] -= counts[group]
    _repair(place, counts, len(every), len(classes), shares)
    return {name: np.flatnonzero(place[group_of] == at) for at, name in enumerate(every) if at > 0}


def _repair(place: np.ndarray, counts: np.ndarray, splits: int, rows: int, shares: Mapping[str, float]) -> None:
    """Moves groups so that every class is in training and no split is empty."""
    size = counts.sum(axis=1)
    for kind in range(counts.shape[1]):
        if not counts[place == 0, kind].any():
            holders = np.flatnonzero(counts[:, kind])
            place[holders[np.argmin(size[holders])]] = 0
    for split in range(1, splits):
        if (place == split).any():
            continue
        for group in np.argsort(size, kind="stable"):
            left = place[group]
            others = (place == left) & (np.arange(len(place)) != group)
            safe = others.any() and (left != 0 or bool((counts[others].sum(axis=0) > 0).all()))
            if safe:
                place[group] = split
                break
        else:
            what = f"{len(place)} groups, which can't be spread so that training keeps every class"
            raise DataError(_too_few(rows, what, shares))


def _too_few(rows: int, units: str, shares: Iterable[str]) -> str:
    return (
        f"can't make the splits train, {', '.join(shares)}: there are {rows} usable rows ({units}), and every split "
        f"needs at least one and training one of each class. Add examples, or give the files of the splits yourself."
    )
