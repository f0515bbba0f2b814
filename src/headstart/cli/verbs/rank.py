"""`headstart rank`: which pretrained model to start from."""

from __future__ import annotations

from typing import Any

import click

from headstart.cli.options import DATA, LOAD
from headstart.cli.progress import watching
from headstart.core.errors import ModelError


@click.command("rank")
@click.argument("data")
@click.argument("more", nargs=-1, metavar="")
@click.option("--models", "first", multiple=True, required=True, metavar="NAME|DIR …", help="Models to choose from")
@click.option("--rungs", is_flag=True, help="Score each rung of each model")
@click.option(
    "--examples", type=click.IntRange(10), default=1000, show_default=True, help="Most training examples used"
)
@click.option(
    "--confirm", type=click.IntRange(0), default=0, metavar="N", help="Fine-tune the first N, in a short race"
)
@click.option(
    "--metric",
    help="Of the probe and the neighbours [default: accuracy (imbalanced: balanced_accuracy), micro_f1 or rmse]",
)
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]))
@click.option("--device", metavar="auto|cpu|cuda")
@click.option("-o", "--out", metavar="FILE", help="Write the record as JSON")
@click.option("--quiet", is_flag=True, help="No progress")
@click.option("--json", "as_json", is_flag=True, help="The record on standard output, nothing else")
@DATA
@LOAD
def command(
    data: str,
    more: tuple[str, ...],
    first: tuple[str, ...],
    out: str | None,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Score pretrained models on DATA without training them: LogME, a linear probe, neighbours and H-score.

    With --confirm 3, the first three are then fine-tuned, as far as they keep up. Ends with 2 where one of the models
    could not be scored; the others are.

    DATA comes first, then --models A B C.
    """
    import json

    from headstart import api
    from headstart.report.terminal.candidates import table

    with watching(quiet or as_json) as progress:
        found = api.rank(data, (*first, *more), progress=progress, **options)
    if out:
        found.write(out)
    record = f"\n\nRecord  {out}" if out else ""
    click.echo(json.dumps(found.to_json(), indent=2) if as_json else f"{table(found)}{record}")
    if wrong := [one.name for one in found.candidates if one.status != "ok"]:
        raise ModelError(f"{len(wrong)} of {len(found.candidates)} could not be scored: {', '.join(wrong)}.")
