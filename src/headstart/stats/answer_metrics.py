"""Metrics of generated answers. Each example has a row of columns, and each metric is a ratio of sums of two of them.

`Predictions.scores` of a generation task holds these columns, so that intervals, paired tests and clusters need no
other form of data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from headstart.stats.class_counts import ratio
from headstart.stats.metrics import Metric
from headstart.stats.predictions import Predictions

COLUMNS = (
    "abstained", "exact", "tolerant", "f1", "stopped", "tokens_in", "tokens_out", "nats", "tokens", "bytes",
)  # fmt: skip
"""of an answer: whether it abstains, is exact, is tolerantly right, its token F1, whether it stopped by itself, tokens
of the prompt and of the answer; of the right answer: -log p in nats, its tokens with the stop token, its UTF-8 bytes.
The first is 1 for a constant guess (`stats.guess`), which is so an answer that always abstains."""
AT = {name: place for place, name in enumerate(COLUMNS)}


def column(predictions: Predictions, name: str) -> np.ndarray:
    """[n] float64 values of a column."""
    found: np.ndarray = predictions.scores[:, AT[name]].astype(np.float64)
    return found


def _rows(predictions: Predictions, above: str, below: str | None, factor: float) -> np.ndarray:
    """[n, 2]: the two columns of the ratio; `below` None counts examples."""
    under = np.ones(len(predictions)) if below is None else column(predictions, below)
    return np.stack([factor * column(predictions, above), under], axis=1)


def _value(sums: np.ndarray) -> np.ndarray:
    return ratio(sums[..., 0], sums[..., 1])


def _of(above: str, below: str | None = None, factor: float = 1.0) -> Callable[[Predictions], np.ndarray]:
    return partial(_rows, above=above, below=below, factor=factor)


def _share(name: str, of: str = "", whole: bool = True) -> Metric:
    """A mean over examples in [0, 1]. whole: True if each example has 0 or 1."""
    return Metric(name, True, _of(of or name), _value, effective=lambda sums: float(sums[1]), share=whole)


ANSWER_METRICS = {
    one.name: one
    for one in (
        _share("exact_match", "exact"),
        _share("tolerant_match", "tolerant"),
        _share("f1", whole=False),
        _share("stopped"),
        _share("abstained"),
        Metric(
            "bits_per_byte", False, _of("nats", "bytes", 1 / math.log(2)), _value, (0.0, math.inf), percent=False
        ),
        Metric("answer_loss", False, _of("nats", "tokens"), _value, (0.0, math.inf), percent=False),
        Metric("answer_tokens", False, _of("tokens_out"), _value, (0.0, math.inf), percent=False),
    )
}  # fmt: skip
"by name, the default first; bits_per_byte and answer_loss are of the right answers, answer_tokens of the model's own"
