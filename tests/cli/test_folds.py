"""`--folds` and `--cluster-by` from end to end on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import headstart
from cli.calling import call, record, sentences, write_csv
from headstart.data.ingest.folds import folded
from headstart.stats.predictions import Predictions

SHORT = ("--model", "bert", "--methods", "majority,probe,lora", "--trials", "1", "--epochs", "1")


@pytest.fixture(scope="module")
def crossed(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("folds")
    rows = [(text, "yes" if good else "no", at // 3) for at, (text, good) in enumerate(sentences(48))]
    write_csv(here / "reviews.csv", rows, ("text", "label", "writer"))
    (here / "bert").symlink_to(models / "bert")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        done = call("compare", "reviews.csv", *SHORT, "--group", "writer", "--folds", "3", "--out", "run").expect(0)
    assert "Every example tested once in 3 folds" in done.out
    return here


def test_every_example_is_tested_by_a_model_that_did_not_see_it(crossed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(crossed)
    found = record(crossed / "run")
    assert (found["status"], found["folds"], found["seeds"]) == ("complete", 3, [0, 1, 2])
    runs = [Predictions.read(crossed / "run" / "predictions" / f"lora-seed{k}.safetensors") for k in range(3)]
    assert sorted(np.concatenate([run.ids for run in runs]).tolist()) == list(range(48))
    data = headstart.read("reviews.csv", group="writer")
    for run, part in zip(runs, folded(data, 3)):
        assert set(run.ids.tolist()) == set(part.test.ids.tolist())
        assert not set((run.ids // 3).tolist()) & set((part.train.ids // 3).tolist()), "a writer is on one side"
    lora = next(row for row in found["rows"] if row["method"] == "lora")
    right = [float((run.scores.argmax(1) == run.targets).mean()) for run in runs]
    assert lora["value"] == pytest.approx(np.mean(right))
    assert [run["value"] for run in lora["seeds"]] == pytest.approx(right)
    assert sum(map(sum, lora["confusion"])) == 48
    assert not (crossed / "run" / "progress").exists()


def test_what_judges_a_cross_validated_run_tests_on_the_fold_that_was_left_out(
    crossed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(crossed)
    call("predict", "run", "a good film").expect(0)
    call("improve", "run", "--propose", "--method", "lora").expect(0)
    assert "first of 3 folds" in (crossed / "run" / "model" / "README.md").read_text()
    call("fit", "reviews.csv", "--model", "bert", "--method", "lora", "--trials", "1", "--epochs", "1", "--group",
         "writer", "--folds", "3", "--out", "tuned").expect(0)  # fmt: skip
    done = call("evaluate", "tuned", "--quiet")
    assert done.code in (0, 1, 3), done.err
    (judged,) = json.loads((crossed / "tuned" / "evaluation.json").read_text())["models"]
    target = next(check for check in judged["checks"] if check["kind"] == "target")
    data = headstart.read("reviews.csv", group="writer")
    assert target["examples"] == len(folded(data, 3)[0].test)
    kept = record(crossed / "tuned")["rows"][0]["seeds"][0]
    assert target["tuned"]["value"] == pytest.approx(kept["value"])


def test_an_interrupted_cross_validation_goes_on(crossed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.comparison import cross_validation

    monkeypatch.chdir(crossed)
    options = ("compare", "reviews.csv", *SHORT, "--group", "writer", "--folds", "3", "--out", "stopped")
    compare, seen = cross_validation.compare, []

    def stops(*arguments, **options):
        seen.append(options["folder"].name)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return compare(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(cross_validation, "compare", stops)
        assert call(*options).code == 130
        assert call(*options, "--resume").expect(0)
    assert seen == ["fold0", "fold1", "fold1", "fold2"], "the finished fold is not trained again"
    again, whole = record(crossed / "stopped"), record(crossed / "run")
    assert [row["value"] for row in again["rows"]] == [row["value"] for row in whole["rows"]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--folds", "3", "--budget", "5m"), ("folds and budget",)),
        (("--folds", "3", "--by", "writer"), ("folds and by",)),
        (("--folds", "3", "--test", "reviews.csv"), ("test examples are given as such",)),
        (("--folds", "40"), ("can't be cut into 40 folds",)),
        (("--cluster-by", "author"), ("no column 'author' (--cluster-by)",)),
    ],
)
def test_what_does_not_go_with_folds(
    crossed: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(crossed)
    call("compare", "reviews.csv", *SHORT, *options, "--out", "none").refused(*words)
    assert not (crossed / "none").exists()


def test_clusters_reach_every_interval(crossed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are copies of each other but for a word: as clusters they are worth one row each."""
    monkeypatch.chdir(crossed)
    rows = [(f"{text} {copy}", "yes" if good else "no", f"c{at}")
            for at, (text, good) in enumerate(sentences(30)) for copy in ("one", "two", "three", "four")]  # fmt: skip
    write_csv(crossed / "copies.csv", rows, ("text", "label", "fact"))
    probe = ("--model", "bert", "--methods", "probe,centroid", "--trials", "1", "--seeds", "1")
    call("compare", "copies.csv", *probe, "--text", "text", "--label", "label", "--out", "alone").expect(0)
    call("compare", "copies.csv", *probe, "--text", "text", "--label", "label", "--cluster-by", "fact", "--out",
         "clustered").expect(0)  # fmt: skip
    alone, clustered = (record(crossed / name)["rows"][0] for name in ("alone", "clustered"))
    assert alone["value"] == clustered["value"]
    assert clustered["high"] - clustered["low"] > 1.05 * (alone["high"] - alone["low"])
