"""`headstart fit`: adapts a model with one method."""

from __future__ import annotations

from typing import Any

import click

from headstart.cli.options import DATA, LOAD, MODEL, REPEAT, RUN, TRAIN
from headstart.cli.running import running


@click.command("fit")
@click.argument("data")
@MODEL
@click.option("--method", default="lora", show_default=True, help="Method, from `headstart methods`")
@DATA
@REPEAT
@TRAIN
@LOAD
@RUN
def command(data: str, method: str, **options: Any) -> None:
    """Adapt a model to DATA with one method, tuned on the validation split and tested once."""
    from headstart import api

    with running(data, {**options, "seeds": options["seeds"] or 1, "methods": [method]}) as call:
        call.result = api.compare(call.data, call.model, **call.options)
