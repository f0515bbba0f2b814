"""The table of methods: every figure from the record, nothing for what was not measured."""

from __future__ import annotations

from headstart.core.records.measured import Facts, MeasuredMethods, Quality
from headstart.report.terminal.methods import elsewhere, expectations, markdown, measured, refusals, table

RECORD = MeasuredMethods(
    model="MiniLM",
    base_latency_seconds=0.02,
    tasks=("TREC",),
    kinds=("cnn", "encoder", "decoder"),
    facts=(
        Facts(
            "lora", 0.0146, 1_600_000_000, 0.2, 1_351_211, 0.025, 0.021, True,
            {"TREC": Quality(0.965, 0.95, 0.98, 3)}, {"cnn": "yes", "encoder": "yes"},
        ),
        Facts("vpt", 0.004, elsewhere="a ViT", elsewhere_base_latency_seconds=0.005),
        Facts("bitfit", 0.001, kinds={"decoder": "bitfit: no biases", "encoder": "yes"}, mergeable=False),
    ),
    environment={},
)  # fmt: skip


def test_a_row_holds_what_was_measured_and_dashes_else() -> None:
    lines = table(RECORD, {"lora": "", "bitfit": "", "new": ""}).splitlines()
    assert lines[1].split() == ["lora", "1.5%", "1.6GB", "200ms", "1.4MB", "25ms", "21ms", "96.5", "CE?"]
    assert lines[2].split() == ["bitfit", "0.1%", "–", "–", "–", "–", "–", "–", "?Ed"]
    assert lines[3].split() == ["new", "–", "–", "–", "–", "–", "–", "–", "???"]
    assert "vpt: costs on a ViT" in lines
    assert max(len(line) for line in lines) <= 100


def test_markdown_has_intervals_and_says_what_was_not_tried() -> None:
    lines = markdown(RECORD, {"lora": "", "bitfit": ""}).splitlines()
    assert "96.5 [95.0, 98.0]" in lines[2]
    assert lines[2].endswith("| cnn, encoder, decoder? |")
    assert lines[3].endswith("| encoder, cnn? |")
    assert elsewhere(RECORD) == [
        "- `vpt` has no place in MiniLM: its costs are of a ViT, which alone takes 5.0ms for one example."
    ]
    assert refusals(RECORD) == ["- `bitfit` on decoder: bitfit: no biases"]


def test_expectations_disagree_where_they_do() -> None:
    told = [line for line in expectations(RECORD) if "lora" in line]
    assert told == ["| `lora` | 0.1% to 1.0% | 1.5% | more than expected |"]


def test_the_record_in_the_package_covers_every_method() -> None:
    from headstart.methods.method import METHODS

    found = measured()
    own = {name for name in METHODS.names() if METHODS[name].__module__.startswith("headstart.")}
    assert own <= {facts.method for facts in found.facts}, "run benchmarks/run.py methods"
    assert MeasuredMethods.from_json(found.to_json()) == found
