"""What works with nothing downloaded: the digits, the built-in backbone, and what transfer learning is for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import headstart
from headstart.backbones.builtin import builtin_names, place
from headstart.core.comparison import Comparison


def test_the_digits_are_ten_labels_a_class_and_always_the_same() -> None:
    data = headstart.read()
    assert [len(data.train), len(data.validation), len(data.test)] == [100, 100, 1597]
    assert np.bincount(data.train.targets).tolist() == [10] * 10
    assert data.task.labels == tuple("0123456789")
    assert data.record.fingerprint == headstart.read().record.fingerprint


def test_the_weights_fit_into_the_package() -> None:
    for name in builtin_names():
        assert sum(file.stat().st_size for file in (place() / name).iterdir()) <= 4_000_000


def test_the_frozen_built_in_backbone_reads_digits_it_has_never_seen(tmp_path: Path) -> None:
    result = headstart.compare(out=tmp_path / "run", methods=["probe", "majority"], seeds=1, trials=2)
    assert isinstance(result, Comparison)
    assert result.row("probe").low > 0.92
    assert result.verdict.method == "probe"
    assert result.row("majority").high < 0.15
    (found,) = headstart.predict(tmp_path / "run", [_digit(4)])
    assert found.label == "4"


@pytest.mark.slow
def test_adapting_beats_scratch_by_a_wide_margin(tmp_path: Path) -> None:
    """Ten labels a class, the same tuning budget; both intervals and their distance are shown."""
    result = headstart.compare(out=tmp_path / "run", methods=["lpft", "scratch"], seeds=3, trials=3)
    adapted, scratch = result.row("lpft"), result.row("scratch")
    assert adapted.low > scratch.high
    assert scratch.difference < -0.03
    assert scratch.p_adjusted < 0.05


def _digit(label: int) -> bytes:
    data = headstart.read()
    position = int(np.flatnonzero(data.test.targets == label)[0])
    (picture,) = data.test.inputs([position])
    assert isinstance(picture, bytes)
    return picture
