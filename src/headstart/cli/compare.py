"""`headstart compare`: every method side by side."""

from __future__ import annotations

from typing import Any

import click

from headstart.cli.options import DATA, LOAD, MODEL, REPEAT, RUN, TRAIN, VERDICT
from headstart.cli.running import run


@click.command("compare")
@click.argument("data", required=False)
@MODEL
@click.option("--methods", metavar="A,B,…", help="As `headstart methods` lists them, or all [default: the usual ten]")
@DATA
@REPEAT
@VERDICT
@TRAIN
@LOAD
@RUN
@click.option("--config", metavar="FILE", help="Options of an earlier run: its configuration.json")
def command(data: str | None, **options: Any) -> None:
    """Try every way of adapting a model on DATA; say which is best and which cheaper one is shown to be as good.

    DATA is a CSV, TSV, JSONL or Parquet file, a folder of class folders of images, a folder with train, validation
    and test, or a name on the hub. Without it, the embedded handwritten digits are used and nothing is downloaded.
    """
    names = options.pop("methods")
    run(data, {**options, "methods": None if names is None else [n.strip() for n in names.split(",") if n.strip()]})
