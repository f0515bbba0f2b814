"""Objectives over running text, by hand and against transformers' own losses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headstart.pretraining.objectives.clm import CausalLanguageModel
from headstart.pretraining.objectives.declutr import Contrast
from headstart.pretraining.objectives.language import IGNORED
from headstart.pretraining.objectives.mlm import MaskedLanguageModel

VOCABULARY, MASK = 200, 4
BEGINS = np.array([i < 5 or i % 2 == 0 for i in range(VOCABULARY)])
"odd tokens go on with the word before them"


def rows(count: int = 400, width: int = 50, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    ids = np.random.default_rng(seed).integers(5, VOCABULARY, size=(count, width))
    ids[:, 0], ids[:, -1] = 2, 3
    text = np.ones(ids.shape, dtype=bool)
    text[:, 0] = text[:, -1] = False
    return ids, text


@pytest.mark.parametrize("whole_words", [True, False])
def test_masks_are_80_10_10_of_15_percent(whole_words: bool) -> None:
    ids, text = rows()
    objective = MaskedLanguageModel(whole_words=whole_words)
    inputs, targets = objective.prepared(ids, text, BEGINS, MASK, np.random.default_rng(1))
    chosen = targets != IGNORED
    assert (targets[chosen] == ids[chosen]).all()
    assert (inputs[~chosen] == ids[~chosen]).all()
    assert not chosen[~text].any()
    assert chosen.mean() * ids.size / text.sum() == pytest.approx(0.15, abs=0.01)
    masked = (inputs == MASK)[chosen].mean()
    same = (inputs == ids)[chosen].mean()
    assert masked == pytest.approx(0.8, abs=0.025)
    assert same == pytest.approx(0.1 + 0.1 / VOCABULARY, abs=0.02)


def test_whole_words_are_chosen_with_all_their_pieces() -> None:
    ids, text = rows()
    chosen = MaskedLanguageModel().prepared(ids, text, BEGINS, MASK, np.random.default_rng(1))[1] != IGNORED
    goes_on = ~BEGINS[ids[:, 1:]] & text[:, 1:] & text[:, :-1]
    assert (chosen[:, 1:] == chosen[:, :-1])[goes_on].all()
    apart = MaskedLanguageModel(whole_words=False).prepared(ids, text, BEGINS, MASK, np.random.default_rng(1))[1]
    assert not ((apart != IGNORED)[:, 1:] == (apart != IGNORED)[:, :-1])[goes_on].all()


def test_masks_are_drawn_anew() -> None:
    ids, text = rows()
    first, second = (
        MaskedLanguageModel().prepared(ids, text, BEGINS, MASK, np.random.default_rng(seed))[1] for seed in (1, 2)
    )
    assert (first != second).any()


def test_causal_targets_are_the_tokens_that_follow() -> None:
    ids = np.array([[5, 6, 7, 8], [9, 10, 11, 12]])
    inputs, targets = CausalLanguageModel().prepared(ids, ids > 0, BEGINS, 0, np.random.default_rng(0))
    assert (inputs == ids).all()
    assert targets.tolist() == [[6, 7, 8, IGNORED], [10, 11, 12, IGNORED]]


def test_the_contrast_by_hand() -> None:
    """Two pairs at right angles: each part's own partner scores 1/t, the other 0."""
    features = torch.tensor([[[2.0, 0.0], [3.0, 0.0]], [[0.0, 1.0], [0.0, 5.0]]])
    t = 0.5
    expected = 2 * np.log(1 + np.exp(-1 / t))
    assert float(Contrast(temperature=t).contrast(features)) == pytest.approx(expected, rel=1e-6)
    crossed = features.flip(1)[[1, 0]]
    assert float(Contrast(temperature=t).contrast(crossed)) == pytest.approx(expected, rel=1e-6)


def test_the_contrast_against_a_second_implementation() -> None:
    features = torch.randn(6, 2, 8, generator=torch.Generator().manual_seed(0))
    z = features.numpy().astype(np.float64)
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    total = 0.0
    for a, b in ((0, 1), (1, 0)):
        for i in range(6):
            scores = np.array([z[i, a] @ z[j, b] for j in range(6)]) / 0.05
            total -= scores[i] - np.log(np.exp(scores - scores.max()).sum()) - scores.max()
    assert float(Contrast().contrast(features)) == pytest.approx(total / 2, rel=1e-4)


def test_a_batch_always_has_a_target() -> None:
    ids, text = np.array([[2, 7, 3]]), np.array([[False, True, False]])
    for seed in range(20):
        _, targets = MaskedLanguageModel().prepared(ids, text, BEGINS, MASK, np.random.default_rng(seed))
        assert targets.tolist() == [[IGNORED, 7, IGNORED]]
