"""`compare` and `fit` from end to end on tiny models."""

from __future__ import annotations

import csv
import html
import io
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from cli.calling import FAST, PROBE, ROW, Call, call, images, record, reviews, sentences, values, write_csv
from headstart.cli.verbs.compare import DEMO
from headstart.core.errors import ConfigurationError


@pytest.fixture(params=["text_run", "image_run"])
def run(request: pytest.FixtureRequest) -> Call:
    found: Call = request.getfixturevalue(request.param)
    return found


def test_the_record_holds_what_it_promises(run: Call) -> None:
    found = run.record
    assert found["schema"] == "headstart.comparison/2"
    assert found["status"] == "complete"
    assert found["seeds"] == [0]
    assert {"task", "model", "data", "environment", "verdict", "configuration"} <= set(found)
    assert found["task"]["labels"] in (["no", "yes"], ["blue", "red"])
    assert found["model"]["loader"] in ("transformers", "timm")
    assert len(found["model"]["fingerprint"]) >= 16
    assert {"python", "libraries", "device", "precision", "cores"} <= set(found["environment"])
    assert sum(split["size"] for split in found["data"]["splits"]) == found["data"]["rows_used"]
    assert [row["method"] for row in found["rows"]] == ["probe", "lora"]
    assert found["verdict"]["method"] in ("probe", "lora")
    assert found["verdict"]["sentence"] in " ".join(run.out.split())
    for row in found["rows"]:
        assert set(ROW) <= set(row)
        assert row["status"] == "ok"
        assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1
        assert row["trained_share"] == pytest.approx(row["trained_parameters"] / found["model"]["parameters"], rel=0.5)
        assert min(row["peak_memory_bytes"], row["artifact_bytes"], row["train_seconds"], row["latency_seconds"]) > 0
    reference = found["verdict"]["reference"]
    other = next(row for row in found["rows"] if row["method"] != reference)
    best = next(row for row in found["rows"] if row["method"] == reference)
    assert other["difference"] == pytest.approx(other["value"] - best["value"])
    assert other["difference_low"] <= other["difference"] <= other["difference_high"]
    assert 0 < other["p_value"] <= 1


def test_what_the_report_says_to_repeat_it_does(here: Path) -> None:
    reviews(here / "my reviews.csv", 40)
    options = ("--model", "bert", *FAST, "--set", "lora.rank=2", "--set", "probe.penalty=2", "--race")
    first = call("compare", "my reviews.csv", *options, "--out", "one").expect(0, here / "one")
    page = (here / "one" / "report.html").read_text()
    (told,) = [line for line in html.unescape(page).splitlines() if "<code>headstart compare" in line]
    told = told.partition("<code>")[2].partition("</code>")[0]
    again = call(*shlex.split(told)[1:], "--out", "two").expect(0, here / "two")
    assert again.record["configuration"] == first.record["configuration"]
    assert values(again.record) == values(first.record)


def test_the_run_folder_is_whole(run: Call) -> None:
    assert {p.name for p in run.folder.iterdir()} == {
        "comparison.json", "configuration.json", "model", "predictions", "report.html",
    }  # fmt: skip
    assert {p.name for p in (run.folder / "model").iterdir()} == {
        "artifact.json", "labels.json", "weights.safetensors", "README.md",
    }  # fmt: skip
    page = (run.folder / "report.html").read_text()
    assert page.rstrip().endswith("</html>")
    assert 'src="http' not in page
    for name in ("probe", "lora"):
        assert load_file(run.folder / "predictions" / f"{name}-seed0.safetensors")


def test_what_is_printed(run: Call) -> None:
    assert "\x1b" not in run.out + run.err
    assert f"{run.folder}/report.html" in run.out
    assert f"headstart predict {run.folder}" in run.out
    lines = run.err.splitlines()
    assert "rows read" in lines[0], "what the data hold comes first"
    assert "2 methods, up to" in run.err, "how long it will take is said before it begins"
    assert [line.split()[0] for line in lines[-3:]] == ["probe", "lora", "took"]


