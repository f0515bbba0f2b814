"""An evaluation made by hand: two models, one of which failed a gate, with texts and a picture that flipped."""

from __future__ import annotations

from dataclasses import replace

from headstart.core.records.environment import EnvironmentRecord
from headstart.core.records.evaluation import CheckRecord, Cost, Evaluation, External, Flip, Judged, Latency, Score

PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


VERDICTS = {"improved": "passed", "not worse": "passed", "regressed": "failed", "undecided": "undecided"}


def check(
    name: str, base: float, tuned: float, status: str, gate: str = "not_regressed", **more: object
) -> CheckRecord:
    difference = tuned - base
    made = CheckRecord(
        name, "accuracy", True, 500, Score(base, base - 0.03, base + 0.03),
        Score(tuned, tuned - 0.02, tuned + 0.02, 3), difference, difference - 0.03, difference + 0.03, 0.0002,
        difference - 0.025, difference + 0.025, 0.01, status, gate, VERDICTS[status] if gate != "none" else "none",
        0.0001,
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def evaluation(text: str = "who was the first emperor of Rome ?") -> Evaluation:
    flips = (
        Flip("test.csv:17", text, "human", "human", "entity", 0.97),
        Flip("test.csv:3", "", "number", "entity", "number", 0.6, PIXEL),
    )
    full = (
        check("target", 0.93, 0.97, "improved", "improved", gained=30, lost=10, flips=flips),
        check("retention of sst2", 0.82, 0.71, "regressed"),
        check("class: human", 0.9, 0.92, "undecided", examples_needed=1734, more_examples=1234),
        check("calibration", 0.12, 0.03, "improved", "none", metric="ece"),
    )
    lora = (check("target", 0.93, 0.965, "improved", "improved"), check("retention of sst2", 0.82, 0.815, "not worse"))
    times = tuple(
        Latency(batch, length, 0.01 * batch, 0.011 * batch, 0.02 * batch)
        for length in ("short", "long")
        for batch in (1, 8, 32)
    )
    cost = Cost(0.02, 0.03, 0.05, 80.0, None, times, 900_000_000, 13.4, None, 0.0014)
    models = (
        Judged(
            "full",
            "full",
            ("a", "b", "c"),
            "failed",
            full,
            Cost(0.02, 0.03, 0.06, 81.0, 90_000_000, times, 900_000_000, 13.4, None, 0.0013),
        ),
        Judged(
            "lora",
            "lora",
            ("d",),
            "passed",
            lora,
            Cost(0.03, 0.04, 0.05, 70.0, 1_400_000, times, 900_000_000, 13.4, None, 0.0016),
        ),
    )
    environment = EnvironmentRecord(
        "0.1.0", "3.11", {"torch": "2.9"}, "Linux", "EPYC", 2, 2**34, "cpu", "bf16", "2026-01-01T00:00:00+00:00"
    )
    return Evaluation(
        "trec",
        "77ab",
        "./minilm",
        "suite.toml",
        False,
        models,
        environment,
        cost,
        ("a note",),
        {},
        "EUR",
        (External("large-model", 0.04, 0.95),),
    )
