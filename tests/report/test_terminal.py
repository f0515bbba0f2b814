from __future__ import annotations

import dataclasses

import pytest
import report_example
from rich.cells import cell_len

from headstart.core.records.comparison import Row, Verdict
from headstart.core.records.training import Stop
from headstart.report.terminal.comparison import audit, table


def test_rows_are_sorted_and_hold_the_numbers():
    lines = table(report_example.comparison()).splitlines()
    names = [line.split()[1] if line[0] in ">=~x" else line.split()[0] for line in lines[1:13]]
    assert names == ["lora", "full", "gradual_unfreezing", "layerwise_lr", "adapter", "bitfit", "prefix", "probe",
                     "scratch", "majority", "prompt", "full_sgd"]  # fmt: skip
    assert lines[1].startswith("> lora")
    for text in ("96.1 [95.0, 97.1]", "ref", "351.9k  0.5%", "1.3GB", "41.2s", "12ms", "1.4MB", "3e-4"):
        assert text in lines[1]
    assert "-8.2" in lines[8]
    assert "<0.001" in lines[8]
    assert lines[9].startswith("~ scratch")
    assert "failed: out of memory" in lines[11]
    assert lines[12].endswith("diverged")
    assert lines[6].startswith("= bitfit")
    assert "= cheapest within 3 points of ref." in " ".join(lines)
    assert lines[-4] == "Best: lora, 96.1 % accuracy [95.0, 97.1] (chosen on validation), 41 s of training."
    assert lines[-3].startswith("Cheapest within 3 points of it: bitfit,")
    assert lines[-2].startswith("  ")
    assert lines[-1].startswith("Tuning is better")


def test_a_row_that_a_race_stopped_keeps_its_value_and_is_marked():
    base = report_example.comparison()
    rows = [
        dataclasses.replace(row, status="stopped: after 11 % of its training", stopped=Stop(1 / 9, "time"))
        if row.method == "prefix" else row for row in base.rows
    ]  # fmt: skip
    text = table(dataclasses.replace(base, rows=tuple(rows)))
    (line,) = (line for line in text.splitlines() if "prefix" in line)
    assert line.startswith("x prefix")
    assert "92.0" in line
    assert "x stopped early, with the value of the shorter training." in " ".join(text.split())


def test_the_model_and_the_columns_are_named_and_a_small_model_is_owned_up_to():
    base = report_example.comparison()
    text = " ".join(table(base).split())
    assert "Model: distilbert-base-uncased, 66.4M parameters. Data: q.csv, text from question, label from kind." in text
    assert "built-in" not in text
    small = dataclasses.replace(base, model=dataclasses.replace(base.model, source="builtin/gist"))
    assert "a larger one is usually better: --model sentence-transformers/all-MiniLM-L6-v2" in " ".join(
        table(small).split()
    )


def test_a_record_of_the_first_schema_shows_its_sentence():
    base = report_example.comparison()
    old = dataclasses.replace(base, verdict=Verdict("full", "Use full: the cheapest.", "lora"))
    assert table(old).endswith("Use full: the cheapest.")


def test_lower_is_better_sorts_the_other_way():
    lines = table(report_example.regression()).splitlines()
    assert lines[1].startswith("> lora")
    assert lines[10].startswith("~ majority")
    assert "mae" in lines[0]
    assert "one seed," in "\n".join(lines)


@pytest.mark.parametrize("name", ["comparison", "many_classes", "regression", "bare"])
def test_width(name):
    comparison = getattr(report_example, name)()
    long = Row("a_method_with_a_name_that_is_very_long_indeed_表表表", "failed: " + "why " * 80, "accuracy", value=None)
    comparison = dataclasses.replace(comparison, rows=(*comparison.rows, long))
    for text in (table(comparison), audit(comparison.data)):
        assert max(cell_len(line) for line in text.splitlines()) <= 100
        assert "None" not in text
        assert "nan" not in text


def test_a_long_status_is_told_in_full():
    """Why a method could not run is nowhere else on the terminal."""
    base = report_example.comparison()
    row = Row(
        "conv_adapter",
        "not applicable: this backbone is no convolutional network " + "and so " * 20 + "on.",
        "accuracy",
    )
    text = table(dataclasses.replace(base, rows=(*base.rows, row)))
    assert "and so on." in " ".join(text.split())
    assert "…" not in text


def test_one_row_is_compared_with_nothing():
    base = report_example.comparison()
    text = table(dataclasses.replace(base, rows=base.rows[:1], seeds=(0,)))
    assert not [word for word in ("vs ref", "Holm", "> use") if word in text]
    assert "another training may come out otherwise" in text


def test_partial_and_empty():
    text = table(report_example.bare())
    assert "not run" in text
    assert "partial" in text
    assert table(dataclasses.replace(report_example.bare(), rows=()))


def test_control_characters_never_reach_the_terminal():
    base = report_example.comparison()
    hostile = dataclasses.replace(base.rows[0], method="\x1b[31mred\nline", value=0.5)
    text = table(dataclasses.replace(base, rows=(hostile,)))
    assert "\x1b" not in text
    assert "?[31mred line" in text


def test_audit():
    text = audit(report_example.comparison().data)
    assert "1,019 rows read, 1,000 used" in text
    assert "entity 92" in text
    assert text.index("error") < text.index("warning") < text.index("note ")
    assert "q.csv:17" in text
    assert "94 more with 3 to" in audit(report_example.many_classes().data)
    assert audit(dataclasses.replace(report_example.comparison().data, findings=())).endswith("No findings.")


def test_rows_of_a_race_have_their_own_number_of_seeds():
    base = report_example.comparison()
    assert "mean over 3 seeds" in table(base)
    rows = list(base.rows)
    at = next(i for i, row in enumerate(rows) if row.seeds and row.learning_rate is not None)
    rows[at] = dataclasses.replace(rows[at], seeds=rows[at].seeds[:1])
    assert "mean over 1 to 3 seeds" in table(dataclasses.replace(base, rows=tuple(rows)))
