"""`headstart evaluate` on further labelled files, against another training, and one evaluation after another."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import headstart
from cli.calling import Call, call, sentences, write_csv

FIT = ("--method", "probe", "--trials", "1", "--epochs", "1", "--quiet")


@pytest.fixture
def run(lora_run: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("headstart.judging.cost.EXAMPLES", 8)
    monkeypatch.setattr("headstart.judging.cost.BATCHES", {1: 3, 8: 3})
    shutil.copytree(lora_run.folder, "run")
    shutil.copy(lora_run.folder.parent / "reviews.csv", "reviews.csv")
    return tmp_path


@pytest.fixture
def probe(run: Path, models: Path) -> tuple[str, ...]:
    """What fits a probe on a file that comes before it."""
    return ("--model", str(models / "bert"), *FIT)


def labels(here: Path) -> list[str]:
    found: list[str] = json.loads((here / "run" / "comparison.json").read_text())["task"]["labels"]
    return found


def fresh(count: int, names: list[str], seed: int = 77) -> list[tuple[str, str]]:
    return [(f"{text} {i}", names[int(good) % len(names)]) for i, (text, good) in enumerate(sentences(count, seed))]


def test_other_labelled_files_get_an_interval_each(run: Path) -> None:
    names = labels(run)
    write_csv(run / "may.csv", fresh(40, names), header=("text", "label"))
    write_csv(run / "one.csv", [(text, names[0]) for text, _ in fresh(30, names, 5)], header=("text", "label"))
    done = call("evaluate", "run", "--test", "may.csv", "--test", "one.csv", "--quiet", "--json").expect(0)
    (judged,) = json.loads(done.out)["models"]
    assert [(one["check"], one["kind"], one["examples"]) for one in judged["checks"]] == [
        ("may", "test", 40), ("one", "test", 30),
    ]  # fmt: skip
    for one in judged["checks"]:
        assert one["tuned"]["low"] <= one["tuned"]["value"] <= one["tuned"]["high"]
        assert one["verdict"] == "none"
    (run / "suite.toml").write_text(
        '[[check]]\nkind = "test"\ndata = "may.csv"\nname = "May"\ngate = "not_regressed"\ntolerance = 1.0\n'
    )
    done = call("evaluate", "run", "--suite", "suite.toml", "--quiet").expect(0)
    assert "every gate passed" in done.out
    from headstart import judge

    (again,) = judge(run / "run", test=run / "may.csv", out=run / "python.json").models
    assert again.checks[0].tuned.value == judged["checks"][0]["tuned"]["value"]


def test_the_answers_are_those_of_predict(run: Path) -> None:
    rows = fresh(30, labels(run))
    write_csv(run / "may.csv", rows, header=("text", "label"))
    write_csv(run / "bare.csv", [(text,) for text, _ in rows], header=("text",))
    done = call("evaluate", "run", "--test", "may.csv", "--quiet", "--json").expect(0)
    value = json.loads(done.out)["models"][0]["checks"][0]["tuned"]["value"]
    from headstart import predict

    told = predict(run / "run", [text for text, _ in rows])
    right = [one.label == label for one, (_, label) in zip(told, rows)]
    assert value == pytest.approx(sum(right) / len(right))


def test_pictures_are_read_by_the_rule_that_the_model_was_trained_with(here: Path) -> None:
    """Not by that of the examples as they are read now: a run of an earlier version has another."""
    rng = np.random.default_rng(0)
    for folder, count in (("photos", 24), ("may", 12)):
        for at in range(count):
            place = here / folder / ("dark", "light")[at % 2]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, (1_500, 4_000)[at % 2], (24, 24), dtype=np.uint16)).save(
                place / f"{at}.png"
            )
    once = ("--method", "full", "--trials", "1", "--epochs", "1", "--out", "run")
    call("fit", "photos", "--model", "resnet", *once).expect(0)
    file = here / "run" / "model" / "artifact.json"
    held = json.loads(file.read_text())
    assert held["task"]["images"]["integers"] == [0, 4_095]
    held["task"]["images"]["integers"] = [0, 65_535]
    file.write_text(json.dumps(held))
    (here / "suite.toml").write_text(
        '[[check]]\nkind = "test"\ndata = "may"\nmetric = "log_loss"\n'
        '[[check]]\nkind = "target"\ngate = "none"\nmetric = "log_loss"\n'
    )
    done = call("evaluate", "run", "--suite", "suite.toml", "--quiet", "--json").expect(0)
    found = [one["tuned"]["value"] for one in json.loads(done.out)["models"][0]["checks"]]
    test = headstart.read(here / "photos").test
    tested = [here / "photos" / place for place in test.places(range(len(test)))]
    for value, files in zip(found, (sorted((here / "may").rglob("*.png")), tested)):
        told = headstart.predict("run", files)
        lost = [-math.log(one.probabilities[file.parent.name]) for one, file in zip(told, files)]
        assert value == pytest.approx(np.mean(lost), rel=1e-4)


def test_labels_that_the_model_does_not_know_are_named(run: Path) -> None:
    names = labels(run)
    write_csv(run / "odd.csv", [*fresh(20, names), ("what is this", "unheard")], header=("text", "label"))
    said = call("evaluate", "run", "--test", "odd.csv", "--quiet").refused("unheard", "odd.csv:22")
    assert all(name in said for name in names)
    call("evaluate", "run", "--test", "gone.csv", "--quiet").refused("gone.csv")
    call("evaluate", "run", "--test", "odd.csv", "--test", "odd.csv", "--quiet").refused("given twice")


def test_rows_that_can_not_be_used_are_counted(run: Path) -> None:
    rows = [(text, "" if at % 4 == 0 else label) for at, (text, label) in enumerate(fresh(40, labels(run)))]
    write_csv(run / "may.csv", [*rows, ("", labels(run)[0])])
    done = call("evaluate", "run", "--test", "may.csv", "--quiet", "--json").expect(0)
    found = json.loads(done.out)
    assert found["models"][0]["checks"][0]["examples"] == 30
    assert "may.csv: 11 of 41 rows can't be used: without a label (empty, nan or null); without text" in found["notes"]


def test_numbers_in_another_unit_are_pointed_at(run: Path, probe: tuple[str, ...]) -> None:
    """Grams beside kilograms gave an error of 2405 without a word."""
    for name, unit, seed in (("kilos", 1, 1), ("grams", 1000, 2), ("fresh", 1, 3)):
        texts = sentences(60, seed)
        rows = [(text, round(unit * (at % 17 + 0.25), 2)) for at, (text, _) in enumerate(texts)]
        write_csv(run / f"{name}.csv", rows, header=("text", "label"))
    call("fit", "kilos.csv", *probe, "--kind", "regression", "--out", "weights").expect(0)
    done = call("evaluate", "weights", "--test", "grams.csv", "--test", "fresh.csv", "--quiet", "--json").expect(0)
    (note,) = [one for one in json.loads(done.out)["notes"] if "unit" in one]
    assert note.startswith("grams.csv: most numbers of test (250 … 16250) lie outside of those of train (0.25 … ")


def test_what_was_trained_on_is_noted(run: Path) -> None:
    text = (run / "reviews.csv").read_text()
    (run / "same.csv").write_text(text)
    done = call("evaluate", "run", "--test", "same.csv", "--quiet").expect(0)
    assert "examples were trained on; results on them are too good" in done.out


def test_two_trainings_are_compared_on_the_same_examples(run: Path, lora_run: Call, probe: tuple[str, ...]) -> None:
    call("fit", lora_run.folder.parent / "reviews.csv", *probe, "--out", "other").expect(0)
    done = call("evaluate", "run", "--against", "other", "--quiet", "--json")
    assert done.code in (0, 1, 3)
    found = json.loads(done.out)
    assert found["against"] == "other"
    target = found["models"][0]["checks"][0]
    assert target["gate"] == "not_regressed"
    there = {name: json.loads((run / name / "comparison.json").read_text()) for name in ("run", "other")}
    method = there["run"]["verdict"]["method"]
    value = {name: {row["method"]: row["value"] for row in one["rows"]} for name, one in there.items()}
    assert target["tuned"]["value"] == pytest.approx(value["run"][method])
    assert target["base"]["value"] == pytest.approx(value["other"]["probe"])
    assert target["difference"] == pytest.approx(value["run"][method] - value["other"]["probe"])
    done = call("evaluate", "run", "--against", "run", "--quiet")
    assert f"{method} against run" in done.out
    same = json.loads((run / "run" / "evaluation.json").read_text())["models"][0]["checks"][0]
    assert (same["difference"], same["low"], same["high"]) == (0, 0, 0)


def test_a_split_that_the_other_run_trained_on_is_refused(run: Path, probe: tuple[str, ...]) -> None:
    names = labels(run)
    write_csv(run / "april.csv", fresh(40, names, 3), header=("text", "label"))
    call("fit", "reviews.csv", *probe, "--test", "april.csv", "--out", "later").expect(0)  # trains on run's test split
    call("evaluate", "run", "--against", "later", "--quiet").refused("was trained on", "--test FILE")
    write_csv(run / "may.csv", fresh(40, names), header=("text", "label"))
    done = call("evaluate", "run", "--against", "later", "--test", "may.csv", "--quiet")
    assert done.code == 0, done.err
    three = [(text, "third" if i % 3 else label) for i, (text, label) in enumerate(fresh(90, names, 9))]
    write_csv(run / "more.csv", three, header=("text", "label"))
    call("fit", "more.csv", *probe, "--out", "wider").expect(0)
    call("evaluate", "run", "--against", "wider", "--quiet").refused("other classes", "third")
    call("evaluate", "run", "--against", "nowhere", "--quiet").refused("nowhere")


def test_evaluations_are_kept_one_after_another(run: Path) -> None:
    names = labels(run)
    for seed in (1, 2):
        write_csv(run / "month.csv", fresh(30, names, seed), header=("text", "label"))
        call("evaluate", "run", "--test", "month.csv", "--quiet").expect(0)
    kept = sorted((run / "run" / "evaluations").glob("*.json"))
    assert [file.name for file in kept] == ["1.json", "2.json"]
    assert kept[1].read_bytes() == (run / "run" / "evaluation.json").read_bytes()
    assert kept[0].read_bytes() != kept[1].read_bytes()
    page = (run / "run" / "evaluation.html").read_text()
    assert "Over time" in page
    assert page.count(": month</td>") == 2
    assert (run / "run" / "evaluations" / "1.html").is_file()
    assert "Over time" not in (run / "run" / "evaluations" / "1.html").read_text()


def test_a_record_of_an_earlier_version_is_kept_and_refused_with_a_sentence(run: Path) -> None:
    from headstart.core.errors import ArtifactError
    from headstart.core.records.evaluation import Evaluation

    old = run / "run" / "evaluation.json"
    old.write_text(json.dumps({"schema": "headstart.evaluation/1", "models": [], "passed": True}))
    before = old.read_bytes()
    with pytest.raises(ArtifactError, match="Evaluate the run again"):
        Evaluation.read(old)
    write_csv(run / "may.csv", fresh(30, labels(run)), header=("text", "label"))
    call("evaluate", "run", "--test", "may.csv", "--quiet").expect(0)
    assert (run / "run" / "evaluations" / "1.json").read_bytes() == before
    assert Evaluation.read(run / "run" / "evaluations" / "2.json").suite == "test"


def test_another_set_is_read_as_the_kind_that_the_model_was_trained_for(run: Path, models: Path) -> None:
    """However its labels look: numbers stay classes, and several labels may be written as `predict` writes them."""
    fit = ("--model", models / "bert", "--method", "bitfit", "--trials", "1", "--epochs", "1", "--quiet")
    write_csv(run / "stars.csv", [(text, "123"[at % 3]) for at, (text, _) in enumerate(sentences(60))])
    call("fit", "stars.csv", *fit, "--out", "stars").expect(0)
    write_csv(run / "may.csv", [(text, f"{1 + at / 7:.3f}") for at, (text, _) in enumerate(sentences(30, 7))])
    write_csv(run / "more.csv", [(text, f"{at * 101:,}") for at, (text, _) in enumerate(sentences(30, 7), start=1)])
    for file in ("may.csv", "more.csv"):
        call("evaluate", "stars", "--test", file, "--quiet").refused(file, "label that no training example has")
    sets = [["a, x", "b"], ["b"], ["a, x"]]
    write_csv(run / "tags.csv", [(text, json.dumps(sets[at % 3])) for at, (text, _) in enumerate(sentences(60))])
    call("fit", "tags.csv", *fit, "--out", "tags").expect(0)
    values = []
    for write in (json.dumps, "|".join):
        write_csv(run / "may.csv", [(text, write(sets[at % 3])) for at, (text, _) in enumerate(sentences(30, 7))])
        done = call("evaluate", "tags", "--test", "may.csv", "--quiet", "--json").expect(0)
        values.append(json.loads(done.out)["models"][0]["checks"][0]["tuned"]["value"])
    assert values[0] == values[1]


def test_a_probe_is_tested_on_another_set(run: Path, probe: tuple[str, ...]) -> None:
    rows = fresh(30, labels(run))
    write_csv(run / "may.csv", rows)
    call("fit", "reviews.csv", *probe, "--out", "plain").expect(0)
    done = call("evaluate", "plain", "--test", "may.csv", "--quiet", "--json").expect(0)
    found = json.loads(done.out)
    right = [one.label == label for one, (_, label) in zip(headstart.predict("plain", [t for t, _ in rows]), rows)]
    assert found["models"][0]["checks"][0]["tuned"]["value"] == pytest.approx(sum(right) / len(right))
    assert "probe is the base itself" in found["notes"][0]
    call("evaluate", "plain", "--quiet").refused("--test FILE")


def test_two_runs_read_pictures_each_by_its_own_rule(here: Path) -> None:
    rng = np.random.default_rng(0)
    for folder, count in (("photos", 24), ("may", 12)):
        for at in range(count):
            place = here / folder / ("dark", "light")[at % 2]
            place.mkdir(parents=True, exist_ok=True)
            levels = rng.integers(0, (1_500, 4_000)[at % 2], (24, 24), dtype=np.uint16)
            Image.fromarray(levels).save(place / f"{at}.png")
    for run in ("new", "old"):
        once = ("--method", "full", "--trials", "1", "--epochs", "1", "--out", run)
        call("fit", "photos", "--model", "resnet", *once).expect(0)
    file = here / "old" / "model" / "artifact.json"
    held = json.loads(file.read_text())
    held["task"]["images"]["integers"] = [0, 65_535]
    file.write_text(json.dumps(held))
    (here / "suite.toml").write_text('[[check]]\nkind = "test"\ndata = "may"\nmetric = "log_loss"\n')
    done = call("evaluate", "new", "--against", "old", "--suite", "suite.toml", "--quiet", "--json").expect(0)
    (check,) = json.loads(done.out)["models"][0]["checks"]
    files = sorted((here / "may").rglob("*.png"))
    for run, side in (("new", "tuned"), ("old", "base")):
        told = headstart.predict(run, files)
        lost = [-math.log(one.probabilities[file.parent.name]) for one, file in zip(told, files)]
        assert check[side]["value"] == pytest.approx(np.mean(lost), rel=1e-4)
    # whatever the rules, a file that the other run was trained on is found
    shutil.copytree(here / "may", here / "seen")
    train = headstart.read("photos", seed=0).train
    shutil.copy(here / "photos" / train.places([0])[0], here / "seen" / "dark" / "known.png")
    call("evaluate", "new", "--against", "old", "--test", "seen", "--quiet").refused("1 of the 13 examples of seen")
