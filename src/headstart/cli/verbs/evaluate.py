"""`headstart evaluate`: compares a tuned model with its base; a gate for releases."""

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
    help="Reference of the comparison: the base, or the model of another run, on the same examples",
)
@click.option(
    "--test",
    "tests",
    multiple=True,
    metavar="FILE",
    help="Further labelled test set with the model's classes; repeat for several. Without --suite, only these",
)
@click.option("--suite", metavar="FILE", help="Suite of checks, as TOML [default: a suite for the task]")
@click.option("--methods", metavar="A,B,…", help="Methods to judge, for a run with --keep [default: all kept]")
@click.option(
    "--data",
    metavar="FILE|DIR",
    help="New place of the run's examples, if they were moved [default: their place in training]",
)
@click.option(
    "--model", metavar="NAME|DIR", help="New place of the base, if it was moved [default: its place in training]"
)
@click.option(
    "--precision", type=click.Choice(["auto", "fp32", "bf16"]), help="Number format [default: that of the training]"
)
@click.option("--device", metavar="auto|cpu|cuda", help="Where to compute [default: auto]")
@click.option("--trust-remote-code", is_flag=True, help="Run Python code that comes with the base model")
@click.option(
    "-o",
    "--out",
    metavar="FILE",
    help="File of the record [default: the next number in the first run's evaluations/, and its evaluation.json]",
)
@click.option("--quiet", is_flag=True, help="Show no progress")
@click.option("--json", "as_json", is_flag=True, help="Print only the record, as JSON")
def command(
    runs: tuple[str, ...], against: str, tests: tuple[str, ...], suite: str | None, methods: str | None,
    data: str | None, model: str | None, precision: str | None, device: str | None, trust_remote_code: bool,
    out: str | None, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Compare the models of RUNs with their base or another run, check by check, on the same examples.

    Exit codes: 0 if every gate passed, 1 if one failed, 3 if none failed but the examples are too few to decide one,
    2 for a mistake in the input.
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
