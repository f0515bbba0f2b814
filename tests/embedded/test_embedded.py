"""What works with nothing downloaded: the digits, the built-in backbone, and what transfer learning is for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import headstart
from headstart.backbones.loaders.packaged import builtin_names, place
from headstart.core.records.comparison import Comparison
from headstart.data.embedded import digits


def test_the_digits_are_five_labels_a_class_and_always_the_same() -> None:
    data, again = (digits.__wrapped__() for _ in range(2))  # as it is without the tests' cache
    assert [len(data.train), len(data.validation), len(data.test)] == [50, 50, 1697]
    assert np.bincount(data.train.targets).tolist() == [5] * 10
    assert data.task.labels == tuple("0123456789")
    assert data.record.fingerprint == again.record.fingerprint == headstart.read().record.fingerprint


def test_the_weights_fit_into_the_package() -> None:
    sizes = {name: sum(file.stat().st_size for file in (place() / name).iterdir()) for name in builtin_names()}
    assert sizes.keys() == {"glance", "gist"}
    assert sizes["glance"] <= 4_000_000
    assert sizes["gist"] <= 12_000_000


def test_the_built_in_text_encoder_knows_which_words_are_alike() -> None:
    """Sentences of one topic lie nearer to each other than to one of another, in the mean pool, nothing tuned."""
    backbone = headstart.load("builtin/gist")
    texts = [
        "a library for reading and writing audio files", "tools that play and convert sound",
        "the small bird sat on a branch of the tree", "birds build their nests in trees",
    ]  # fmt: skip
    with torch.no_grad():
        features = backbone.features(backbone.preparation.collate(backbone.preparation.encode(texts)))
    centred = torch.nn.functional.normalize(features - features.mean(0), dim=1)
    near = centred @ centred.T
    assert near[0, 1] > near[0, 2]
    assert near[0, 1] > near[0, 3]
    assert near[2, 3] > near[2, 0]
    assert near[2, 3] > near[2, 1]


def test_the_built_in_text_encoder_without_its_weights_is_another() -> None:
    trained, random = headstart.load("builtin/gist"), headstart.load("builtin/gist", weights=False)
    assert trained.source == random.source == "builtin/gist"
    assert trained.fingerprint != random.fingerprint
    assert headstart.load("builtin/gist", max_length=16).preparation.max_length == 16


def test_the_frozen_built_in_backbone_reads_digits_it_has_never_seen(tmp_path: Path) -> None:
    result = headstart.compare(out=tmp_path / "run", methods=["probe", "majority"], seeds=1, trials=2)
    assert isinstance(result, Comparison)
    assert result.row("probe").low > 0.89
    assert result.verdict.method == "probe"
    assert result.row("majority").high < 0.15
    (found,) = headstart.predict(tmp_path / "run", [_digit(4)])
    assert found.label == "4"


@pytest.mark.slow
def test_adapting_beats_scratch_by_a_wide_margin(tmp_path: Path) -> None:
    """Five labels a class, the same tuning budget; both intervals and their distance are shown."""
    result = headstart.compare(out=tmp_path / "run", methods=["lpft", "scratch"], seeds=3, trials=3)
    adapted, scratch = result.row("lpft"), result.row("scratch")
    assert adapted.low > scratch.high
    assert scratch.difference_high < -0.05
    assert scratch.p_adjusted < 0.05


def _digit(label: int) -> bytes:
    data = headstart.read()
    position = int(np.flatnonzero(data.test.targets == label)[0])
    (picture,) = data.test.inputs([position])
    assert isinstance(picture, bytes)
    return picture
