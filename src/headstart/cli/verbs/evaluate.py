"""`headstart evaluate`: a tuned model against its base; a gate for releases."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import click

from headstart.cli.progress import watching


@click.command("evaluate")
@click.argument("runs", nargs=-1, required=True, metavar="RUN…")
@click.option(
    "--against",
    metavar="base|RUN",
    default="base",
    show_default=True,
    help="What the models are held against: their base, or another run's model, on the same examples",
)
@click.option(
    "--test",
    "tests",
    multiple=True,
    metavar="FILE",
    help="Another labelled set with the model's classes; repeat for several. Without --suite, only these",
)
@click.option("--suite", metavar="FILE", help="Checks, as TOML [default: a suite for the task]")
@click.option("--methods", metavar="A,B,…", help="Of a run with --keep, only these")
@click.option("--data", metavar="FILE|DIR", help="Where the run's examples lie now [default: where they were]")
@click.option("--model", metavar="NAME|DIR", help="Where the base lies now [default: where it was in training]")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), help="[default: that of the training]")
@click.option("--device", metavar="auto|cpu|cuda")
@click.option("--trust-remote-code", is_flag=True, help="Run code that comes with the base model")
@click.option(
    "-o",
    "--out",
    metavar="FILE",
    help="The record [default: the next number in the first run's evaluations/, and its evaluation.json]",
)
@click.option("--quiet", is_flag=True, help="No progress")
@click.option("--json", "as_json", is_flag=True, help="The record on standard output, nothing else")
def command(
    runs: tuple[str, ...], against: str, tests: tuple[str, ...], suite: str | None, methods: str | None,
    data: str | None, model: str | None, precision: str | None, device: str | None, trust_remote_code: bool,
    out: str | None, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Judge the models of RUNs against their base or another run, check by check, on the same examples.

    Ends with 0 where every gate was passed, 1 where one failed, 3 where none failed but these examples are too few to
    decide one, 2 for a mistake in the input.
    """
    from headstart import api
    from headstart.report.terminal.evaluation import tables

    named = None if methods is None else [name.strip() for name in methods.split(",") if name.strip()]
    with watching(quiet or as_json) as progress, contextlib.redirect_stdout(sys.stderr):
        found = api.judge(
            runs, against=against, test=tests, suite=suite, methods=named, data=data, model=model, device=device,
            precision=precision, out=out, trust_remote_code=trust_remote_code, progress=progress,
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        file = Path(out or Path(runs[0]) / "evaluation.json")
        click.echo(f"{tables(found)}\n\nPage    {file.with_suffix('.html')}\nRecord  {file}")
    sys.exit({"passed": 0, "failed": 1, "undecided": 3}[found.verdict])
