"""`headstart predict`: labels new examples."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from headstart.cli.answering import ended, written


@click.command("predict")
@click.argument("run")
@click.argument("inputs", nargs=-1, required=True)
@click.option(
    "-o", "--out", metavar="FILE", help="Write a .csv, .tsv, .jsonl or .parquet file, also .gz [default: print]"
)
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists")
@click.option("--text", metavar="COLUMN[,COLUMN]", help="Input column of files [default: that of the training]")
@click.option("--probabilities", is_flag=True, help="Add the probability of each class")
@click.option(
    "--below", type=click.FloatRange(0, 1), help="Add a column `check`: yes if the confidence is below this probability"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines instead of CSV")
@click.option("--safe-csv", is_flag=True, help="Put ' before cells that a spreadsheet would run as a formula")
@click.option("--method", metavar="NAME", help="Method of the run whose model predicts [default: the recommended one]")
@click.option(
    "--model", metavar="NAME|DIR", help="New place of the base, if it was moved [default: its place in training]"
)
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), help="Number format [default: that of the test]")
@click.option("--device", metavar="auto|cpu|cuda", help="Where to compute [default: auto]")
@click.option("--documents", metavar="DIR", help="Look for passages in other documents than those of the training")
@click.option("--trust-remote-code", is_flag=True, help="Run Python code that comes with the base model")
def command(
    run: str, inputs: tuple[str, ...], out: str | None, overwrite: bool, text: str | None, probabilities: bool,
    below: float | None, as_json: bool, safe_csv: bool, method: str | None, model: str | None, precision: str | None,
    device: str | None, documents: str | None, trust_remote_code: bool,
) -> None:  # fmt: skip
    """Label INPUTS with the model of RUN, a folder or a number of `headstart runs`.

    INPUTS are texts, image files, folders of images, or CSV, TSV, JSONL or Parquet files (also .gz). Rows of a file
    keep their columns and get `prediction`, `confidence` and `error`. A row that can't be used gets an error instead of
    a prediction, and the exit code is then 4.
    """
    from headstart.artifacts.answer_rows import AnswerRows
    from headstart.artifacts.answers import answers
    from headstart.artifacts.predictor import Predictor
    from headstart.core.disk.history import folder_of
    from headstart.core.disk.kept import model_of
    from headstart.core.disk.runs import PROGRESS
    from headstart.core.errors import DataError
    from headstart.data.audit.findings import Findings
    from headstart.data.ingest.unlabelled import columns_of, stream

    _check_out(out, inputs, overwrite)
    findings, printed = Findings(), sys.stdout
    # because libraries print too, and standard output is for the predictions
    with contextlib.redirect_stdout(sys.stderr):
        folder = model_of(folder_of(run), method)
        if PROGRESS in folder.parts:
            click.echo(f"{run} was interrupted; these are predictions of {folder.parents[1].name}", err=True)
        predictor = Predictor(
            folder, source=model, device=device, precision=precision,
            trust_remote_code=trust_remote_code, documents=documents,
        )  # fmt: skip
        task = predictor.artifact.task
        rows = stream(inputs, task.modality, text, predictor.artifact.columns, findings)
        chunks = answers(task, predictor.rows, rows)
        table = AnswerRows(task, columns_of(inputs), probabilities, below)
        if (first := next(chunks, None)) is None:
            raise DataError(f"nothing to predict in {', '.join(inputs)}.")
        good, bad = written(itertools.chain([first], chunks), table, out, printed, as_json, safe_csv)
    ended(findings, good, bad, out)


def _check_out(out: str | None, inputs: Sequence[str], overwrite: bool) -> None:
    from headstart.core.errors import ConfigurationError
    from headstart.data.tables.table_writing import format_for

    if out is None:
        return
    format_for(out)
    if Path(out).resolve() in {Path(one).resolve() for one in inputs}:
        raise ConfigurationError(f"--out {out} is one of the inputs; give another file. Nothing was changed.")
    if Path(out).is_dir():
        raise ConfigurationError(f"--out {out} is a folder; give a file in it. Nothing was changed.")
    if os.path.lexists(out) and not overwrite:
        raise ConfigurationError(
            f"{out} exists; give --overwrite to replace it, or another --out. Nothing was changed."
        )
