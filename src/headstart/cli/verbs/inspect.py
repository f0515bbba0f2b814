"""`headstart inspect`: draws the ladder of a model."""

from __future__ import annotations

from typing import Any

import click

from headstart.cli.options import LOAD, pairs


@click.command("inspect")
@click.argument("model")
@click.option("--method", help="Mark the parameters that this method would train")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Setting of the method, such as rank=16")
@click.option("--random", is_flag=True, help="Use random weights, which need no download")
@LOAD
def command(model: str, method: str | None, settings: tuple[str, ...], random: bool, **options: Any) -> None:
    """Draw the ladder of MODEL: its rungs and sizes, and with --method the trained parameters and the cut."""
    from headstart import api
    from headstart.backbones.ladder.drawing import draw
    from headstart.core.fields import configured
    from headstart.methods.method import method_class

    chosen = configured(method_class(method), pairs(settings), method) if method else None
    backbone = api.load(model, weights=not random, **{k: v for k, v in options.items() if v is not None})
    plan = chosen.attach(backbone, chosen.head(backbone, 2, bias=True)) if chosen else None
    click.echo(draw(backbone, plan))
