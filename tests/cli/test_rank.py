"""`headstart rank`: models after --models, a line each, and what is wrong in one message."""

from __future__ import annotations

import json
from pathlib import Path

from cli.calling import call


def test_a_line_a_model_and_the_record(here: Path) -> None:
    done = call("rank", "reviews.csv", "--models", "bert", "resnet", "-o", "ranking.json").expect(0)
    head, first, second = done.out.splitlines()[:3]
    assert head.split()[:3] == ["model", "LogME", "Accuracy,"]
    assert first.startswith("bert ")
    assert second.startswith("resnet: the data are texts")
    record = json.loads((here / "ranking.json").read_text())
    assert [one["model"] for one in record["candidates"]] == ["bert", "resnet"]
    assert record["metric"] == "accuracy"
    assert record["candidates"][0]["low"] <= record["candidates"][0]["probe"] <= record["candidates"][0]["high"]


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
    call("rank", "gone.csv", "--models", "bert").refused("gone.csv")
