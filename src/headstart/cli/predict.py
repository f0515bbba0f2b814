"""`headstart predict`: labels for new examples."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from headstart.core.errors import DataError
    from headstart.data.unlabelled import Unlabelled


@click.command("predict")
@click.argument("run")
@click.argument("inputs", nargs=-1, required=True)
@click.option("-o", "--out", metavar="FILE", help="A .csv or .jsonl file [default: standard output]")
@click.option("--text", metavar="COLUMN[,COLUMN]", help="Input column of files [default: found]")
@click.option("--json", "as_json", is_flag=True, help="JSON lines instead of CSV")
@click.option("--method", metavar="NAME", help="A method whose model the run kept [default: the one to use]")
@click.option("--model", metavar="NAME|DIR", help="Where the base lies now [default: where it was in training]")
@click.option("--device", metavar="auto|cpu|cuda")
@click.option("--trust-remote-code", is_flag=True, help="Run code that comes with the base model")
def command(
    run: str, inputs: tuple[str, ...], out: str | None, text: str | None, as_json: bool, method: str | None,
    model: str | None, device: str | None, trust_remote_code: bool,
) -> None:  # fmt: skip
    """Label INPUTS with the model of RUN: texts, image files, folders of images, or CSV, TSV, JSONL, Parquet files.

    Writes one line an input, with `input`, `label` and one probability a class.
    """
    from headstart.artifacts.predictor import Predictor
    from headstart.core.errors import ConfigurationError, DataError
    from headstart.core.files import write_text
    from headstart.core.kept import model_of
    from headstart.data.unlabelled import unlabelled

    if out is not None and Path(out).suffix.lower() not in (".csv", ".jsonl"):
        raise ConfigurationError(f"--out {out}: give a file that ends in .csv or .jsonl.")
    if out is not None and Path(out).resolve() in {Path(one).resolve() for one in inputs}:
        raise ConfigurationError(f"--out {out} is one of the inputs; give another file. Nothing was changed.")
    with contextlib.redirect_stdout(sys.stderr):  # what libraries print; standard output is for the predictions
        predictor = Predictor(model_of(run, method), source=model, device=device, trust_remote_code=trust_remote_code)
        task = predictor.artifact.task
        rows = unlabelled(inputs, task.modality, text, predictor.artifact.columns)
        try:
            predictions = predictor([row.value for row in rows])
        except DataError as error:
            raise _placed(error, rows) from error
    names = ["value"] if task.kind == "regression" else list(task.labels)
    lines = as_json or (out is not None and Path(out).suffix.lower() == ".jsonl")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if not lines:
        writer.writerow(["input", "label", *names])
    for row, found in zip(rows, predictions):
        if lines:
            record = {"input": row.name, "label": found.label, "probabilities": found.probabilities}
            buffer.write(json.dumps(record, ensure_ascii=False) + "\n")
        else:
            writer.writerow([row.name, found.label, *(f"{found.probabilities[n]:.6f}" for n in names)])
    if out is None:
        sys.stdout.write(buffer.getvalue())
    else:
        write_text(out, buffer.getvalue())
        click.echo(f"{len(rows)} predictions in {out}", err=True)


def _placed(error: DataError, rows: list[Unlabelled]) -> DataError:
    """The error with the place of the first image that can't be decoded, where that is what it is about."""
    from headstart.core.errors import DataError
    from headstart.data.images import picture
    from headstart.data.table import ImagePath

    for row in rows:
        if isinstance(row.value, (bytes, ImagePath)):
            try:
                picture(row.value)
            except DataError as problem:
                return DataError(f"can't read {row.name}: {str(problem).rstrip('.')}. Nothing was predicted.")
    return error
