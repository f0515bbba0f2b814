"""Batches hold every example once, are of like length, and depend on seed and epoch alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.data.batching import balanced_batches, epoch_batches, sorted_batches, split_by_tokens

LENGTHS = st.lists(st.integers(0, 600), max_size=200).map(lambda found: np.array(found, dtype=np.int64))


@given(LENGTHS, st.integers(1, 40), st.integers(0, 5), st.integers(0, 3), st.integers(1, 6))
def test_an_epoch_holds_every_example_once_in_full_batches(
    lengths: np.ndarray, size: int, seed: int, epoch: int, pool: int
) -> None:
    batches = epoch_batches(lengths, size, seed, epoch, pool)
    assert sorted(np.concatenate(batches).tolist() if batches else []) == list(range(len(lengths)))
    whole, rest = divmod(len(lengths), size)
    sizes = [size] * whole + ([rest] if rest else [])
    if rest == 1 and whole and size > 2:  # a batch of one is no batch to a batch norm
        sizes[-2:] = [size - 1, 2]
    assert sorted(map(len, batches)) == sorted(sizes)
    again = epoch_batches(lengths, size, seed, epoch, pool)
    assert all((a == b).all() for a, b in zip(batches, again))


def test_batches_are_of_like_length_and_change_with_the_epoch() -> None:
    lengths = np.random.default_rng(0).integers(1, 500, 4_000)
    pooled, plain = epoch_batches(lengths, 32, 0, 0), epoch_batches(lengths, 32, 0, 0, pool=1)
    spread = [np.mean([np.ptp(lengths[b]) for b in found]) for found in (pooled, plain)]
    assert spread[0] < spread[1] / 10
    assert not np.array_equal(np.concatenate(pooled), np.concatenate(epoch_batches(lengths, 32, 0, 1)))
    assert not np.array_equal(np.concatenate(pooled), np.concatenate(epoch_batches(lengths, 32, 1, 0)))
    means = [lengths[b].mean() for b in pooled]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3, "batches must not come in order of length"


@given(LENGTHS, st.integers(1, 2_000), st.integers(0, 50))
def test_micro_batches_keep_the_token_budget(lengths: np.ndarray, budget: int, start: int) -> None:
    batch = np.arange(len(lengths))[start:]
    parts = split_by_tokens(batch, lengths, budget)
    assert sorted(np.concatenate(parts).tolist() if parts else []) == batch.tolist()
    assert all(len(p) == 1 or lengths[p].max() * len(p) <= budget for p in parts)


@given(LENGTHS, st.integers(1, 2_000), st.integers(1, 30))
def test_prediction_batches_go_from_long_to_short(lengths: np.ndarray, budget: int, most: int) -> None:
    parts = sorted_batches(lengths, budget, most)
    order = np.concatenate(parts) if parts else np.array([], dtype=np.int64)
    assert sorted(order.tolist()) == list(range(len(lengths)))
    assert (np.diff(lengths[order]) <= 0).all()
    assert all(len(p) <= most and (len(p) == 1 or lengths[p].max() * len(p) <= budget) for p in parts)


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="batch_size"):
        epoch_batches(np.array([1]), 0, 0, 0)
    with pytest.raises(ValueError, match="batch_tokens"):
        sorted_batches(np.array([1]), 0, 1)


def test_balanced_batches_hold_every_example_once_and_all_classes_as_evenly_as_they_can():
    classes = np.repeat([0, 1, 2, 3], [8, 8, 8, 4])
    batches = balanced_batches(classes, 12, seed=3, epoch=0)
    assert sorted(np.concatenate(batches)) == list(range(28))
    assert [len(batch) for batch in batches] == [12, 12, 4]
    for batch in batches[:1]:
        assert np.bincount(classes[batch]).tolist() == [3, 3, 3, 3]
    counts = np.bincount(classes[batches[1]], minlength=4)
    assert counts[3] == 1, "the small class has one left"
    assert counts[:3].max() - counts[:3].min() <= 1


def test_balanced_batches_bring_other_partners_together_in_every_epoch():
    classes = np.repeat([0, 1, 2, 3], 8)
    again = balanced_batches(classes, 8, seed=0, epoch=1)
    assert all(np.array_equal(a, b) for a, b in zip(again, balanced_batches(classes, 8, seed=0, epoch=1)))
    met = np.eye(32, dtype=bool)
    for epoch in range(40):
        for batch in balanced_batches(classes, 8, seed=0, epoch=epoch):
            met[np.ix_(batch, batch)] = True
    assert met.mean() > 0.99, "40 epochs of 7 partners each: nearly every pair has met"
    with pytest.raises(ValueError, match="batch_size"):
        balanced_batches(classes, 0, seed=0, epoch=0)
