from __future__ import annotations

import dataclasses
import html
import json
import re

import pytest
import report_example

from headstart.api.options import LOAD, OTHER, READ, names_of
from headstart.cli.verbs.compare import command as compare_command
from headstart.core.records.comparison import Comparison, Mistake, Verdict
from headstart.core.records.data import Finding, TokensRecord
from headstart.engine.job import Options
from headstart.report.charts.confusion import confusion
from headstart.report.pages.command import FLAGLESS, command, next_steps
from headstart.report.pages.comparison import audit_fragment, fragment, page

HOSTILE = "</script><script>alert('x')</script>\"'&<b>"


def embedded(text: str) -> dict:
    found = re.search(r'<script type="application/json" id="record">(.*?)</script>', text, re.S)
    assert found
    return json.loads(found[1])


def hostile() -> Comparison:
    """Every string a user or a hub could have chosen is an attack."""
    base = report_example.comparison()
    labels = (HOSTILE, *base.task.labels[1:])
    rows = tuple(
        dataclasses.replace(
            row, summary=HOSTILE, method=HOSTILE if row.method == "lora" else row.method, notes=(HOSTILE,),
            status=row.status if row.status == "ok" else f"failed: {HOSTILE}", configuration={HOSTILE: HOSTILE},
            trials=tuple(dataclasses.replace(t, configuration={HOSTILE: HOSTILE}) for t in row.trials),
            classes=tuple(dataclasses.replace(c, label=HOSTILE) for c in row.classes),
        )
        for row in base.rows
    )  # fmt: skip
    splits = tuple(dataclasses.replace(s, origin=HOSTILE, class_counts={HOSTILE: 3}) for s in base.data.splits)
    return dataclasses.replace(
        base,
        rows=rows,
        task=dataclasses.replace(base.task, labels=labels, metric=HOSTILE),
        model=dataclasses.replace(base.model, source=HOSTILE),
        data=dataclasses.replace(
            base.data, source=HOSTILE, columns={"text": HOSTILE}, splits=splits,
            findings=(Finding(HOSTILE, HOSTILE, HOSTILE, 1, (HOSTILE,)),),
            tokens=(TokensRecord(HOSTILE, (HOSTILE, HOSTILE), (False, True)),),
        ),
        verdict=Verdict(HOSTILE, HOSTILE, HOSTILE, lines=(HOSTILE,), cheapest=HOSTILE),
        mistakes=(Mistake(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 0.9, 2.0),),
        configuration={"data": HOSTILE},
        environment=dataclasses.replace(base.environment, libraries={HOSTILE: HOSTILE}, processor=HOSTILE),
    )  # fmt: skip


def test_contents():
    comparison = report_example.comparison()
    text = html.unescape(page(comparison))
    for part in (*comparison.verdict.lines, "What does NASA stand for ?", "headstart predict runs/NAME INPUT",
                 "headstart predict runs/NAME --method bitfit INPUT", "cheapest within 3 points",
                 "distilbert-base-uncased", "q.csv", "[95.0, 97.1]", "351.9k", "<0.001",
                 "out of memory", "Most confused", "non-inferiority", "low-rank updates", "AMD EPYC 7B13", "q.csv:17",
                 "headstart compare q.csv --model distilbert-base-uncased", "merged into the base on export",
                 "−8.2"):  # fmt: skip
        assert part in text
    order = re.findall(r'<th scope="row" data-text="(\w+)">', text)
    assert order[:3] == ["lora", "full", "gradual_unfreezing"]
    assert order[-2:] == ["prompt", "full_sgd"]
    assert text.count('class="scatter wide"') == 4
    assert "src=" not in text
    assert not re.search(r"https?://", text)


def test_conversations_are_shown_token_by_token():
    base = report_example.comparison()
    shown = TokensRecord("faq.jsonl:1", ("Why", "?\n", "So", "<|end|>"), (False, False, True, True))
    text = page(dataclasses.replace(base, data=dataclasses.replace(base.data, tokens=(shown,))))
    assert "<span>Why</span><span>?\n</span><b>So</b><b>&lt;|end|&gt;</b></pre>" in text
    assert "token by token" not in page(base).lower()


