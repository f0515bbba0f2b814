"""An evaluation as a table and as a page: every figure from the record, and nothing of a user's runs."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from evaluation_example import evaluation

from headstart.report.charts.tradeoff import tradeoff
from headstart.report.pages.evaluation import page
from headstart.report.terminal.evaluation import tables


def test_the_table_says_what_failed_and_what_would_decide() -> None:
    told = tables(evaluation())
    lines = told.splitlines()
    assert lines[0] == "full, 3 seeds against the base; Accuracy, %"
    retention = next(line for line in lines if line.startswith("retention"))
    assert retention.split()[-2:] == ["failed", "regressed"]
    assert "-11.0" in retention
    assert retention.split()[-4:-2] == [">", "-1.0"]
    assert "p" not in lines[1].split()
    assert "calibration, ece" in told
    assert lines[-2:] == [
        "failed: full: retention of sst2",
        "undecided: full: class: human; about 1.7k examples would decide, 1.2k more",
    ]
    assert "30 examples are right that were wrong, 10 wrong that were right" in told
    assert max(map(len, lines)) <= 100


def test_a_number_of_examples_that_nobody_has_is_no_estimate() -> None:
    """A difference that lies almost on the bar asked for "about 3.9M examples"."""
    found = evaluation()
    (model,) = [one for one in found.models if one.name == "full"]
    checks = tuple(
        replace(one, examples_needed=3_900_000, more_examples=3_899_500) if one.examples_needed else one
        for one in model.checks
    )
    found = replace(found, models=(replace(model, checks=checks),))
    assert tables(found).endswith("full: class: human; more than 100k examples would decide")
    assert "more than 100k more examples would decide" in page(found)


def test_the_page_holds_the_record_and_escapes_what_users_wrote() -> None:
    found = evaluation("<script>alert(1)</script> & </textarea>")
    text = page(found)
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text
    embedded = re.search(r'<script type="application/json" id="record">(.*?)</script>', text, re.S)
    assert embedded
    assert json.loads(embedded[1]) == found.to_json()
    assert text.count("<img ") == 1


def test_money_stands_beside_quality_and_the_frontier_is_drawn() -> None:
    found = evaluation()
    told = tables(found)
    head = next(line for line in told.splitlines() if line.startswith("cost "))
    assert head.split()[-3:] == ["EUR", "a", "1000"]
    assert "J each" not in head, "no machine reported it"
    assert "large-model: 0.04 EUR a thousand examples; Accuracy, % 95.0, as the suite says" in told
    text = page(found)
    assert text.count('class="scatter wide"') == 1
    assert "EUR a thousand examples (log scale)" in text
    assert "large-model" in text.partition('class="scatter wide"')[2].partition("</svg>")[0]
    wide, _, metric = tradeoff(found) or (None, None, None)
    assert wide is not None
    assert metric == "accuracy"
    at = {mark.row.method: mark for mark in wide.marks}
    assert at["full"].x < at["base"].x < at["lora"].x < at["large-model"].x
    assert at["full"].y < at["lora"].y < at["base"].y
    # full is cheapest and best: nothing dearer lies on the frontier
    assert wide.frontier == f"M{at['full'].x:.1f} {at['full'].y:.1f}H{wide.frame.right:.1f}"


def test_without_prices_latency_is_the_cost() -> None:
    from dataclasses import replace

    found = evaluation()
    assert found.base_cost
    free = [replace(one, cost=replace(one.cost, money=None)) for one in found.models if one.cost]
    found = replace(found, models=tuple(free), base_cost=replace(found.base_cost, money=None), externals=())
    wide, _, _ = tradeoff(found) or (None, None, None)
    assert wide is not None
    assert wide.cost.title == "Latency of one example"
    assert "a thousand" not in tables(found)


def test_no_flips_no_costs() -> None:
    from dataclasses import replace

    found = evaluation()
    bare = replace(found, models=(found.models[1],), base_cost=None, verdict="passed")
    assert "What they cost" not in page(bare)
    assert "Every gate passed." in page(bare)
    assert tables(replace(bare, models=(replace(found.models[1], cost=None),))).splitlines()[-1] == "every gate passed"


def test_a_trend_has_every_evaluation_and_a_chart_a_metric() -> None:
    from dataclasses import replace

    from headstart.report.charts.trend import charts, moments

    first = evaluation()
    kept = [replace(one, checks=(replace(one.checks[0], kind="target"),)) for one in first.models]
    later = replace(first, models=tuple(kept[:1]))
    history = [(1, replace(first, models=tuple(kept))), (2, later)]
    assert [(one.number, one.series) for one in moments(history)] == [
        (1, "full: target"), (1, "lora: target"), (2, "full: target"),
    ]  # fmt: skip
    (chart,) = charts(history)
    assert [len(line.dots) for line in chart.lines] == [2, 1]
    assert [tick.label for tick in chart.x_ticks] == ["1", "2"]
    assert charts(history[:1]) == []
    text = page(later, history)
    assert "Over time" in text
    assert text.count('<td data-text="full: target">') == 2
    assert "Over time" not in page(later, history[:1])
