"""`headstart improve`: proposes changes to a run and tries them on validation."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

import click

from headstart.cli.progress import watching


@click.command("improve")
@click.argument("run")
@click.option("--method", metavar="NAME", help="Method of the run to improve [default: the recommended one]")
@click.option("--budget", metavar="TIME", help="Start no further trial after this time, such as 10m")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Trainings per trial")
@click.option("--propose", is_flag=True, help="Print the proposals without trying them")
@click.option("--data", metavar="DATA", help="New place of the run's examples, if they were moved")
@click.option("--model", metavar="MODEL", help="New place of the base, if it was moved")
@click.option("--device", metavar="auto|cpu|cuda", help="Where to compute [default: auto]")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), help="Number format [default: auto]")
@click.option("--trust-remote-code", is_flag=True, help="Run Python code that comes with the base model")
@click.option("--quiet", is_flag=True, help="Show no progress")
@click.option("--json", "as_json", is_flag=True, help="Print only the record, as JSON")
def command(run: str, quiet: bool, as_json: bool, **options: Any) -> None:
    """Propose changes to RUN, each with its evidence, and try them on validation.

    Evidence comes from the training curves and validation predictions of the run, from a probe at each level of the
    base, and from labels that a cross-validated probe doubts. Test examples and results of `evaluate` are never used.
    The record is RUN/improvement.json.
    """
    from headstart import api

    with watching(quiet or as_json) as progress, contextlib.redirect_stdout(sys.stderr):
        found = api.improve(run, progress=progress, **options)
    if as_json:
        click.echo(json.dumps(found.to_json(), ensure_ascii=False, indent=2))
    else:
        click.echo(f"{found}\n\nRecord  {run}/improvement.json")