@pytest.mark.parametrize("name", ["comparison", "many_classes", "regression", "bare"])
def test_record_round_trip(name):
    comparison = getattr(report_example, name)()
    again = Comparison.from_json(embedded(page(comparison)))
    assert again.to_json() == comparison.to_json()
    if name != "bare":  # a NaN comes back as None
        assert again == comparison


def test_escaping():
    comparison = hostile()
    text = page(comparison)
    assert "alert('x')</script>" not in text
    assert '<b>"' not in text
    assert HOSTILE not in text
    assert text.count("</script>") == 3  # the switch, the record, the script
    assert embedded(text)["task"]["labels"][0] == HOSTILE
    for part in (fragment(comparison), audit_fragment(comparison.data)):
        assert "<script" not in part
        assert html.escape(HOSTILE, quote=False).split("'")[0] in part


@pytest.mark.parametrize("name", ["comparison", "many_classes", "regression", "bare"])
def test_missing_values_are_dashes(name):
    comparison = getattr(report_example, name)()
    for text in (page(comparison), fragment(comparison), audit_fragment(comparison.data)):
        visible = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.S)
        assert ">None" not in visible
        assert "NaN" not in visible
        assert "nan" not in visible


def test_kinds_without_classes():
    assert "Confusion" not in re.sub(r"<script.*", "", page(report_example.regression()), flags=re.S)
    assert "This comparison is partial" in page(report_example.bare())
    assert page(dataclasses.replace(report_example.bare(), rows=()))


def test_fragment_carries_its_own_style():
    text = fragment(report_example.comparison())
    assert "<style" not in text
    assert "96.1" in text
    assert text.index("lora</b>") < text.index(">probe")
    assert report_example.comparison()._repr_html_() == text


def test_confusion_of_many_classes_is_bounded():
    comparison = report_example.many_classes()
    row = comparison.row("probe")
    found = confusion(row, comparison.task.labels)
    assert found is not None
    assert len(found.labels) == 15
    assert found.left_out == 86
    assert sum(cell.count for line in found.cells for cell in line) == found.total == sum(map(sum, row.confusion))
    assert found.pairs[0].count == max(n for i, line in enumerate(row.confusion) for j, n in enumerate(line) if i != j)
    two = dataclasses.replace(row, confusion=((3, 1), (0, 0)))
    small = confusion(two, ("yes", "no"))
    assert small is not None
    assert [[cell.share for cell in line] for line in small.cells] == [[0.75, 0.25], [0.0, 0.0]]
    assert confusion(two, ("yes", "no", "maybe")) is None


def test_every_option_of_a_run_can_be_repeated():
    """An option without a flag would be printed as one, and the printed command refused."""
    flags = {parameter.name for parameter in compare_command.params}
    options = {*READ, *LOAD, *OTHER, *names_of(Options)}
    assert options - flags <= set(FLAGLESS)
    for name in FLAGLESS:
        assert command({"data": "a.csv", name: 3}) == "headstart compare --config configuration.json"


def test_what_flags_can_not_say_is_read_from_the_configuration():
    assert command({"data": "a.csv", "text": ["title, long"]}).endswith("--config configuration.json")
    assert command({"data": "a.csv", "text": ["title", "body"]}) == "headstart compare a.csv --text title,body"
    assert command({"data": "Data", "from_python": ["data"]}) == ""
    assert command({"data": "a.csv", "settings": {"lora.targets": ["query", "value"]}}) == (
        "headstart compare a.csv --set lora.targets=query,value"
    )


def test_command():
    assert command({}) == ""
    assert command({"command": "headstart compare x"}) == "headstart compare x"
    options = {"data": "my file.csv", "methods": ["a", "b"], "race": False, "label": None, "keep": True, "workers": 0}
    assert command(options) == "headstart compare 'my file.csv' --methods a,b --keep --workers 0"


def test_next_steps_name_the_folder_and_every_kept_model():
    base = report_example.comparison()
    steps = dict(next_steps(base, "my runs/a"))
    assert steps["Label new examples with lora"] == "headstart predict 'my runs/a' INPUT …"
    assert steps["The same with bitfit"] == "headstart predict 'my runs/a' --method bitfit INPUT …"
    assert steps["What more labels would bring"] == "headstart curve q.csv --model distilbert-base-uncased"
    assert not next_steps(report_example.bare(), "a")
