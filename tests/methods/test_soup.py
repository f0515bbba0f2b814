"""Greedy soups: by hand, and over the runs of a comparison."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import headstart
from backbones.tiny import tiny
from headstart.core.errors import DataError
from headstart.engine.job import Evaluation
from headstart.methods.anchored import soup as soups
from headstart.methods.anchored.soup import greedy_soup
from headstart.methods.solver import Ingredient

TARGET = torch.tensor([1.0, -1.0])


def judged(now: dict[str, torch.Tensor]) -> Evaluation:
    distance = float((now["w"] - TARGET).square().sum())
    return Evaluation(-distance, distance, -distance)


def ingredient(name: str, *values: float) -> Ingredient:
    state = {"w": torch.tensor(values)}
    return Ingredient(name, judged(state).score, 0.0, 1.0, partial(dict, state))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_greedy_by_hand(order: tuple[int, ...]) -> None:
    """b is best; a joins since their mean is nearer the target; c would take it away again."""
    a, b, c = ingredient("a", 1.5, -1.6), ingredient("b", 0.6, -0.5), ingredient("c", 3.0, 3.0)
    now: dict[str, torch.Tensor] = {}
    names = greedy_soup([(a, b, c)[i] for i in order], now.update, lambda: judged(now))
    assert names == ["b", "a"]
    torch.testing.assert_close(now["w"], torch.tensor([1.05, -1.05]))
    assert judged(now).score >= max(a.score, b.score, c.score)


def test_one_ingredient_is_itself() -> None:
    now: dict[str, torch.Tensor] = {}
    names = greedy_soup([ingredient("a", 0.1, 0.2)], now.update, lambda: judged(now))
    assert names == ["a"]
    assert torch.equal(now["w"], torch.tensor([0.1, 0.2]))


@pytest.fixture(scope="module")
def data():
    whole = headstart.read()
    few = {name: getattr(whole, name).take(np.arange(40)) for name in ("train", "validation", "test")}
    import dataclasses

    return dataclasses.replace(whole, **few)


def test_over_a_comparison(data, tmp_path: Path) -> None:
    """Named first, it comes last; its artifact is the average of the ingredients' weights that its note names."""
    result = headstart.compare(
        data, tiny("timm_resnet"), methods=["soup", "full", "freeze", "lora", "knn", "mix", "centroid"], seeds=2,
        trials=1, epochs=2, out=tmp_path / "run",
        settings={"full.learning_rate": 1e-3, "freeze.rungs": 3, "freeze.learning_rate": 1e-3},
    )  # fmt: skip
    row = result.row("soup")
    assert row.status == "ok"
    (note,) = [note for note in row.notes if note.startswith("a soup of")]
    assert "of 4:" in note, "two seeds each of full and freeze; lora leaves the base alone, the others bring heads"
    assert row.validation_value >= max(
        run.validation_value for name in ("full", "freeze") for run in result.row(name).seeds
    )
    assert len(row.seeds) == 1
    trained = sum(run.train_seconds for name in ("full", "freeze") for run in result.row(name).seeds)
    assert row.train_seconds > trained, "it costs what its ingredients did"
    assert not (tmp_path / "run" / "progress").exists()


def test_the_average_is_that_of_the_files(data, tmp_path: Path, monkeypatch) -> None:
    """Whatever validation says, with a judge that always agrees all go in."""

    def all_in(ingredients, put, judge):
        return greedy_soup(ingredients, put, lambda: Evaluation(0.0, 0.0, 0.0))

    monkeypatch.setattr(soups, "greedy_soup", all_in)
    monkeypatch.setattr("shutil.rmtree", lambda *a, **k: None)  # progress stays, to be looked at
    headstart.compare(data, tiny("timm_resnet"), methods=["full", "soup"], seeds=2, trials=1, epochs=1,
                      out=tmp_path / "run", settings={"full.learning_rate": 1e-3})  # fmt: skip
    files = {
        name: [load_file(f) for f in (tmp_path / "run" / "progress" / name).glob("*/model/weights.safetensors")]
        for name in ("full", "soup")
    }
    for name, found in files.items():
        for weights, place in zip(found, (tmp_path / "run" / "progress" / name).glob("*/model/artifact.json")):
            for key in ("head.weight", "head.bias"):  # the temperature of each is folded into its head
                weights[key] = weights[key] * json.loads(place.read_text())["temperature"]
    (soup,), full = files["soup"], files["full"]
    assert len(full) == 2
    for key in full[0]:
        if full[0][key].is_floating_point():
            torch.testing.assert_close(soup[key], (full[0][key] + full[1][key]) / 2, rtol=1e-4, atol=1e-6)


def test_alone_it_has_no_ingredients(data, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no ingredients.*along with full"):
        headstart.fit(data, method="soup", out=tmp_path / "run")
