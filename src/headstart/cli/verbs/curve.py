"""`headstart curve`: the learning curve, quality against the number of labels."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

import click

from headstart.cli.options import DATA, LOAD, MODEL, TRAIN, pairs
from headstart.cli.progress import watching
from headstart.cli.running import tell_begun
from headstart.core.errors import ConfigurationError


@click.command("curve")
@click.argument("data", required=False)
@MODEL
@click.option(
    "--methods", metavar="A,B,…", help="Methods, from `headstart methods` [default: scratch, probe, freeze, full, lora]"
)
@click.option("--sizes", metavar="N,N,…", help="Subset sizes, in labels per class [default: 10, 30, 100, … and all]")
@click.option("--draws", type=click.IntRange(1), default=3, show_default=True, help="Random subsets per size")
@click.option(
    "--target",
    "targets",
    type=float,
    multiple=True,
    help="Forecast how many examples would reach this value of the metric, such as 0.95",
)
@DATA
@TRAIN
@LOAD
@click.option("-o", "--out", metavar="DIR", help="Run folder [default: the next free runs/NAME-curve]")
@click.option("--resume", is_flag=True, help="Continue an interrupted curve")
@click.option("--quiet", is_flag=True, help="Show no progress")
@click.option("--json", "as_json", is_flag=True, help="Print only the record, as JSON")
def command(data: str | None, **options: Any) -> None:
    """Train on nested subsets of DATA, show how quality grows with labels, and forecast the value of more labels."""
    from headstart import api
    from headstart.report.terminal.learning import table

    quiet, as_json = options.pop("quiet"), options.pop("as_json")
    options["settings"] = pairs(options.pop("settings")) or None
    options["sizes"] = _numbers(options.pop("sizes"))
    given = {name: value for name, value in options.items() if value is not None}
    where: list[str] = []
    with watching(quiet or as_json) as progress, contextlib.redirect_stdout(sys.stderr):
        tell_begun(progress, given.get("out"), given["resume"])
        found = api.curve(data, progress=progress, opened=where.append, **given)
    if as_json:
        click.echo(json.dumps(found.to_json(), ensure_ascii=False, indent=2))
    else:
        click.echo(f"{table(found)}\n\nPlot    {where[0]}/curve.svg\nRecord  {where[0]}/curve.json")


def _numbers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ConfigurationError(f"--sizes takes numbers with commas, such as 10,30,100; got {text!r}.") from None
