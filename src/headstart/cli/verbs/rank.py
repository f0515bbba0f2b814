"""`headstart rank`: ranks pretrained models by how well they fit the data."""

from __future__ import annotations

from typing import Any

import click

from headstart.cli.options import DATA, LOAD
from headstart.cli.progress import watching
from headstart.core.errors import ModelError


@click.command("rank")
@click.argument("data")
@click.argument("more", nargs=-1, metavar="")
@click.option("--models", "first", multiple=True, required=True, metavar="NAME|DIR …", help="Models to rank")
@click.option("--rungs", is_flag=True, help="Score each rung of each model")
@click.option(
    "--examples",
    type=click.IntRange(10),
    default=1000,
    show_default=True,
    help="Maximum number of training examples used",
)
@click.option("--confirm", type=click.IntRange(0), default=0, metavar="N", help="Fine-tune the N best, in a short race")
@click.option(
    "--metric",
    help="Metric of the probe and of the nearest neighbours "
    "[default: accuracy (imbalanced: balanced_accuracy), micro_f1 or rmse]",
)
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), help="Number format [default: auto]")
@click.option("--device", metavar="auto|cpu|cuda", help="Where to compute [default: auto]")
@click.option("-o", "--out", metavar="FILE", help="Write the record as JSON")
@click.option("--quiet", is_flag=True, help="Show no progress")
@click.option("--json", "as_json", is_flag=True, help="Print only the record, as JSON")
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
    """Score pretrained models on DATA without training them: LogME, a linear probe, nearest neighbours and H-score.

    With --confirm 3, the three best are then fine-tuned, in a race. The exit code is 2 if a model could not be scored;
    the other models are scored all the same.

    Put DATA first, then --models A B C.
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
