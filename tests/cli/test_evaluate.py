"""`headstart evaluate`: a tuned model against its base, and a gate that scripts can trust."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from cli.calling import call, reviews, sentences, write_csv

SUITE = """
[[check]]
kind = "target"
gate = "none"
[[check]]
kind = "retention"
data = "topics.csv"
[[check]]
kind = "invariance"
change = "case"
"""


@pytest.fixture(scope="module")
def finished(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison that kept the models of two methods and two seeds. Tests must not change it."""
    place = tmp_path_factory.mktemp("kept")
    reviews(place / "reviews.csv")
    (place / "bert").symlink_to(models / "bert")
    methods = ("--methods", "full,bitfit,probe", "--seeds", "2", "--trials", "1", "--epochs", "1", "--keep")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        call("compare", "reviews.csv", "--model", "bert", *methods, "--out", "run").expect(0)
    return place


@pytest.fixture
def kept(finished: Path, here: Path) -> Path:
    """The same in a folder of the test's own."""
    shutil.copytree(finished / "run", here / "run")
    return here


def evaluation(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "run" / "evaluation.json").read_text())
    return found


def test_every_kept_model_is_judged_against_one_base(kept: Path) -> None:
    write_csv(kept / "topics.csv", [(text, "long" if len(text) > 40 else "short") for text, _ in sentences(80, 5)])
    (kept / "suite.toml").write_text(SUITE)
    done = call("evaluate", "run", "--suite", "suite.toml", "--quiet").expect(3)
    found = evaluation(kept)
    assert found["verdict"] == "undecided", "agreement on so few examples shows no 1 %"
    models = found["models"]
    assert [one["name"] for one in models] == ["bitfit", "full"]
    for one in models:
        assert len(one["models"]) == 2
        checks = {record["check"]: record for record in one["checks"]}
        assert list(checks) == ["target", "retention of topics", "invariance to case"]
        assert checks["target"]["tuned"]["seeds"] == 2
        assert checks["target"]["base"]["seeds"] == 1
        assert checks["invariance to case"]["tuned"]["value"] == 1.0, "its tokenizer knows no case"
    bases = [{record["check"]: record["base"] for record in one["checks"]} for one in models]
    assert bases[0] == bases[1], "the base answered once, and no tuned model was left on it"
    assert "bitfit, 2 seeds against the base" in done.out
    assert found["notes"] == ["probe is the base itself, under a probe: not judged"]
    assert "undecided: full: invariance to case; about" in done.out
    assert done.out.rstrip().endswith("run/evaluation.json")


def test_the_tuned_answers_are_those_of_the_run(kept: Path) -> None:
    from headstart.stats.metrics import metric
    from headstart.stats.predictions import Predictions

    call("evaluate", "run", "--methods", "full", "--quiet")
    (one,) = evaluation(kept)["models"]
    saved = [Predictions.read(path) for path in sorted((kept / "run" / "predictions").glob("full-*"))]
    assert len(saved) == 2
    mean = np.mean([metric("single_label").of(each) for each in saved])
    assert one["checks"][0]["tuned"]["value"] == pytest.approx(mean)
    flips = one["checks"][0]["flips"]
    assert len(flips) == one["checks"][0]["gained"] + one["checks"][0]["lost"]
    assert all((flip["base"] == flip["truth"]) != (flip["tuned"] == flip["truth"]) for flip in flips)


def test_a_model_that_forgot_fails_with_code_1(kept: Path) -> None:
    """A tuned model whose weights are noise: what the base's features knew is gone, and that is a regression."""
    from safetensors.torch import load_file, save_file

    write_csv(kept / "topics.csv", [(text, "yes" if good else "no") for text, good in sentences(400, 5)])
    (kept / "suite.toml").write_text('[[check]]\nkind = "retention"\ndata = "topics.csv"\nname = "kept"\n')
    for place in (kept / "run" / "models" / "full").glob("seed*"):
        weights = load_file(place / "weights.safetensors")
        noise = {k: torch.zeros_like(v) if v.is_floating_point() else v for k, v in weights.items()}
        (place / "weights.safetensors").unlink()  # it is linked from model/, which stays as it is
        save_file(noise, place / "weights.safetensors")
    done = call("evaluate", "run", "--suite", "suite.toml", "--quiet").expect(1)
    assert "failed: full: kept" in done.out
    states = {one["name"]: one["checks"][0]["status"] for one in evaluation(kept)["models"]}
    assert evaluation(kept)["verdict"] == "failed"
    told = (kept / "run" / "models" / "full" / "seed0" / "README.md").read_text()
    assert "Gates: failed" in told, "the model card says so"
    cards = [kept / "run" / "models" / name / "seed0" / "README.md" for name in ("bitfit", "full")]
    assert "Gates: undecided" in cards[0].read_text()
    before = [card.read_bytes() for card in cards]
    call("evaluate", "run", "--methods", "full", "--quiet", "-o", "elsewhere.json")
    assert [card.read_bytes() for card in cards] == before, "a record elsewhere leaves the run as it is"
    call("evaluate", "run", "--methods", "full", "--quiet")
    assert [card.read_bytes() == was for card, was in zip(cards, before)] == [True, False]
    best = json.loads((kept / "run" / "comparison.json").read_text())["verdict"]["method"]
    told = (kept / "run" / "model" / "README.md").read_text()
    assert ("Against its base" in told) == (best in ("full", "bitfit"))
    assert states["full"] == "regressed"
    assert states["bitfit"] != "regressed"


