"""An exported model computes in fp32: where another precision was tested, export measures what that changes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np

import headstart
from cli.calling import call, images


def test_export_measures_the_change_of_precision(here: Path) -> None:
    photos = images(here / "photos")
    once = ("--model", "resnet", "--method", "full", "--trials", "1", "--epochs", "1")
    call("fit", "photos", *once, "--precision", "bf16", "--out", "run").expect(0)
    told = call("export", "run", "-o", "whole").expect(0).out
    test = headstart.read(photos).test
    rows = test.inputs()
    tested, shipped = (headstart.predict("run", rows, precision=name) for name in ("bf16", "fp32"))
    gap = max(abs(a.probabilities[k] - b.probabilities[k]) for a, b in zip(tested, shipped) for k in a.probabilities)
    flipped = sum(a.label != b.label for a, b in zip(tested, shipped))
    found = re.search(r"On (\d+) test examples that changes (\d+) labels, and probabilities by up to (\S+)\.\n", told)
    assert found, told
    assert (int(found[1]), int(found[2])) == (len(test), flipped)
    assert np.isclose(float(found[3]), gap, rtol=0.06)
    assert gap > 0
    call("fit", "photos", *once, "--precision", "fp32", "--out", "exact").expect(0)
    assert "accuracy in the record" not in call("export", "exact", "-o", "same").expect(0).out
    shutil.rmtree(photos)
    assert "headstart evaluate run --precision fp32" in call("export", "run", "-o", "again").expect(0).out
