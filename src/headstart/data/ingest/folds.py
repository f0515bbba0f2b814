"""k-fold cross-validation: every example is tested once, by a model trained without it."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from headstart.core.errors import ConfigurationError, DataError
from headstart.core.records.data import SplitRecord
from headstart.core.seeds import derive
from headstart.data.audit.audit import class_counts
from headstart.data.examples import Data, Examples
from headstart.data.ingest.splits import by_class, by_group, strata_of, with_every_class

FEWEST = 2


def check_folds(data: Data, count: int) -> None:
    """Raises `ConfigurationError` if test examples were given, or if the data are too few for the folds."""
    if count < FEWEST:
        raise ConfigurationError(f"folds is {count}, but has to be at least {FEWEST}.")
    if given := [split.name for split in data.record.splits if split.name != "train" and split.origin == "given"]:
        raise ConfigurationError(
            f"folds test every example in turn, but the {' and '.join(given)} examples are given as such. Leave folds "
            "out, or give one source that is not split."
        )
    if (different := len(np.unique(_units(_whole(data))))) < count * FEWEST:
        most = different // FEWEST
        advice = f"give at most {most}" if most >= FEWEST else f"folds need at least {FEWEST * FEWEST}"
        raise ConfigurationError(f"{different} different inputs or groups can't be cut into {count} folds; {advice}.")


def folded(data: Data, count: int, seed: int = 0) -> list[Data]:
    """The data in `count` versions: in version k, fold k is the test split, and the rest trains and validates.

    Folds are stratified by class and keep rows of one group or with the same input together. The validation split is
    made from the rest as in `read`, with its former size. Raises `ConfigurationError` like `check_folds`, and
    `DataError` if a fold would leave a class without a training example.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    check_folds(data, count)
    every = _whole(data)
    units = _units(every)
    strata = strata_of(every.targets)
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=derive(seed, "folds") % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # ignored, because `_cut` reports classes with fewer examples than folds
        cuts = list(splitter.split(strata, strata, units))
    return [
        _cut(data, every, rest, tested, f"fold {at + 1} of {count}", derive(seed, "fold", at))
        for at, (rest, tested) in enumerate(cuts)
    ]


def _whole(data: Data) -> Examples:
    """All examples, in the order of the source."""
    every = data.train.with_(data.validation).with_(data.test)
    return every.take(np.argsort(every.ids, kind="stable"))


def _units(examples: Examples) -> np.ndarray:
    return np.arange(len(examples)) if examples.units is None else examples.units


def _cut(data: Data, every: Examples, rest: np.ndarray, tested: np.ndarray, origin: str, seed: int) -> Data:
    pool = every.take(rest)
    share = len(data.validation) / (len(data.validation) + len(data.train))
    strata = strata_of(pool.targets)
    units = _units(pool)
    grouped = data.record.columns.get("group") is not None
    made = (by_group if grouped else by_class)(strata, units, {"validation": share}, seed)
    held = with_every_class(made, pool.targets, units, len(data.task.labels))["validation"]
    train = pool.take(np.setdiff1d(np.arange(len(pool)), held))
    labels = data.task.labels
    if labels and (missing := np.flatnonzero(class_counts(train.targets, len(labels)) == 0)).size:
        raise DataError(
            f"{origin} would train without the class {labels[missing[0]]!r}: it is too rare for so many folds. Give "
            "fewer folds, or more examples of it."
        )
    parts = {"train": train, "validation": pool.take(held), "test": every.take(np.sort(tested))}
    splits = tuple(
        SplitRecord(
            name, len(part), origin,
            dict(zip(labels, class_counts(part.targets, len(labels)).tolist())) if labels else {},
        )
        for name, part in parts.items()
    )  # fmt: skip
    return replace(
        data, train=train, validation=parts["validation"], test=parts["test"], origin=None,
        record=replace(data.record, splits=splits),
    )  # fmt: skip
