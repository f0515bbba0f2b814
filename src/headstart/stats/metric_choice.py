"""The default metric for given data: accuracy, unless one class is so frequent that accuracy would mislead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.core.errors import ConfigurationError
from headstart.stats.metrics import Metric

if TYPE_CHECKING:
    from headstart.data.examples import Data

IMBALANCED_SHARE, IMBALANCED_TIMES = 0.5, 3.0
"""A single-label task is imbalanced if its most frequent class has at least this share of the training examples, and at
least so many times the average number of the other classes."""


def imbalance(targets: np.ndarray, labels: Sequence[str]) -> str:
    """The reason why accuracy would mislead, such as `93 % of the training examples are 'normal'`; empty if none.

    targets: [n] class indices of the training examples. The test is `p >= max(1/2, 3 / (C + 2))` for the share p of
    the most frequent of C classes: a constant guess of that class has accuracy p and learned nothing.
    """
    if targets.ndim != 1 or targets.dtype.kind not in "iu" or len(labels) < 2 or not len(targets):
        return ""
    counts = np.bincount(targets, minlength=len(labels))
    share = counts.max() / counts.sum()
    if share < max(IMBALANCED_SHARE, IMBALANCED_TIMES / (len(labels) + IMBALANCED_TIMES - 1)):
        return ""
    return f"{100 * share:.0f} % of the training examples are {labels[int(counts.argmax())]!r}"


def chosen_metric(data: Data, name: str | None = None) -> tuple[Metric, str]:
    """The metric by which models are compared on these data, and the reason for an unusual default.

    name: the user's choice; None for balanced accuracy if the training labels are imbalanced (`imbalance`), else for
    the default of the kind of task. Raises `ConfigurationError` for an unknown name, and if the metric is undefined on
    the validation or test examples.
    """
    chosen, reason = data.task.metric(name), ""
    if name is None and (why := imbalance(data.train.targets, data.task.labels)):
        chosen, reason = data.task.metric("balanced_accuracy"), f"{why}, so that accuracy would mislead"
    for split, examples in (("validation", data.validation), ("test", data.test)):
        if len(examples) and not data.task.defines(chosen, examples.targets):
            raise ConfigurationError(
                f"{chosen.name} is not defined on the {split} examples: each class (or label) needs examples of it and "
                f"others, and there is none with both. Give other {split} examples, or choose another --metric."
            )
    return chosen, reason
