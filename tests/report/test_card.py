"""The model card: a header that the Hub's own library reads, and every figure with its interval."""

from __future__ import annotations

import re
from dataclasses import replace

from huggingface_hub import ModelCard

from headstart.core.records.evaluation import CheckRecord, Judged, Score
from headstart.core.records.training import Stop
from headstart.report.card import adopted_card, card
from report.report_example import comparison

EXAMPLE = comparison()


def test_the_header_is_read_by_the_hubs_library() -> None:
    row = EXAMPLE.row("lora")
    found = ModelCard(card(EXAMPLE, row)).data
    assert found.library_name == "headstart"
    assert found.metrics == [row.metric]
    assert found.eval_results[0].metric_value == round(row.value, 6)
    assert found.eval_results[0].dataset_split == "test"
    assert "lora" in found.tags


def test_figures_limits_and_gates() -> None:
    row = EXAMPLE.row("lora")
    told = card(EXAMPLE, row)
    assert f"**{100 * row.value:.1f}** [{100 * row.low:.1f}, {100 * row.high:.1f}]" in told
    assert all(f"- {line}\n" in told for line in EXAMPLE.verdict.lines)
    assert EXAMPLE.data.fingerprint in told
    assert "Against its base" not in told
    assert "One seed" not in told
    assert "mean over 3 seeds, with" in told
    single = card(EXAMPLE, replace(row, seeds=row.seeds[:1], stopped=Stop(0.11, "time", epochs=3.0)))
    assert "One seed" in single
    assert "one seed, with" in single
    assert "stopped its training after 3 epochs; the value is that of the shorter training" in single
    record = CheckRecord(
        "retention of a|b", "accuracy", True, 500, Score(0.8, 0.7, 0.9), Score(0.7, 0.6, 0.8, 3), -0.1, -0.15, -0.05,
        0.001, -0.14, -0.06, 0.01, "regressed", "not_regressed", "failed",
    )  # fmt: skip
    judged = card(EXAMPLE, row, Judged("lora", "lora", (), "failed", (record,)))
    assert "Gates: failed" in judged
    assert (
        "| retention of a\\|b (Accuracy, %) | 80.0 | 70.0 | -10.0 [-15.0, -5.0] | [-14.0, -6.0] | regressed | failed |"
        in judged
    )


NAMES = [
    "<script>alert(1)</script>",
    "![x](http://a.b/c.png)",
    "[y](javascript:z)",
    "`c`",
    "# d",
    "a\n---\nlicense: mit",
]


def test_names_from_the_data_are_text_and_nothing_else() -> None:
    """Class names, the data's and the model's, settings and findings, in the text and in the header."""
    task = replace(EXAMPLE.task, labels=tuple(NAMES))
    data = replace(EXAMPLE.data, source="![p](http://a.b/p.png)\n---\n# x.csv")
    model = replace(EXAMPLE.model, source="<img src=x>/y")
    row = EXAMPLE.row("lora")
    row = replace(row, classes=tuple(replace(row.classes[0], label=name) for name in NAMES), configuration={"t": "<i>"})
    told = card(replace(EXAMPLE, task=task, data=data, model=model), row)
    cards = [ModelCard(told), ModelCard(adopted_card("lora", {"t": "<i>"}, NAMES, "<b>/x", "0", "![p](http://a.b)"))]
    for found in cards:
        assert found.data.library_name == "headstart"
        assert getattr(found.data, "license", None) is None
        body = found.text
        assert not re.findall(r"[<>]|(?<!\\)\]\(|(?<!\\)`c|http://", body)
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body
        assert [line for line in body.splitlines() if line.startswith("# ")] == body.splitlines()[:2][-1:]


def test_lines_of_a_table_stay_lines_of_a_table() -> None:
    row = EXAMPLE.row("lora")
    broken = replace(row, classes=(replace(row.classes[0], label="a|b\nc"), *row.classes[1:]))
    lines = [line for line in card(EXAMPLE, broken).splitlines() if line.startswith("| a\\|b c |")]
    assert len(lines) == 1
