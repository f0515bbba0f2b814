"""Batching: examples of a batch as index arrays, by length, by class, or by a token budget."""

from __future__ import annotations

import numpy as np

from headstart.core.seeds import derive


def epoch_batches(lengths: np.ndarray, batch_size: int, seed: int, epoch: int, pool: int = 50) -> list[np.ndarray]:
    """Bucketing by length: one epoch of random batches whose examples have similar lengths.

    Examples are shuffled, sorted by length within pools of `pool * batch_size`, cut into batches of exactly
    `batch_size` (the last may be smaller), and the batches are shuffled. The same (seed, epoch) gives the same list.
    A single example left over takes a companion from the batch before, because batch norm needs two.

    lengths: [n] tokens of each example. pool: batches per pool; 1 gives plain random batches.
    Raises `ValueError` for a batch size or pool below 1.
    """
    lengths = np.asarray(lengths)
    if batch_size < 1 or pool < 1:
        raise ValueError(f"batch_size and pool must be at least 1, not {batch_size} and {pool}")
    rng = np.random.default_rng(derive(seed, "batches", epoch))
    order = rng.permutation(len(lengths))
    width = pool * batch_size
    pools = [order[at : at + width] for at in range(0, len(order), width)]
    order = np.concatenate([p[np.argsort(lengths[p], kind="stable")] for p in pools]) if pools else order
    edges = list(range(0, len(order), batch_size))
    if len(edges) > 1 and batch_size > 2 and len(order) - edges[-1] == 1:
        edges[-1] -= 1
    batches = [order[at:end] for at, end in zip(edges, [*edges[1:], len(order)])]
    return [batches[at] for at in rng.permutation(len(batches))]


def balanced_batches(classes: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Balanced batches: one epoch in which each batch holds the classes as evenly as possible.

    Each class is shuffled; round r takes the r-th example of every class that has one, in random order. The same
    (seed, epoch) gives the same list; other epochs combine other examples.

    classes: [n] class of each example. Raises `ValueError` for a batch size below 1.
    """
    classes = np.asarray(classes)
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    rng = np.random.default_rng(derive(seed, "balanced", epoch))
    shuffled = rng.permutation(len(classes))
    rounds = np.empty(len(classes), dtype=np.int64)
    for label in np.unique(classes):
        of = shuffled[classes[shuffled] == label]
        rounds[of] = np.arange(len(of))
    order = shuffled[np.argsort(rounds[shuffled], kind="stable")]
    return [order[at : at + batch_size] for at in range(0, len(order), batch_size)]


def split_by_tokens(batch: np.ndarray, lengths: np.ndarray, batch_tokens: int) -> list[np.ndarray]:
    """Cuts one batch into micro-batches whose padded size, longest length x count, is at most `batch_tokens`.

    An example above the budget is a micro-batch alone. The longest come first, so that a lack of memory shows at once.

    batch: [b] indices into `lengths`. lengths: [n] tokens of all examples.
    """
    return _cut(_longest_first(np.asarray(batch), np.asarray(lengths)), np.asarray(lengths), batch_tokens, None)


def sorted_batches(lengths: np.ndarray, batch_tokens: int, max_count: int) -> list[np.ndarray]:
    """Batches of all examples for prediction, longest first, of at most `batch_tokens` and `max_count` examples."""
    lengths = np.asarray(lengths)
    return _cut(_longest_first(np.arange(len(lengths)), lengths), lengths, batch_tokens, max_count)


def _longest_first(batch: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    return batch[np.argsort(-lengths[batch].astype(np.int64), kind="stable")]


def _cut(order: np.ndarray, lengths: np.ndarray, batch_tokens: int, max_count: int | None) -> list[np.ndarray]:
    if batch_tokens < 1 or (max_count is not None and max_count < 1):
        raise ValueError(f"batch_tokens and max_count must be at least 1, not {batch_tokens} and {max_count}")
    parts, at = [], 0
    while at < len(order):
        # the first example is the longest, because the indices are sorted by length
        count = max(1, batch_tokens // max(1, int(lengths[order[at]])))
        count = count if max_count is None else min(count, max_count)
        parts.append(order[at : at + count])
        at += count
    return parts