def test_a_run_that_kept_no_others_is_judged_by_its_model(lora_run, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(lora_run.folder, run)
    done = call("evaluate", run, "--quiet", "--json", "-o", tmp_path / "found.json")
    assert done.code in (0, 1, 3)
    found = json.loads(done.out)
    assert found == json.loads((tmp_path / "found.json").read_text())
    assert found["suite"] == "default"
    (judged,) = found["models"]
    assert judged["method"] == json.loads((run / "model" / "artifact.json").read_text())["method"]
    assert found["base_cost"]["artifact_bytes"] is None
    assert judged["cost"]["artifact_bytes"] > 0
    assert judged["cost"]["p50_seconds"] <= judged["cost"]["p99_seconds"]


def test_a_probe_is_the_base_itself(here: Path) -> None:
    call("fit", "reviews.csv", "--model", "bert", "--method", "probe", "--out", "run").expect(0)
    call("evaluate", "run").refused("the frozen base with a probe", "--keep")


def test_mistakes_are_one_message(lora_run, here: Path) -> None:
    run = lora_run.folder
    call("evaluate").refused("RUN")
    call("evaluate", "gone").refused("gone")
    call("evaluate", run, "--suite", "gone.toml").refused("gone.toml")
    call("evaluate", run, "--methods", "vpt").refused("vpt")
    (here / "suite.toml").write_text('[[check]]\nkind = "robustness"\nchange = "blur"\n')
    call("evaluate", run, "--suite", "suite.toml").refused("blur", "typos")
    (here / "suite.toml").write_text('[[check]]\nkind = "retention"\ndata = "nowhere.csv"\nname = "kept"\n')
    call("evaluate", run, "--suite", "suite.toml").refused("kept: there is no file", "nowhere.csv")
    (here / "numbers.csv").write_text("a,b\n1,2\n3,4\n")
    (here / "suite.toml").write_text('[[check]]\nkind = "retention"\ndata = "numbers.csv"\n')
    assert "--" not in call("evaluate", run, "--suite", "suite.toml").refused("retention of numbers: ")
    external = '[[external]]\nname = "large"\ninput = 1\noutput = 1\nquality = 93\n'
    (here / "suite.toml").write_text('[[check]]\nkind = "target"\n' + external)
    call("evaluate", run, "--suite", "suite.toml").refused("external large", "93 % is 0.93")
    reviews(here / "other.csv", seed=3)
    call("evaluate", run, "--data", "other.csv").refused("other examples", "--data")
    moved = here / "moved"
    shutil.copytree(run, moved)
    told = json.loads((moved / "configuration.json").read_text())
    (moved / "configuration.json").write_text(json.dumps(told | {"data": "gone.csv"}))
    call("evaluate", moved).refused("moved was trained on gone.csv, which is not found from here: name it with --data")


def test_slices_by_another_column_and_a_fitted_temperature(here: Path) -> None:
    rows = [(text, label, "fr" if i % 3 else "en") for i, (text, label) in enumerate(sentences(120, 3))]
    write_csv(here / "mixed.csv", rows, header=("text", "label", "language"))
    arguments = ("fit", "mixed.csv", "--text", "text", "--label", "label", "--model", "bert", "--method", "full")
    call(*arguments, "--trials", "1", "--epochs", "1", "--out", "run").expect(0)
    (here / "suite.toml").write_text(
        '[[check]]\nkind = "slice"\nby = "column"\ncolumn = "language"\nleast = 1\n'
        '[[check]]\nkind = "calibration"\n[[check]]\nkind = "calibration"\ntemperature = true\nmetric = "log_loss"\n'
    )
    assert call("evaluate", "run", "--suite", "suite.toml").code in (0, 1, 3)
    (one,) = evaluation(here)["models"]
    checks = {check["check"]: check for check in one["checks"]}
    assert {"language: en", "language: fr"} < checks.keys()
    english = checks["language: en"]["examples"]
    assert english + checks["language: fr"]["examples"] == _test_size(here)
    assert english == _test_size(here, "en")
    assert checks["calibration, with temperature (log_loss)"]["metric"] == "log_loss"
    (here / "suite.toml").write_text('[[check]]\nkind = "slice"\nby = "column"\ncolumn = "langage"\n')
    call("evaluate", "run", "--suite", "suite.toml").refused("Did you mean 'language'?")
    (here / "suite.toml").write_text('[[check]]\nkind = "slice"\nby = "class"\ncolumn = "language"\n')
    call("evaluate", "run", "--suite", "suite.toml").refused("by=column needs column")


def _test_size(folder: Path, language: str | None = None) -> int:
    from headstart.data.read import read

    test = read(folder / "mixed.csv", text="text", label="label").test
    rows = (folder / "mixed.csv").read_text().splitlines()
    numbers = [int(place.rpartition(":")[2]) for place in test.places(np.arange(len(test)))]
    return sum(language is None or rows[number - 1].endswith(f",{language}") for number in numbers)


def test_runs_of_one_name_are_told_apart_by_their_paths(kept: Path) -> None:
    shutil.copytree(kept / "run", kept / "b" / "run")
    call("evaluate", "run", "b/run", "--methods", "full", "--quiet", "-o", "both.json")
    names = [one["name"] for one in json.loads((kept / "both.json").read_text())["models"]]
    assert names == ["run: full", "b/run: full"]
    call("evaluate", "run", "./run").refused("given twice")


def test_a_suite_that_asks_for_nothing_does_not_pass(lora_run, here: Path) -> None:
    (here / "suite.toml").write_text('[[check]]\nkind = "slice"\nby = "class"\nleast = 100000\n')
    call("evaluate", lora_run.folder, "--suite", "suite.toml").refused("nothing would be judged", "left out")


def test_the_record_is_no_page(lora_run, here: Path) -> None:
    call("evaluate", lora_run.folder, "-o", "out.html").refused("out.json")
    assert not (here / "out.html").exists()


def test_examples_that_were_read_otherwise_are_refused(kept: Path) -> None:
    import headstart
    from headstart.core.errors import ConfigurationError

    other = headstart.read("reviews.csv", seed=1)
    with pytest.raises(ConfigurationError, match="other examples"):
        headstart.judge("run", data=other)
    own = headstart.read("reviews.csv")
    assert headstart.judge("run", data=own, methods=["full"]).fingerprint == own.record.fingerprint


def test_a_bare_model_says_that_its_data_are_unknown(lora_run, tmp_path: Path) -> None:
    shutil.copytree(lora_run.folder / "model", tmp_path / "model")
    data = json.loads((lora_run.folder / "configuration.json").read_text())["data"]
    done = call("evaluate", tmp_path / "model", "--data", data, "--quiet", "--json", "-o", tmp_path / "found.json")
    assert "may be among its training examples" in json.loads(done.out)["notes"][0]


def test_a_labelled_method_keeps_its_label(here: Path) -> None:
    wide = ("--methods", "lora@wide", "--set", "lora@wide.rank=4", "--seeds", "1", "--trials", "1", "--epochs", "1")
    call("compare", "reviews.csv", "--model", "bert", *wide, "--out", "run").expect(0)
    done = call("evaluate", "run", "--methods", "lora@wide", "--quiet")
    assert done.code in (0, 1, 3), done.err
    assert [one["name"] for one in evaluation(here)["models"]] == ["lora@wide"]
    assert "Against its base" in (here / "run" / "model" / "README.md").read_text()


def test_a_defect_is_told_from_a_failed_gate(lora_run, monkeypatch: pytest.MonkeyPatch) -> None:
    class OutOfMemoryError(RuntimeError):
        """As torch's is called."""

    for error, code, words in ((KeyError("x"), 70, "Traceback"), (OutOfMemoryError("CUDA"), 2, "ran out of memory")):

        def broken(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr("headstart.api.judge", broken)
        done = call("evaluate", lora_run.folder)
        assert (done.code, words in done.err) == (code, True), done.err
