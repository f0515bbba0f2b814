"""`headstart improve`: what to change next, tried on validation."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

import click

from headstart.cli.progress import watching


@click.command("improve")
@click.argument("run")
@click.option("--method", metavar="NAME", help="Of the run [default: the one that it recommends]")
@click.option("--budget", metavar="TIME", help="Begin no further trial after so long, such as 10m")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Trainings a trial")
@click.option("--propose", is_flag=True, help="Only say what could be tried")
@click.option("--data", metavar="DATA", help="Where the run's examples lie now")
@click.option("--model", metavar="MODEL", help="Where the run's base lies now")
@click.option("--device", metavar="auto|cpu|cuda")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]))
@click.option("--trust-remote-code", is_flag=True, help="Run code that comes with the base model")
@click.option("--quiet", is_flag=True, help="No progress")
@click.option("--json", "as_json", is_flag=True, help="The record on standard output, nothing else")
def command(run: str, quiet: bool, as_json: bool, **options: Any) -> None:
    """Propose what to change in RUN, each with its evidence, and try it on validation.

    The evidence is the training curves and validation predictions that the run kept, a probe at each level of the base,
    and labels that a cross-validated probe doubts. Test examples, and what `evaluate` found on them, are no evidence.
    The record is RUN/improvement.json.
    """
    from headstart import api

    with watching(quiet or as_json) as progress, contextlib.redirect_stdout(sys.stderr):
        found = api.improve(run, progress=progress, **options)
    if as_json:
        click.echo(json.dumps(found.to_json(), ensure_ascii=False, indent=2))
    else:
        click.echo(f"{found}\n\nRecord  {run}/improvement.json")
