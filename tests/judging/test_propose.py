"""What is proposed follows from the evidence, and nothing is proposed without it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from headstart.core.records.comparison import ClassRow, Comparison, Row, Verdict
from headstart.core.records.ranking import Candidate
from headstart.core.records.training import Point, SeedRun, Trial
from headstart.judging.advice.propose import Evidence, proposals
from headstart.judging.advice.suspects import suspects
from headstart.stats.predictions import Predictions
from headstart.tasks.task import Task
from report.report_example import comparison


def row(method: str, **changed: Any) -> Row:
    curve = tuple(Point(float(e), e, 0.5, 0.5, 0.8, 1e-4) for e in range(1, 11))
    seeds = (SeedRun(0, 0.8, 0.8, 1.0, best_epoch=9.0, curve=curve),)
    return replace(
        Row(method, "ok", "accuracy", value=0.8, learning_rate=3e-5, trained_parameters=1000, seeds=seeds), **changed
    )


def record(*rows: Row, reference: str = "full", **configuration: Any) -> Comparison:
    found = comparison()
    return replace(
        found, rows=rows, verdict=Verdict(rows[0].method, "", reference), configuration=configuration,
        task=replace(found.task, kind="single_label", modality="text", metric="accuracy", higher_is_better=True),
    )  # fmt: skip


def names(evidence: Evidence) -> list[str]:
    return [one.name for one in proposals(evidence)]


def of(evidence: Evidence, name: str) -> Any:
    (found,) = [one for one in proposals(evidence) if one.name == name]
    return found


def test_without_evidence_nothing_is_proposed() -> None:
    assert names(Evidence(record(row("full")), "full", "text")) == []


def said(right: int, n: int = 2000) -> list[Predictions]:
    """Two classes, the first `right` of n examples answered rightly."""
    targets = np.arange(n) % 2
    answers = np.where(np.arange(n) < right, targets, 1 - targets)
    return [Predictions(np.arange(n), targets, 0.8 * np.eye(2, dtype=np.float32)[answers] + 0.1)]


def test_the_probe_where_it_is_shown_to_lose_less_than_the_margin_on_validation() -> None:
    run = record(row("full"), row("probe", trained_parameters=10, p_adjusted=0.0, difference=-0.5))  # of the test split
    run = replace(run, task=replace(run.task, labels=("a", "b")))

    def told(full: int, probe: int, method: str = "full", run: Comparison = run) -> list[str]:
        held = {"full": said(full), "probe": said(probe)}
        found = proposals(Evidence(run, method, "text", validation=held))
        return [one.evidence for one in found if one.name == "use the probe"]

    (near,) = told(1800, 1796)
    assert "on validation full is ahead of the probe by 0.2 points, and the probe loses at most" in near
    assert "10 parameters instead of 1,000" in near
    (better,) = told(1796, 1800)
    assert "the probe is ahead of full by 0.2 points" in better, "the sign as it is"
    assert "they are equal" in told(1800, 1800)[0]
    assert told(1800, 1750) == [], "2.5 points"
    assert told(1800, 1785) == [], "0.8 points, which these examples can't tell from more than one"
    assert told(1800, 1800, "probe") == []
    recommended = replace(run, verdict=replace(run.verdict, method="probe"))
    assert told(1800, 1800, run=recommended) == [], "the run recommends it already"
    assert names(Evidence(run, "full", "text")) == [], "an older run kept no validation predictions"


def test_what_the_run_has_tried_is_not_proposed_again() -> None:
    values = (0.5, 0.6, 0.8, 0.7, 0.6)
    both = record(row("full"), row("freeze", configuration={"rungs": 3}))
    assert names(Evidence(both, "full", "text", levels(*values))) == []
    curve = tuple(Point(float(e), e, 0.3, 0.4 + 0.05 * abs(e - 2), 0.8, 1e-4) for e in range(1, 11))
    fast = row("full", seeds=(SeedRun(0, 0.8, 0.8, 1.0, best_epoch=2.0, curve=curve),))
    assert names(Evidence(record(fast), "full", "text")) == ["lower rate"]
    tried = replace(
        fast, trials=(Trial({"learning_rate": 1e-5}, 0.7), Trial({"learning_rate": 3e-5}, 0.8, chosen=True))
    )
    assert names(Evidence(record(tried), "full", "text")) == []


def levels(*values: float) -> list[Candidate]:
    return [Candidate("m", f"rung {i + 1}", probe=value) for i, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "frozen", "name", "depth"),
    [
        ((0.5, 0.6, 0.8, 0.7, 0.6), 1, "freeze more", 3),
        ((0.5, 0.8, 0.7, 0.6, 0.6), 4, "freeze fewer", 2),
        ((0.5, 0.6, 0.7, 0.8, 0.9), 1, "freeze more", 4),  # not all: that would be a probe
    ],
)
def test_rungs_are_frozen_up_to_the_best_level(values: tuple[float, ...], frozen: int, name: str, depth: int) -> None:
    run = record(row("freeze", configuration={"rungs": frozen}))
    found = of(Evidence(run, "freeze", "text", levels(*values)), name)
    assert (found.method, found.settings) == ("freeze", {"rungs": depth, "learning_rate": 3e-5})
    assert f"{100 * max(values):.1f} %" in found.evidence
    same = record(row("freeze", configuration={"rungs": depth}))
    assert not [n for n in names(Evidence(same, "freeze", "text", levels(*values))) if n.startswith("freeze")]


def test_a_lower_rate_where_the_examples_were_learnt_too_fast() -> None:
    curve = tuple(Point(float(e), e, 0.3, 0.4 + 0.05 * abs(e - 2), 0.8, 1e-4) for e in range(1, 11))
    fast = row("full", seeds=(SeedRun(0, 0.8, 0.8, 1.0, best_epoch=2.0, curve=curve),))
    found = of(Evidence(record(fast), "full", "text"), "lower rate")
    assert "rose from 0.4 to 0.8" in found.evidence
    assert found.settings == {"learning_rate": pytest.approx(1e-5)}


def test_augmentation_where_the_examples_were_learnt_by_heart() -> None:
    curve = tuple(Point(float(e), e, 0.05, 0.4, 0.8, 1e-4) for e in range(1, 11))
    learnt = row("full", seeds=(SeedRun(0, 0.8, 0.8, 1.0, best_epoch=9.0, curve=curve),))
    found = of(Evidence(record(learnt), "full", "text"), "augment")
    assert found.options == {"word_dropout": 0.1}
    assert "0.05" in found.evidence
    assert of(Evidence(record(learnt, augment="light"), "full", "image"), "augment").options == {"augment": "strong"}
    assert "augment" not in names(Evidence(record(learnt, augment="strong"), "full", "image"))
    tags = record(learnt)
    tags = replace(tags, task=replace(tags.task, kind="tagging", modality="text_words", labels=("O", "B-X")))
    assert "augment" not in names(Evidence(tags, "full", "text_words")), "words that are left out leave their tags"


def test_labels_in_doubt_are_left_out() -> None:
    found = of(Evidence(record(row("full")), "full", "text", suspects={17: "spam", 4: "ham"}), "clean labels")
    assert found.without == (17, 4)
    assert "17 (rather spam)" in found.evidence
    told = Evidence(record(row("full")), "full", "text", suspects={17: "spam"}, places={17: "mails.csv:19"})
    assert "mails.csv:19 (rather spam)" in of(told, "clean labels").evidence


def test_more_data_for_the_class_that_is_missed() -> None:
    def evidence(*table: tuple[int, ...], labels: str) -> Evidence:
        """table: true by predicted, on validation; of the test split the row tells the opposite."""
        pairs = [(t, p) for t, line in enumerate(table) for p, count in enumerate(line) for _ in range(count)]
        scores = np.eye(len(labels), dtype=np.float32)[[p for _, p in pairs]]
        held = [Predictions(np.arange(len(pairs)), np.array([t for t, _ in pairs]), scores)]
        other = row(
            "full", classes=tuple(ClassRow(label, 0.9, 0.2 if label == "a" else 1.0, 0.9, 90) for label in labels)
        )
        found = record(other)
        found = replace(found, task=replace(found.task, labels=tuple(labels)))
        return Evidence(found, "full", "text", validation={"full": held})

    found = of(evidence((19, 0, 1), (2, 10, 8), (0, 1, 19), labels="abc"), "more data")
    assert "b is found 50 %" in found.evidence
    assert "taken for c" in found.evidence
    assert not found.can_be_tried
    assert "classes on average 80 %" in found.evidence
    found = of(evidence((19, 0, 1, 0), (2, 10, 8, 0), (0, 1, 19, 0), (0, 4, 0, 1), labels="abcd"), "more data")
    assert "b is found 50 % of the time on validation, classes on average 65 %" in found.evidence
    assert "too few of the validation examples are of d to tell" in found.evidence


def test_a_wrong_label_is_doubted_and_a_right_one_is_not() -> None:
    rng = np.random.default_rng(0)
    targets = np.repeat([0, 1, 2], 60)
    features = torch.from_numpy(rng.normal(size=(180, 8)) + 6 * np.eye(3, 8)[targets]).float()
    given = targets.copy()
    given[[3, 70, 150]] = [1, 2, 0]
    task = Task(kind="single_label", modality="text", labels=("a", "b", "c"))
    assert dict(sorted(suspects(features, given, task, 1.0).items())) == {3: 0, 70: 1, 150: 2}
    assert suspects(features, targets, task, 1.0) == {}


def test_a_probe_that_knows_nothing_doubts_nobody() -> None:
    """Features of noise: the probe is sure of what it has learnt by heart, and wrong half of the time."""
    rng = np.random.default_rng(1)
    targets = rng.integers(2, size=120)
    features = torch.from_numpy(rng.normal(size=(120, 80))).float()
    task = Task(kind="single_label", modality="text", labels=("a", "b"))
    assert suspects(features, targets, task, 1.0) == {}
