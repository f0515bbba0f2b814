"""`headstart runs`: what there was, what differs, and nothing of the user's is touched."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from cli.calling import PROBE, call, reviews, write_csv


@pytest.fixture(scope="module")
def made(models: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder with two runs, `one` and `two`, whose history knows no others; and a copy of it."""
    place = tmp_path_factory.mktemp("runs")
    folder, copy = place / "here", place / "copy"
    folder.mkdir()
    (folder / "bert").symlink_to(models / "bert")
    reviews(folder / "reviews.csv")
    compare = ("compare", "reviews.csv", "--model", "bert", *PROBE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HEADSTART_HOME", str(folder / "home"))
        call(*compare, "--out", "one").expect(0)
        call(*compare, "--max-length", "4", "--out", "two").expect(0)
    shutil.copytree(folder, copy, symlinks=True)
    return folder, copy


@pytest.fixture
def history(made: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """That folder as it was made, since a history names its runs by where they lie."""
    folder, copy = made
    shutil.rmtree(folder)
    shutil.copytree(copy, folder, symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HEADSTART_HOME", str(folder / "home"))
    return folder


def test_a_line_a_run_with_the_verdict(history: Path) -> None:
    head, first, second = call("runs").expect(0).out.splitlines()
    assert head.split()[0] == "run"
    assert first.split()[0] == "1"
    assert second.split()[0] == "2"
    assert str(history / "one") in first
    record = json.loads((history / "one" / "comparison.json").read_text())
    (row,) = record["rows"]
    assert f"{100 * row['value']:.1f}" in first
    found = json.loads(call("runs", "--json").expect(0).out)
    assert (found[0]["folder"], found[0]["value"]) == (str(history / "one"), row["value"])


def test_the_runs_of_this_folder_come_first(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every project has its own; the numbers stay those of all."""
    (history / "elsewhere").mkdir()
    monkeypatch.chdir(history / "elsewhere")
    listed = call("runs").expect(0)
    assert "No runs here yet" in listed.out
    assert "2 more elsewhere: headstart runs --all" in listed.err
    assert json.loads(call("runs", "--json").expect(0).out) == []
    assert [one["number"] for one in json.loads(call("runs", "--all", "--json").expect(0).out)] == [1, 2]
    assert "one" in call("runs", "show", "1").expect(0).out


def test_two_runs_differ_where_their_options_do(history: Path) -> None:
    told = call("runs", "diff", "1", "two").expect(0).out
    assert [line.split() for line in told.splitlines() if line.startswith("max_length")] == [["max_length", "–", "4"]]
    assert "torch" not in told, "the same version is no difference"
    assert "the same options" in call("runs", "diff", "1", "one").expect(0).out
    assert "max_length" in call("runs", "show", "2").expect(0).out


def test_the_same_folder_is_one_run(history: Path) -> None:
    shutil.rmtree(history / "one")
    call("compare", "reviews.csv", "--model", "bert", *PROBE, "--out", "one").expect(0)
    numbers = {Path(one["folder"]).name: one["number"] for one in json.loads(call("runs", "--json").out)}
    assert numbers == {"one": 1, "two": 2}, "it keeps its number"


def test_prune_forgets_what_is_gone_alone(history: Path) -> None:
    shutil.rmtree(history / "one")
    assert "(gone)" in call("runs").out
    assert call("runs", "prune").expect(0).out.strip() == str(history / "one")
    assert [one["folder"] for one in json.loads(call("runs", "--json").out)] == [str(history / "two")]
    assert (history / "two" / "comparison.json").is_file()


def test_mistakes_and_a_history_that_cannot_be_written(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call("runs", "show", "77").refused("77", "headstart runs")
    call("runs", "shw", "1").refused("shw")
    (history / "file").write_text("")
    monkeypatch.setenv("HEADSTART_HOME", str(history / "file" / "home"))
    call("runs").refused("HEADSTART_HOME")
    done = call("compare", "reviews.csv", "--model", "bert", *PROBE, "--out", "three").expect(0)
    assert "not in the history" in done.err, "a run is never lost for it"
    (history / "broken").mkdir()
    (history / "broken" / "runs.sqlite").write_bytes(b"no database" * 100)
    monkeypatch.setenv("HEADSTART_HOME", str(history / "broken"))
    call("runs").refused("runs.sqlite")


def test_none_yet(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_HOME", str(here / "home"))
    assert "No runs here yet" in call("runs").expect(0).out


def test_two_runs_as_one_page(history: Path) -> None:
    from headstart.stats.metrics import metric
    from headstart.stats.paired import compare
    from headstart.stats.predictions import Predictions

    call("runs", "diff", "one", "two", "--html", "both.html").expect(0)
    text = (history / "both.html").read_text()
    record = json.loads(re.search(r'id="record">(.*?)</script>', text, re.S)[1])  # type: ignore[index]
    (pair,) = record["pairs"]
    said = [Predictions.read(history / name / "predictions" / "probe-seed0.safetensors") for name in ("one", "two")]
    wanted = compare([said[1]], [said[0]], metric("single_label", record["runs"][0]["task"]["metric"]))
    assert record["paired"]
    assert pair["difference"] == pytest.approx(wanted.difference)
    assert pair["p_value"] == pytest.approx(wanted.p_value)
    assert pair["second"] - pair["first"] == pytest.approx(pair["difference"])
    assert '<th scope="row">max_length</th><td>–</td><td>4</td>' in text
    assert "http:" not in text
    assert "https:" not in text


def test_runs_that_cannot_be_compared(history: Path) -> None:
    write_csv(history / "other.csv", [(f"word {i}", i % 3) for i in range(60)])
    call("compare", "other.csv", "--model", "bert", *PROBE, "--out", "three").expect(0)
    call("runs", "diff", "one", "three", "--html", "x.html").refused("of different tasks")
    assert not (history / "x.html").exists()
    shutil.copy(history / "reviews.csv", history / "fewer.csv")
    rows = (history / "fewer.csv").read_text().splitlines()[:-5]
    (history / "fewer.csv").write_text("\n".join(rows))
    call("compare", "fewer.csv", "--model", "bert", *PROBE, "--out", "four").expect(0)
    call("runs", "diff", "one", "four", "--html", "y.html").expect(0)
    text = (history / "y.html").read_text()
    assert '"paired":false' in text
    assert "other test examples" in text


def test_a_tracker_that_is_away_is_one_message(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> str:
        raise ConnectionError("nobody answers\nand much more")

    monkeypatch.setattr("headstart.artifacts.exchange.tracking._mlflow", away)
    told = call("runs", "log", "one", "--to", "mlflow").refused("did not take the run: nobody answers")
    assert "much more" not in told


def test_curves_and_pretrainings_are_runs_too(history: Path) -> None:
    few = ("--sizes", "4,8", "--draws", "1", "--methods", "probe", "--quiet", "--out", "curve")
    call("curve", "reviews.csv", "--model", "bert", *few).expect(0)
    (history / "text.txt").write_text("\n".join(f"some words of line {i} and a few more" for i in range(300)))
    small = [f"--set={name}" for name in ("size=tiny", "vocabulary=300", "epochs=1", "batch_tokens=512")]
    call("pretrain", "mlm", "text.txt", *small, "--out", "backbone", "--quiet").expect(0)
    found = json.loads(call("runs", "--json").expect(0).out)
    assert [one["verb"] for one in found] == ["compare", "compare", "curve", "pretrain"]
    report = json.loads((history / "backbone" / "pretrained.json").read_text())
    assert (found[-1]["metric"], found[-1]["value"]) == ("held_out_loss", report["held_out_loss"]["after"])
    assert found[-1]["methods"] == ["mlm"]
    lines = call("runs").expect(0).out.splitlines()
    assert [line.split()[3] for line in lines[1:]] == ["compare", "compare", "curve", "pretrain"]
    assert "pretrain mlm" in lines[-1]
    assert "mlm" in call("runs", "show", "backbone").expect(0).out
    call("runs", "diff", "1", "3", "--html", "x.html").refused("no finished run")
