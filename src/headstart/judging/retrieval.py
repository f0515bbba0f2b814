"""Retrieval between images and texts: recall at k in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.backbones.loaders.two_towers import TwoTowers
from headstart.data.audit.findings import Findings
from headstart.data.corpus.pairs import read_pairs
from headstart.engine.machine.precision import Compute
from headstart.engine.towers import image_features, recalls, text_features, told_apart


def retrieved(towers: TwoTowers, sources: Sequence[str], captions: str, compute: Compute) -> dict[str, Any]:
    """Recall at k between images and the texts of a column, and the recall by chance at ten.

    Uses only the test split of sources that have one, because the towers may have been trained on the others.
    """
    findings = Findings()
    pairs = read_pairs(sources, captions, findings, "test")
    said = [str(text) for text in pairs.texts.inputs()]
    same, chance = told_apart(said)
    seen, texts = image_features(towers, pairs.images, compute), text_features(towers, said, compute)
    return {
        **recalls(seen.float(), texts.float(), same), "pairs": len(said), "splits": list(pairs.splits),
        "chance_at_10": chance,
        "findings": [finding.to_json() for finding in findings.records()],
    }  # fmt: skip
