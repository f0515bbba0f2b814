"""The models that a run folder keeps, by method, and the one that a method's name stands for."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from headstart.core.disk.kept import kept_models, model_of
from headstart.core.errors import ArtifactError
from headstart.core.records.comparison import Row, Verdict
from headstart.core.records.training import SeedRun

from .test_core_records import comparison


def place(folder: Path, method: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "artifact.json").write_text(json.dumps({"method": method}))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """`full` is the method to use; of `lora@wide` two seeds are kept, the second better on validation."""
    seeds = tuple(SeedRun(seed, value, 0.9, 1.0) for seed, value in ((2, 0.7), (10, 0.8)))
    rows = (Row("full", "ok", "accuracy"), Row("lora@wide", "ok", "accuracy", seeds=seeds))
    record = dataclasses.replace(comparison(), rows=rows, verdict=Verdict("full", "", "full"))
    record.write(tmp_path / "comparison.json")
    place(tmp_path / "model", "full")
    for seed in (2, 10):
        place(tmp_path / "models" / "lora@wide" / f"seed{seed}", "lora")
    return tmp_path


def test_the_method_to_use_comes_first_and_seeds_in_order(run: Path) -> None:
    wide = run / "models" / "lora@wide"
    assert list(kept_models(run).items()) == [
        ("full", [run / "model"]),
        ("lora@wide", [wide / "seed2", wide / "seed10"]),
    ]
    place(run / "models" / "full" / "seed0", "full")
    assert kept_models(run)["full"] == [run / "models" / "full" / "seed0"]


def test_a_method_stands_for_its_best_seed_on_validation(run: Path) -> None:
    assert model_of(run, "lora@wide") == run / "models" / "lora@wide" / "seed10"
    assert model_of(run, "full") == run / "model"
    assert model_of(run, None) == run
    record = json.loads((run / "comparison.json").read_text())
    record["task"]["higher_is_better"] = False
    (run / "comparison.json").write_text(json.dumps(record))
    assert model_of(run, "lora@wide") == run / "models" / "lora@wide" / "seed2"


def test_a_method_that_was_not_kept_is_refused_with_those_that_were(run: Path) -> None:
    with pytest.raises(ArtifactError, match=r"model of the method .lora.\. .* It keeps full, lora@wide;"):
        model_of(run, "lora")
    with pytest.raises(ArtifactError, match="holds no trained model"):
        model_of(run / "models", "full")


def test_an_artifact_alone_names_its_method(tmp_path: Path) -> None:
    place(tmp_path / "model", "ia3")
    assert kept_models(tmp_path) == {"ia3": [tmp_path / "model"]}
    assert model_of(tmp_path / "model", "ia3") == tmp_path / "model"
    (tmp_path / "model" / "artifact.json").write_text("[]")
    with pytest.raises(ArtifactError, match="can't read"):
        model_of(tmp_path, "ia3")
