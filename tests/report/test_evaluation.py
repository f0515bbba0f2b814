"""An evaluation as a table and as a page: every figure from the record, and nothing of a user's runs."""

from __future__ import annotations

import json
import re

from evaluation_example import evaluation

from headstart.report.evaluation import tables
from headstart.report.evaluation_page import page


def test_the_table_says_what_failed_and_what_would_decide() -> None:
    told = tables(evaluation())
    lines = told.splitlines()
    assert lines[0] == "full, 3 seeds against the base; Accuracy, %"
    retention = next(line for line in lines if line.startswith("retention"))
    assert retention.split()[-2:] == ["failed", "regressed"]
    assert "-11.0" in retention
    assert "undecided, 1.2k more\n" in told
    assert "calibration, ece" in told
    assert lines[-1] == "failed: full: retention of sst2"
    assert "30 examples are right that were wrong, 10 wrong that were right" in told
    assert max(map(len, lines)) <= 100


def test_the_page_holds_the_record_and_escapes_what_users_wrote() -> None:
    found = evaluation("<script>alert(1)</script> & </textarea>")
    text = page(found)
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text
    embedded = re.search(r'<script type="application/json" id="record">(.*?)</script>', text, re.S)
    assert embedded
    assert json.loads(embedded[1]) == found.to_json()
    assert text.count("<img ") == 1


def test_no_flips_no_costs() -> None:
    from dataclasses import replace

    found = evaluation()
    bare = replace(found, models=(found.models[1],), base_cost=None, passed=True)
    assert "What they cost" not in page(bare)
    assert "Every gate was passed." in page(bare)
    assert tables(replace(bare, models=(replace(found.models[1], cost=None),))).splitlines()[-1] == "every gate passed"
