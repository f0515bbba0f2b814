"""`improve`: proposals are tried on validation, the test split stays unread, and the record says what came of it."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from cli.calling import FAST, call, reviews, tree
from headstart.core.disk.locks import Lock
from headstart.core.records.evaluation import Evaluation
from headstart.core.records.improvement import Proposal
from headstart.stats.metrics import metric
from headstart.stats.paired import Paired, compare
from headstart.stats.predictions import Predictions

WAYS = [
    Proposal("rate", "it", "", settings={"learning_rate": 1e-4}),
    Proposal("epoch", "it", "", options={"epochs": 1}),
]


@pytest.fixture(scope="module")
def finished(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on reviews. Tests must not change it."""
    place = tmp_path_factory.mktemp("improve")
    reviews(place / "reviews.csv")
    (place / "bert").symlink_to(models / "bert")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        call("compare", "reviews.csv", "--model", "bert", *FAST, "--epochs", "2", "--out", "run").expect(0)
    return place / "run"


@pytest.fixture
def run(finished: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same in a folder of the test's own, where two things are proposed to be tried."""
    monkeypatch.setattr("headstart.judging.advice.improve.proposals", lambda evidence: WAYS)
    shutil.copytree(finished, here / "run")
    return here / "run"


def test_what_is_proposed_is_tried_on_validation(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.data.examples import Examples

    before, read = tree(run), Examples.inputs
    test = {int(i) for i in _ids(run, "test")}

    def inputs(self: Examples, places: object = None) -> object:
        ids = self.ids if places is None else self.ids[places]  # type: ignore[index]
        assert not {int(i) for i in ids} & test, "the test split was read"
        return read(self, places)

    monkeypatch.setattr(Examples, "inputs", inputs)
    done = call("improve", "run", "--method", "lora", "--seeds", "1").expect(0)
    found = json.loads((run / "improvement.json").read_text())
    assert found["method"] == "lora"
    assert len(found["tried"]) == 2
    for one in found["tried"]:
        assert one["proposal"]["evidence"]
        assert one["status"] in ("helped", "hurt", "undecided")
        assert one["difference"] == pytest.approx(one["after"] - one["before"])
        assert one["low"] <= one["difference"] <= one["high"]
        assert one["proposal"]["name"] in done.out
    assert {k: v for k, v in tree(run).items() if "improvement" not in str(k)} == before
    held = Predictions.read(run / "predictions" / "validation" / "lora-seed0.safetensors")
    assert not set(held.ids.tolist()) & test, "what proposals are read off"
    row = next(row for row in json.loads((run / "comparison.json").read_text())["rows"] if row["method"] == "lora")
    assert metric("single_label").of(held) == pytest.approx(row["validation_value"])


def _ids(run: Path, split: str) -> list[int]:
    from safetensors.numpy import load_file

    assert split == "test"
    (first, *_) = sorted((run / "predictions").glob("*.safetensors"))
    return load_file(first)["ids"].tolist()


def test_turned_labels_are_found_and_leaving_them_out_is_tried(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.judging.advice.suspects.SURE", 0.6)  # a random network's features say little
    monkeypatch.setattr("headstart.judging.advice.suspects.DOUBTED", 0.4)
    with (here / "reviews.csv").open(newline="") as file:
        header, *rows = list(csv.reader(file))
    place = header.index("label")
    labels = sorted({row[place] for row in rows})
    turned = [5, 25, 45]
    for number in turned:
        rows[number][place] = labels[1 - labels.index(rows[number][place])]
    with (here / "turned.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    call("compare", "turned.csv", "--model", "bert", *FAST, "--out", "run").expect(0)
    call("improve", "run", "--method", "lora", "--seeds", "1", "--quiet").expect(0)
    found = json.loads((here / "run" / "improvement.json").read_text())["tried"]
    cleaned = [one for one in found if one["proposal"]["name"] == "clean labels"]
    trained = set(turned) - {int(i) for i in _ids(here / "run", "test")}
    assert trained, "some fell into the training split"
    assert set(cleaned[0]["proposal"]["without"]) & trained
    number = cleaned[0]["proposal"]["without"][0]
    text = " ".join(rows[number][header.index("text")].split())
    assert f'turned.csv:{number + 2} "{text[:59]}' in cleaned[0]["proposal"]["evidence"], "the text, not a number alone"
    assert cleaned[0]["difference"] is not None


def test_proposals_alone_and_a_budget_that_is_spent(run: Path) -> None:
    done = call("improve", "run", "--method", "lora", "--propose", "--json").expect(0)
    found = json.loads(done.out)
    assert {one["status"] for one in found["tried"]} == {"yours"}
    done = call("improve", "run", "--method", "lora", "--budget", "0.01s", "--seeds", "1", "--json").expect(0)
    assert "Record  run/improvement.json" in call("improve", "run", "--method", "lora", "--propose").expect(0).out
    can = [o for o in json.loads(done.out)["tried"] if o["proposal"]["settings"] or o["proposal"]["options"]]
    assert {one["status"] for one in can} == {"no time"}


def test_a_budget_too_short_for_a_trial_trains_nothing_and_names_one_that_is_not(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("headstart.judging.advice.improve._Trials.of", lambda *_: pytest.fail("something was trained"))
        out = call("improve", "run", "--method", "lora", "--budget", "0.01s").expect(0).out
    assert out.count("not tried, no time was left") == len(WAYS)
    needed = json.loads((run / "improvement.json").read_text())["needed"]
    trained = json.loads((run / "comparison.json").read_text())["rows"]
    once = next(row["train_seconds"] for row in trained if row["method"] == "lora")
    assert needed > 2 * 3 * once, "the method as it was and one change, with three seeds"
    enough = re.search(r"--budget (\d+s) or more", out)
    assert enough
    assert int(enough[1][:-1]) >= needed
    monkeypatch.setattr("headstart.judging.advice.improve._Trials.of", lambda *_: iter(()))
    assert "--budget" not in call("improve", "run", "--method", "lora", "--budget", enough[1]).expect(0).out


def test_trials_are_not_repeated_and_no_record_is_lost(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.judging.advice import improve

    file, p_values = run / "improvement.json", iter((0.01, 0.02, 0.04))

    def paired(*runs: object, **options: object) -> Paired:
        return dataclasses.replace(compare(*runs, **options), p_value=next(p_values))  # type: ignore[arg-type]

    monkeypatch.setattr("headstart.judging.advice.improve.compare", paired)
    call("improve", "run", "--method", "lora", "--seeds", "1").expect(0)
    first = json.loads(file.read_text())["tried"]
    assert first[0]["configuration"]["learning_rate"] == 1e-4
    assert first[1]["configuration"]["learning_rate"] != 1e-4
    with monkeypatch.context() as patch:
        patch.setattr(improve, "run_trial", lambda *_: pytest.fail("trained again"))
        call("improve", "run", "--method", "lora", "--seeds", "1", "--propose").expect(0)
        call("improve", "run", "--method", "lora", "--seeds", "1").expect(0)
    assert json.loads(file.read_text())["tried"] == first
    three = Proposal("wider", "it", "", settings={"rank": 2})
    monkeypatch.setattr("headstart.judging.advice.improve.proposals", lambda evidence: [*WAYS, three])
    call("improve", "run", "--method", "lora", "--seeds", "1").expect(0)
    again = json.loads(file.read_text())["tried"]
    assert [one["difference"] for one in again[:2]] == [one["difference"] for one in first]
    assert again[2]["difference"] is not None
    assert [round(one["p_adjusted"], 6) for one in again] == [0.03, 0.04, 0.04], "Holm over all three"
    call("improve", "run", "--method", "lora", "--seeds", "2", "--propose").expect(0)
    assert json.loads((run / "improvement.1.json").read_text())["tried"] == again
    assert {one["status"] for one in json.loads(file.read_text())["tried"]} == {"yours"}
    monkeypatch.setattr("headstart.judging.advice.improve.proposals", lambda evidence: WAYS[:1])
    call("improve", "run", "--method", "lora", "--seeds", "1").expect(0)
    assert json.loads(file.read_text())["tried"] == again, "for two of them nothing speaks any more"


def test_what_was_found_on_test_examples_is_no_evidence(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Evaluation, "read", lambda file: pytest.fail(f"{file} is of test examples"))
    (run / "evaluations").mkdir()
    for file in (run / "evaluation.json", run / "evaluations" / "1.json"):
        file.write_text("{}")
    call("improve", "run", "--method", "lora", "--propose").expect(0)


def test_another_base_is_refused(run: Path, here: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(here / "bert", here / "other")
    weights = load_file(here / "other" / "model.safetensors")
    name = next(iter(sorted(weights)))
    weights[name] = weights[name] + torch.ones_like(weights[name])
    save_file(weights, here / "other" / "model.safetensors", metadata={"format": "pt"})
    call("improve", "run", "--model", "other", "--propose").refused("fingerprint")
    assert not (run / "improvement.json").exists()


def test_a_method_that_can_not_be_judged_is_told(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverged(*_: object) -> None:
        raise ValueError("scores that are no numbers")

    monkeypatch.setattr("headstart.judging.advice.improve.interval", diverged)
    call("improve", "run", "--method", "lora", "--seeds", "1").expect(0)
    tried = json.loads((run / "improvement.json").read_text())["tried"]
    assert "failed: scores that are no numbers" in {one["status"] for one in tried}


def test_a_run_that_another_process_has_is_left_alone(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(run)
    with Lock(run):
        call("improve", "run", "--method", "lora", "--propose").refused("in use by another process", "nothing was")
    assert tree(run) == before
    held: list[bool] = []
    monkeypatch.setattr(
        "headstart.judging.advice.improve.proposals", lambda evidence: held.append((run / ".lock").exists()) or WAYS
    )
    call("improve", "run", "--method", "lora", "--propose").expect(0)
    assert held == [True]
    assert not (run / ".lock").exists()


def test_bad_input(run: Path, here: Path) -> None:
    call("improve", "nowhere").refused("nowhere", "no finished run")
    assert not (here / "nowhere").exists()
    call("improve", "run", "--method", "lara").refused("Did you mean 'lora'?")
    call("improve", "run", "--budget", "soon").refused("soon")
    call("improve", "run", "--seeds", "0").refused("--seeds")


def test_what_fails_or_is_stopped_takes_nothing_from_the_rest(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.judging.advice import improve

    heat, calls = improve.run_trial, 0
    stop: type[BaseException] = RuntimeError

    def failing(*arguments: Any) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise stop("out of memory")
        return heat(*arguments)

    monkeypatch.setattr(improve, "run_trial", failing)
    found = json.loads(call("improve", "run", "--method", "lora", "--seeds", "1", "--json").expect(0).out)["tried"]
    first, second = (one["status"] for one in found)
    assert first == "failed: out of memory"
    assert second in ("helped", "hurt", "undecided")
    (run / "improvement.json").unlink()
    calls, stop = -1, KeyboardInterrupt  # in the second trial, when the first is judged
    assert call("improve", "run", "--method", "lora", "--seeds", "1").code == 130
    kept = json.loads((run / "improvement.json").read_text())["tried"]
    assert kept[0]["status"] in ("helped", "hurt", "undecided")
    assert kept[1]["status"] == "yours", "not begun, or not finished"
