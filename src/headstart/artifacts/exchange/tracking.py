"""Experiment trackers: logs runs to MLflow and TensorBoard, from their records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headstart.core.disk.files import slug
from headstart.core.disk.runs import finished
from headstart.core.errors import ConfigurationError, ResourceError
from headstart.core.records.comparison import Comparison, Row

TARGETS = "mlflow (the server of MLFLOW_TRACKING_URI, or its default), mlflow:URI, or tensorboard:FOLDER"
FIGURES = (
    "value", "low", "high", "validation_value", "train_seconds", "tuning_seconds", "latency_seconds",
    "peak_memory_bytes", "artifact_bytes", "trained_parameters", "difference", "p_adjusted",
)  # fmt: skip
"fields of a row that are logged as numbers, if known"


def check_target(target: str) -> None:
    """Raises `ConfigurationError` for an unknown target, or if its library is not installed."""
    name, _, place = target.partition(":")
    if name not in ("mlflow", "tensorboard") or (name == "tensorboard" and not place):
        raise ConfigurationError(f"can't log to {target!r}. Give {TARGETS}.")
    try:
        __import__("mlflow" if name == "mlflow" else "tensorboard")
    except ImportError:
        raise ConfigurationError(
            f"{name} is not installed; run pip install {name}, or pip install 'headstart[track]'."
        ) from None


def log(folder: str | Path, target: str) -> str:
    """Logs a finished run; returns a sentence on where to find it.

    An MLflow run holds the comparison's options and verdict, and one nested run per method with its settings, figures
    and curves by seed. TensorBoard gets a folder per method and seed with the curves, and the figures as text. Raises
    `ConfigurationError` for an invalid target, `ArtifactError` for no run, and `ResourceError` if the tracker fails.
    """
    check_target(target)
    folder = Path(folder)
    record = finished(folder)
    name, _, place = target.partition(":")
    before = Path(place) / folder.resolve().name
    if name == "tensorboard" and any(before.glob("**/events.*")):
        raise ConfigurationError(
            f"{before} holds a log already, which a second would be drawn over; remove it, or give another folder."
        )
    try:
        return _mlflow(folder, record, place) if name == "mlflow" else _tensorboard(folder, record, Path(place))
    except Exception as error:  # because trackers raise their own kinds of errors
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        why = (said.splitlines() or [type(error).__name__])[0][:200]
        raise ResourceError(f"{target} did not take the run: {why}. {folder} is as it was.") from error


def _figures(row: Row) -> dict[str, float]:
    return {name: float(value) for name in FIGURES if (value := getattr(row, name)) is not None}


def _points(row: Row) -> Iterator[tuple[int, int, dict[str, float]]]:
    """Seed, step, and measurements."""
    names = ("train_loss", "validation_loss", "validation_value", "learning_rate")
    for run in row.seeds:
        for point in run.curve:
            found = {name: float(value) for name in names if (value := getattr(point, name)) is not None}
            yield run.seed, point.step, found


def _mlflow(folder: Path, record: Comparison, uri: str) -> str:
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=uri or None)
    experiment = client.get_experiment_by_name("headstart")
    number = experiment.experiment_id if experiment else client.create_experiment("headstart")
    tags = {
        "headstart.folder": str(folder.resolve()),
        "headstart.verdict": record.verdict.method or "",
        "mlflow.note.content": record.verdict.sentence,
    }
    whole = client.create_run(number, run_name=folder.resolve().name, tags=tags).info.run_id
    facts: dict[str, Any] = {
        **record.configuration, "data": record.data.source, "model": record.model.source, "metric": record.task.metric,
        "fingerprint": record.data.fingerprint, "precision": record.environment.precision,
        "device": record.environment.device,
    }  # fmt: skip
    for key, value in facts.items():
        client.log_param(whole, key, str(value)[:500])
    for name in ("comparison.json", "report.html"):
        if (folder / name).is_file():
            client.log_artifact(whole, str(folder / name))
    for row in record.rows:
        tags = {"mlflow.parentRunId": whole, "headstart.status": row.status}
        one = client.create_run(number, run_name=row.method, tags=tags).info.run_id
        for key, value in row.configuration.items():
            client.log_param(one, key, str(value)[:500])
        for key, value in _figures(row).items():
            client.log_metric(one, key, value)
        for seed, step, found in _points(row):
            for key, value in found.items():
                client.log_metric(one, f"{key}.seed{seed}", value, step=step)
        client.set_terminated(one, "FINISHED" if row.status == "ok" else "FAILED")
    client.set_terminated(whole)
    return f"logged to MLflow's experiment 'headstart' as {folder.resolve().name}; look with mlflow ui" + (
        f" --backend-store-uri {uri}" if uri else ""
    )


def _tensorboard(folder: Path, record: Comparison, place: Path) -> str:
    from torch.utils.tensorboard import SummaryWriter

    root = place / folder.resolve().name
    for row in record.rows:
        writers: dict[int, Any] = {}
        for seed, step, found in _points(row):
            if seed not in writers:
                writers[seed] = SummaryWriter(str(root / slug(row.method) / f"seed{seed}"))
            for key, value in found.items():
                writers[seed].add_scalar(key, value, step)
        for writer in writers.values():
            writer.close()
    writer = SummaryWriter(str(root))
    head = f"| method | status | {record.task.metric} | low | high |\n|---|---|---|---|---|\n"
    shown = [
        [row.method, row.status, *(getattr(row, name) for name in ("value", "low", "high"))] for row in record.rows
    ]
    writer.add_text("comparison", head + "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in shown))
    writer.add_text("verdict", record.verdict.sentence)
    writer.close()
    return f"logged to {root}; look with tensorboard --logdir {place}"
