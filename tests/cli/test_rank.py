"""`headstart rank`: models after --models, a line each, and what is wrong in one message."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import pytest

from cli.calling import call
from headstart.engine.job import Options


def test_a_line_a_model_and_the_record(here: Path) -> None:
    done = call("rank", "reviews.csv", "--models", "bert", "resnet", "-o", "ranking.json").expect(2)
    assert "headstart: 1 of 2 could not be scored: resnet" in done.err
    head, first, second = done.out.splitlines()[:3]
    assert head.split()[:3] == ["model", "LogME", "Accuracy,"]
    assert first.startswith("bert ")
    assert second.startswith("resnet: the data are texts")
    record = json.loads((here / "ranking.json").read_text())
    assert [one["model"] for one in record["candidates"]] == ["bert", "resnet"]
    assert record["metric"] == "accuracy"
    assert record["candidates"][0]["low"] <= record["candidates"][0]["probe"] <= record["candidates"][0]["high"]


def test_the_first_are_fine_tuned_on_request(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.comparison.confirm.Options", partial(Options, epochs=18))
    shutil.copytree(here / "bert", here / "again")
    call("rank", "reviews.csv", "--models", "bert", "again", "resnet", "--confirm", "1", "-o", "r.json").expect(2)
    first, second, third = json.loads((here / "r.json").read_text())["candidates"]
    assert first["tuned_share"] == 1.0
    assert first["tuned_low"] <= first["tuned"] <= first["tuned_high"]
    assert first["tuned"] > 0.7
    assert second["tuned"] is None
    assert third["model"] == "resnet"
    monkeypatch.setattr("headstart.comparison.confirm.Options", partial(Options, epochs=2))
    told = call("rank", "reviews.csv", "--models", "bert", "again", "--confirm", "2", "--quiet").expect(0).out
    assert told.splitlines()[0].endswith("fine-tuned")
    assert told.count("[") == 5, "an interval of the probe and one of the tuned model each, and one of the difference"
    assert "Nothing was trained" not in told
    assert "Start from bert, though" in told
    assert "can't separate it from all others: bert less again is " in " ".join(told.split()), "they are twins"
    assert "Nothing was trained" in call("rank", "reviews.csv", "--models", "bert").out


def test_what_a_model_does_not_read_of_the_texts_is_said(here: Path) -> None:
    told = call("rank", "reviews.csv", "--models", "bert", "--rungs", "--max-length", "5", "-o", "r.json").expect(0).out
    assert " ".join(told.split()).count("bert: 60 rows longer than the 5 tokens that the model reads") == 1
    record = json.loads((here / "r.json").read_text())
    assert all("longer than the 5 tokens" in one["findings"][0] for one in record["candidates"])
    assert "longer than" not in call("rank", "reviews.csv", "--models", "bert").expect(0).out
    done = call("find-rate", "reviews.csv", "--model", "bert", "--steps", "20", "--max-length", "5").expect(0)
    assert "60 rows longer than the 5 tokens that the model reads" in done.err


def test_json_is_all_of_standard_output(here: Path) -> None:
    done = call("rank", "reviews.csv", "--models", "bert", "--rungs", "--json").expect(0)
    record = json.loads(done.out)
    assert done.err == ""
    assert len(record["candidates"]) > 2
    assert sum(one["rung"] == "top" for one in record["candidates"]) == 1


def test_mistakes_are_one_message(here: Path) -> None:
    call("rank", "reviews.csv").refused("--models")
    call("rank", "reviews.csv", "--models", "nowhere/model").refused("nowhere/model")
    call("rank", "reviews.csv", "--models", "bert", "bert").refused("bert", "twice")
    call("rank", "reviews.csv", "--models", "bert", "bert/").refused("bert", "twice")
    call("rank", "gone.csv", "--models", "bert").refused("gone.csv")
