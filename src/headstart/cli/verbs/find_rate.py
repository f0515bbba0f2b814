"""`headstart find-rate`: the learning-rate range test and its plot."""

from __future__ import annotations

from typing import Any

import click

from headstart.cli.options import DATA, LOAD, MODEL, pairs
from headstart.cli.progress import watching


@click.command("find-rate")
@click.argument("data", required=False)
@MODEL
@click.option("--method", default="full", show_default=True, help="Method, from `headstart methods`")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Setting of the method, such as rank=16")
@click.option("-o", "--out", default="learning-rate.svg", show_default=True, metavar="FILE", help="File of the plot")
@click.option("--steps", type=click.IntRange(20), default=100, show_default=True, help="Length of the test, in steps")
@click.option("--batch-size", type=click.IntRange(1), help="Examples per step [default: 32, fewer for tiny data]")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), help="Number format [default: auto]")
@click.option("--device", metavar="auto|cpu|cuda", help="Where to compute [default: auto]")
@click.option("--quiet", is_flag=True, help="Show no progress")
@DATA
@LOAD
def command(data: str | None, **options: Any) -> None:
    """Train a few steps with a rising learning rate, and suggest the rate at which the loss falls fastest."""
    from headstart import api
    from headstart.core.disk.files import write_text
    from headstart.report.charts.plots import learning_rate_curve

    out, quiet = options.pop("out"), options.pop("quiet")
    settings = pairs(options.pop("settings"))
    with watching(quiet) as progress:
        given = {k: v for k, v in options.items() if v is not None}
        found = api.find_rate(data, settings=settings, progress=progress, **given)
    write_text(out, learning_rate_curve(list(found.learning_rates), list(found.losses), found.suggestion))
    if found.suggestion is None:
        click.echo(f"The loss never fell; no rate is suggested. The curve is in {out}.")
    else:
        click.echo(f"{found.suggestion:.2g}  (the loss falls fastest there; the curve is in {out})")
