"""`headstart adopt`: an adapter that PEFT can read becomes a run again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from cli.calling import FAST, call


def test_an_adopted_adapter_predicts_alike_and_has_a_card(here: Path) -> None:
    call("compare", "reviews.csv", "--model", "bert", *FAST, "--methods", "lora", "--out", "run").expect(0)
    call("export", "run", "-o", "adapter", "--format", "peft").expect(0)
    call("adopt", "adapter", "--model", "bert", "--out", "again").expect(0)
    told = [json.loads(call("predict", run, "a good film", "--json").expect(0).out) for run in ("run", "again")]
    assert told[0]["confidence"] == pytest.approx(told[1]["confidence"], abs=0.01)  # of a run in bf16
    card = ModelCard((here / "again" / "model" / "README.md").read_text())
    assert card.data.library_name == "headstart"
    assert "lora" in card.data.tags
    assert "nothing was measured" in card.text
    call("adopt", "adapter", "--model", "bert", "--out", "again").refused("again exists")
    for labels, says in (("a,a", "names a twice"), ("a,,b", "an empty name"), ("a", "2 classes; 1 label")):
        call("adopt", "adapter", "--model", "bert", "--out", "more", "--labels", labels).refused(says)
    assert not (here / "more").exists()
    call("adopt", "adapter", "--model", "bert", "--out", "more", "--labels", '"a, b",c').expect(0)
    assert '"a, b"' in (here / "more" / "model" / "artifact.json").read_text()