def test_the_model_that_is_kept_predicts_what_was_measured(run: Call) -> None:
    """The saved model's labels on the test rows are those that the record's value was computed from."""
    import headstart

    found = run.record
    method = found["verdict"]["method"]
    saved = load_file(run.folder / "predictions" / f"{method}-seed0.safetensors")
    configuration = json.loads((run.folder / "configuration.json").read_text())
    test = headstart.read(configuration["data"]).test
    predictions = headstart.predict(run.folder, list(test.inputs()))
    labels = found["task"]["labels"]
    right = np.mean([p.label == labels[int(target)] for p, target in zip(predictions, test.targets)])
    row = next(row for row in found["rows"] if row["method"] == method)
    assert right == pytest.approx(row["value"])
    scores = next(v for v in saved.values() if v.ndim == 2)
    assert [p.label for p in predictions] == [labels[int(at)] for at in scores.argmax(axis=1)]


def test_json_is_the_record_and_nothing_else(here: Path) -> None:
    done = call("compare", "reviews.csv", "--model", "bert", *PROBE, "--out", "run", "--json").expect(0)
    assert json.loads(done.out) == record(here / "run")
    assert done.err == ""


def test_what_libraries_print_stays_out_of_the_record(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import headstart.backbones.loaders.load as loading

    original = loading.load

    def chatty(*arguments: Any, **options: Any) -> Any:
        print("Downloading weights …")
        return original(*arguments, **options)

    monkeypatch.setattr(loading, "load", chatty)
    done = call("compare", "reviews.csv", "--model", "bert", *PROBE, "--out", "run", "--json").expect(0)
    json.loads(done.out)
    assert "Downloading" in done.err
    assert "Downloading" not in call("predict", "run", "a film").expect(0).out


def test_quiet(here: Path) -> None:
    done = call("compare", "reviews.csv", "--model", "bert", *PROBE, "--out", "run", "--quiet").expect(0)
    assert done.err == ""
    assert "Report" in done.out


def test_runs_get_the_next_free_name(here: Path) -> None:
    for _ in range(2):
        call("compare", "reviews.csv", "--model", "bert", *PROBE).expect(0)
    assert sorted(p.name for p in (here / "runs").iterdir()) == ["reviews", "reviews-2"]


def test_fit_with_a_setting(here: Path) -> None:
    call("fit", "reviews.csv", "--model", "bert", "--method", "lora", "--set", "rank=4", "--epochs", "1",
         "--trials", "1", "--out", "run").expect(0)  # fmt: skip
    found = record(here / "run")
    assert [row["method"] for row in found["rows"]] == ["lora"]
    assert found["rows"][0]["configuration"]["rank"] == 4
    assert found["seeds"] == [0]
    assert json.loads((here / "run/model/artifact.json").read_text())["configuration"]["rank"] == 4


def test_a_setting_of_one_method_only(here: Path) -> None:
    call("compare", "reviews.csv", "--model", "bert", "--methods", "probe,lora", "--seeds", "1", "--trials", "1",
         "--epochs", "1", "--set", "lora.rank=2", "--set", "lora.learning_rate=0.002",
         "--out", "run").expect(0)  # fmt: skip
    probe, lora = record(here / "run")["rows"]
    assert (lora["configuration"]["rank"], lora["learning_rate"]) == (2, 0.002)
    assert probe["learning_rate"] is None


def test_one_setting_beside_a_configuration_leaves_the_others(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "c.json").write_text(
        json.dumps({"data": "reviews.csv", "settings": {"lora.rank": "4", "probe.penalty": 2}})
    )
    seen: dict[str, Any] = {}

    def compared(data: Any, model: Any, **options: Any) -> None:
        seen.update(options)
        raise ConfigurationError("enough")

    monkeypatch.setattr("headstart.api.compare", compared)
    call("compare", "--config", "c.json", "--set", "lora.rank=3").refused("enough")
    assert seen["settings"] == {"lora.rank": "3", "probe.penalty": 2}
    call("compare", "--config", "c.json").refused("enough")
    assert seen["settings"] == {"lora.rank": "4", "probe.penalty": 2}


def test_resuming_says_which_run(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --out the newest of that configuration is taken: the user sees which."""

    def compared(data: Any, model: Any, opened: Any, **options: Any) -> None:
        opened("runs/reviews-2")
        raise ConfigurationError("enough")

    monkeypatch.setattr("headstart.api.compare", compared)
    assert "continues in runs/reviews-2" in call("compare", "reviews.csv", "--resume").err


def test_a_configuration_repeats_the_run(here: Path) -> None:
    options = ("--metric", "macro_f1", "--set", "lora.rank=2", "--batch-size", "16", "--text", "text")
    call("compare", "reviews.csv", "--model", "bert", *FAST, *options, "--out", "first").expect(0)
    call("compare", "--config", "first/configuration.json", "--out", "second").expect(0)
    first, second = record(here / "first"), record(here / "second")
    assert first["rows"][0]["metric"] == "macro_f1"
    assert values(first) == values(second)
    assert first["configuration"] == second["configuration"]
    assert first["data"]["fingerprint"] == second["data"]["fingerprint"]
    call("compare", "--config", "first/configuration.json", "--set", "lora.rank=3", "--out", "third").expect(0)
    assert [row["configuration"].get("rank") for row in record(here / "third")["rows"]] == [None, 3]
    assert values(record(here / "third"))[0]["value"] == values(first)[0]["value"]


def test_without_data_and_options_it_is_a_short_demo(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    def compared(data: Any, model: Any, **options: Any) -> None:
        seen.append({name: options.get(name) for name in DEMO})
        raise ConfigurationError("enough")

    monkeypatch.setattr("headstart.api.compare", compared)
    told = call("compare").err
    assert told.startswith("Demo: ")
    assert "at most 80s" in told
    assert "Demo" not in call("compare", "--quiet", "--out", "run").err
    assert seen == [DEMO, DEMO]
    assert "Demo" not in call("compare", "--seeds", "1").err
    assert "Demo" not in call("compare", "reviews.csv").err
    assert seen[2:] == [dict.fromkeys(DEMO)] * 2


def test_seeds_and_trials(here: Path) -> None:
    call("compare", "reviews.csv", "--model", "bert", "--methods", "lora", "--seeds", "2", "--trials", "2",
         "--epochs", "1", "--out", "run").expect(0)  # fmt: skip
    found = record(here / "run")
    (row,) = found["rows"]
    assert found["seeds"] == [run["seed"] for run in row["seeds"]] == [0, 1]
    assert len(row["trials"]) == 2
    assert sum(trial["chosen"] for trial in row["trials"]) == 1


def test_columns_and_splits_of_the_user(here: Path) -> None:
    header = ("id", "comment", "stars", "note")
    rows = [(at, text, "good" if good else "bad", "x") for at, (text, good) in enumerate(sentences(60))]
    write_csv(here / "train.csv", rows[:40], header)
    write_csv(here / "held.csv", rows[40:48], header)
    write_csv(here / "final.csv", rows[48:], header)
    call("compare", "train.csv", "--model", "bert", *PROBE, "--text", "comment", "--label", "stars",
         "--validation", "held.csv", "--test", "final.csv", "--out", "run").expect(0)  # fmt: skip
    found = record(here / "run")
    sizes = {split["name"]: (split["size"], split["origin"]) for split in found["data"]["splits"]}
    assert sizes == {"train": (40, "given"), "validation": (8, "given"), "test": (12, "given")}
    assert found["data"]["columns"] == {"text": "comment", "label": "stars"}


def test_a_folder_of_splits(here: Path) -> None:
    folder = here / "data"
    folder.mkdir()
    for at, (name, count) in enumerate([("train", 40), ("validation", 8), ("test", 12)]):
        reviews(folder / f"{name}.csv", count, seed=at)
    call("compare", "data", "--model", "bert", *PROBE, "--out", "run").expect(0)
    assert [split["size"] for split in record(here / "run")["data"]["splits"]] == [40, 8, 12]


def test_pairs_of_texts(here: Path) -> None:
    told = sentences(60)
    rows = [(a, b, "same" if x == y else "other") for (a, x), (b, y) in zip(told, told[1:2] * 20 + told[:40])]
    write_csv(here / "pairs.csv", rows, ("first", "second", "label"))
    call("compare", "pairs.csv", "--model", "bert", *PROBE, "--text", "first,second", "--out", "run").expect(0)
    assert record(here / "run")["task"]["modality"] == "text_pair"
    done = call("predict", "run", "a good film\ta bad film", "pairs.csv").expect(0)
    assert len(done.out.splitlines()) == 62
    call("predict", "run", "no tab in it").refused("pairs of texts", "tab")


def test_regression(here: Path) -> None:
    rows = [(text, round(good * 2 + at / 100, 3)) for at, (text, good) in enumerate(sentences(60))]
    write_csv(here / "scores.csv", rows, ("text", "score"))
    call("compare", "scores.csv", "--model", "bert", *PROBE, "--label", "score", "--out", "run").expect(0)
    found = record(here / "run")
    assert (found["task"]["kind"], found["task"]["metric"], found["task"]["higher_is_better"]) == (
        "regression", "rmse", False,
    )  # fmt: skip
    done = call("predict", "run", "a great film", "--json").expect(0)
    told = json.loads(done.out)
    assert isinstance(told["prediction"], float)
    assert "confidence" not in told


def test_several_labels(here: Path) -> None:
    rows = [
        json.dumps({"text": text, "labels": (["kind"] if good else []) + (["long"] if at % 3 else ["short", "odd"])})
        for at, (text, good) in enumerate(sentences(60))
    ]
    (here / "tags.jsonl").write_text("\n".join(rows) + "\n")
    call("compare", "tags.jsonl", "--model", "bert", *PROBE, "--label", "labels", "--out", "run").expect(0)
    found = record(here / "run")
    assert (found["task"]["kind"], found["task"]["labels"]) == ("multi_label", ["kind", "long", "odd", "short"])
    done = call("predict", "run", "a great film", "--json", "--probabilities").expect(0)
    told = json.loads(done.out)
    assert told["prediction"] == "|".join(name for name in found["task"]["labels"] if told[f"p_{name}"] > 0.5)


def test_majority_and_scratch_are_controls(here: Path) -> None:
    call("compare", "reviews.csv", "--model", "bert", "--methods", "probe,majority,scratch", "--seeds", "1",
         "--trials", "1", "--epochs", "1", "--out", "run").expect(0)  # fmt: skip
    assert [row["control"] for row in record(here / "run")["rows"]] == [False, True, True]


def test_augmentation_shows_in_the_record(here: Path) -> None:
    images(here / "photos")
    call("compare", "photos", "--model", "resnet", *FAST, "--augment", "light", "--out", "run").expect(0)
    assert record(here / "run")["configuration"]["augment"] == "light"


def test_a_row_cut_from_the_terminal_is_a_line(text_run: Call) -> None:
    """The table can be read by a program that splits lines: nothing wraps within a row."""
    lines = text_run.out.splitlines()
    assert lines[0].split()[:2] == ["method", "accuracy"]
    assert len([line for line in lines if line.lstrip("> ").startswith(("probe ", "lora "))]) == 2
    assert next(csv.reader(io.StringIO(lines[0])))


def test_several_test_files_are_told_apart(here: Path) -> None:
    reviews(here / "french.csv", 12, seed=5)
    reviews(here / "german.csv", 8, seed=6)
    done = call("compare", "reviews.csv", "--model", "bert", *PROBE, "--test", "french.csv", "--test", "german.csv",
                "--out", "run").expect(0)  # fmt: skip
    (row,) = record(here / "run")["rows"]
    assert [(part["name"], part["size"]) for part in row["parts"]] == [("french.csv", 12), ("german.csv", 8)]
    whole = sum(part["value"] * part["size"] for part in row["parts"]) / 20
    assert row["value"] == pytest.approx(whole)
    assert "by part" in done.out
    assert "german.csv" in done.out
    page = (here / "run" / "report.html").read_text()
    assert "Part by part" in page
    # the same is told apart where its model is judged, and where its options are taken up again
    again = call("compare", "--config", "run/configuration.json", "--out", "again").expect(0)
    assert "german.csv" in again.out
    call("compare", "reviews.csv", "--model", "bert", *FAST, "--test", "french.csv", "--test", "german.csv", "--keep",
         "--out", "kept").expect(0)  # fmt: skip
    judged = call("evaluate", "kept", "--methods", "lora", "--json")
    assert judged.code in (0, 1, 3), judged.err
    assert "slice by source: left out, with fewer than 20 examples: french.csv (12)" in judged.out  # a slice needs 20


def test_a_column_tells_the_test_set_apart(here: Path) -> None:
    rows = [
        (text, "yes" if good else "no", ("en", "fr", "de")[at % 3]) for at, (text, good) in enumerate(sentences(60))
    ]
    write_csv(here / "languages.csv", rows, ("text", "label", "language"))
    asked = ("compare", "languages.csv", "--text", "text", "--label", "label", "--model", "bert", *PROBE)
    call(*asked, "--by", "language", "--out", "run").expect(0)
    (row,) = record(here / "run")["rows"]
    assert {part["name"] for part in row["parts"]} == {"en", "fr", "de"}
    assert sum(part["size"] for part in row["parts"]) == 12
    call(*asked, "--by", "languge", "--out", "other").refused("no column 'languge'", "Did you mean 'language'?")
    assert not (here / "other").exists()
    call("compare", "--by", "language").refused("needs the file")


def test_under_imbalance_the_metric_counts_classes_alike_and_says_why(here: Path) -> None:
    rows = [(text, "yes" if good else "no") for text, good in sentences(220, seed=3)]
    rows = [row for row in rows if row[1] == "no"] + [row for row in rows if row[1] == "yes"][:14]
    write_csv(here / "rare.csv", rows)
    options = ("--model", "bert", "--methods", "probe,majority", "--seeds", "1", "--trials", "1")
    run = call("compare", "rare.csv", *options, "--out", "run").expect(0, here / "run")
    task = run.record["task"]
    assert task["metric"] == "balanced_accuracy"
    assert "of the training examples are 'no'" in task["metric_reason"]
    assert f"Balanced accuracy, since {task['metric_reason']}" in " ".join(run.out.split())
    probe, majority = run.record["rows"]
    assert majority["value"] == 0.5, "of accuracy it would have had nine tenths"
    assert [score["metric"] for score in probe["also"]] == ["auroc"]
    assert majority["also"][0]["value"] == 0.5
    assert "AUROC %" in run.out
    asked = call("compare", "rare.csv", *options, "--metric", "accuracy", "--out", "asked").expect(0, here / "asked")
    assert asked.record["task"]["metric"] == "accuracy"
    assert asked.record["task"]["metric_reason"] == ""


def test_both_named_models_are_kept_and_the_preferred_one_is_used(here: Path) -> None:
    """With a margin of 90 points every cheaper method is as good: training prefers the cheapest, quality the best."""
    arguments = ("--methods", "probe,full", "--seeds", "1", "--trials", "1", "--epochs", "2", "--margin", "90")
    call("compare", "reviews.csv", "--model", "bert", *arguments, "--prefer", "training", "--out", "run").expect(0)
    found = record(here / "run")
    verdict = found["verdict"]
    assert (verdict["method"], verdict["prefer"], verdict["margin"]) == ("probe", "training", 0.9)
    assert json.loads((here / "run" / "model" / "artifact.json").read_text())["method"] == "probe"
    if verdict["reference"] == "full":
        assert [p.name for p in (here / "run" / "models").iterdir()] == ["full"]
        call("predict", "run", "--method", "full", "a good film").expect(0)
    assert all(row["summary"] for row in found["rows"])
    assert len(found["mistakes"]) == round((1 - verdict_row(found)["value"]) * 12)
    call("evaluate", "run", "--quiet").refused("probe")


def test_what_can_be_preferred_and_a_margin_are_checked_before_anything_is_written(here: Path) -> None:
    for arguments, words in (
        (("--margin", "0"), ("margin", "above 0")),
        (("--margin", "100"), ("all of the metric's scale",)),
        (("--prefer", "speed"), ("--prefer", "latency")),
    ):
        call("compare", "reviews.csv", "--model", "bert", *arguments, "--out", "run").refused(*words)
    assert not (here / "run").exists()


def verdict_row(found: dict[str, Any]) -> dict[str, Any]:
    return next(row for row in found["rows"] if row["method"] == found["verdict"]["method"])
