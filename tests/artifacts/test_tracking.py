"""Runs in MLflow, a real one with its own SQLite store, and in TensorBoard, read back by their own libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headstart
from backbones.tiny import save
from cli.calling import FAST, call, reviews
from headstart.core.errors import ArtifactError, ConfigurationError
from headstart.core.records.comparison import Comparison


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracked")
    save("bert", folder / "bert")
    data = reviews(folder / "reviews.csv")
    call("compare", data, "--model", folder / "bert", *FAST, "--seeds", "2", "--out", folder / "run").expect(0)
    return folder / "run"


def curve(record: Comparison, method: str, seed: int, name: str) -> list[tuple[int, float]]:
    (one,) = [run for run in record.row(method).seeds if run.seed == seed]
    return [(p.step, getattr(p, name)) for p in one.curve if getattr(p, name) is not None]


def test_mlflow_holds_what_the_record_does(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow: Any = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)  # where MLflow puts its artifacts
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    told = headstart.log(run, f"mlflow:{uri}")
    assert uri in told
    record = Comparison.read(run / "comparison.json")
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("headstart")
    found = {one.info.run_name: one for one in client.search_runs([experiment.experiment_id])}
    assert found.keys() == {"run", "probe", "lora"}
    assert found["run"].data.params["data"] == record.data.source
    assert found["run"].data.tags["headstart.verdict"] == record.verdict.method
    for row in record.rows:
        one = found[row.method]
        assert one.data.tags["mlflow.parentRunId"] == found["run"].info.run_id
        assert one.data.metrics["value"] == pytest.approx(row.value)
        assert one.data.params == {k: str(v) for k, v in row.configuration.items()}
        assert one.info.status == "FINISHED"
    points = client.get_metric_history(found["lora"].info.run_id, "validation_loss.seed1")
    assert [(p.step, p.value) for p in points] == curve(record, "lora", 1, "validation_loss")
    assert {a.path for a in client.list_artifacts(found["run"].info.run_id)} == {"comparison.json", "report.html"}
    headstart.log(run, f"mlflow:{uri}")  # again: a second run of the same experiment
    assert len(client.search_runs([experiment.experiment_id])) == 6


def test_tensorboard_holds_the_curves(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    call("runs", "log", run, "--to", f"tensorboard:{tmp_path}").expect(0)
    call("runs", "log", run, "--to", f"tensorboard:{tmp_path}").refused("holds a log already")
    record = Comparison.read(run / "comparison.json")
    for seed in (0, 1):
        events = EventAccumulator(str(tmp_path / "run" / "lora" / f"seed{seed}"))
        events.Reload()
        for name in ("train_loss", "validation_value"):
            found = [(e.step, e.value) for e in events.Scalars(name)]
            assert found == [(s, pytest.approx(v, rel=1e-6)) for s, v in curve(record, "lora", seed, name)]
            assert found


def test_compare_logs_when_it_is_asked_to(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    bert, data = run.parent / "bert", run.parent / "reviews.csv"
    arguments = ("compare", data, "--model", bert, *FAST, "--out", tmp_path / "again", "--log-to")
    done = call(*arguments, f"tensorboard:{tmp_path / 'board'}").expect(0)
    assert "tensorboard --logdir" in done.err
    assert list((tmp_path / "board" / "again" / "lora" / "seed0").iterdir())


def test_targets_that_cannot_be(run: Path, tmp_path: Path) -> None:
    for target in ("wandb", "tensorboard", ""):
        with pytest.raises(ConfigurationError, match="can't log to"):
            headstart.log(run, target)
    with pytest.raises(ArtifactError, match="no finished run"):
        headstart.log(tmp_path, f"tensorboard:{tmp_path}")
    before = sorted(tmp_path.rglob("*"))
    arguments = ("compare", run.parent / "reviews.csv", "--model", run.parent / "bert", *FAST, "--out", tmp_path / "x")
    call(*arguments, "--log-to", "wandb").refused("can't log to 'wandb'")
    assert sorted(tmp_path.rglob("*")) == before
