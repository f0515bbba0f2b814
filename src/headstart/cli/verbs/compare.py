"""`headstart compare`: compares methods of adapting a model."""

from __future__ import annotations

from typing import Any

import click

from headstart.cli.options import DATA, LOAD, MODEL, REPEAT, RUN, TRAIN, VERDICT
from headstart.cli.running import running

DEMO: dict[str, Any] = {
    "methods": ["probe", "lpft", "lora", "freeze", "full", "scratch", "random", "majority"],
    "trials": 1, "epochs": 12, "budget": "80s",
}  # fmt: skip
"options of the demo, a comparison without data and options; the budget ends it in time where a machine is slow"
ASIDE = ("out", "resume", "log_to", "quiet", "as_json")
"options that do not change the comparison, so it is still the demo"


@click.command("compare")
@click.argument("data", required=False)
@MODEL
@click.option(
    "--methods",
    metavar="A,B,…",
    help="Methods to compare, from `headstart methods`, or all [default: the usual ten, and prompts where they fit]",
)
@DATA
@REPEAT
@VERDICT
@TRAIN
@LOAD
@RUN
@click.option("--config", metavar="FILE", help="Start from the options of an earlier run: its configuration.json")
def command(data: str | None, **options: Any) -> None:
    """Try every way of adapting a model on DATA; name the best, and a cheaper one if it is shown to be as good.

    DATA is a CSV, TSV, JSONL or Parquet file, a folder of class folders of images, a folder with train, validation
    and test, or a name on the hub. Without DATA and options it is a demo of about a minute: some methods, briefly, on
    embedded handwritten digits; nothing is downloaded.
    """
    from headstart import api

    names = options.pop("methods")
    if data is None and names is None and not any(value for name, value in options.items() if name not in ASIDE):
        options |= DEMO
        if not (options["quiet"] or options["as_json"]):
            click.echo(_announced(), err=True)
    else:
        options["methods"] = None if names is None else [name.strip() for name in names.split(",") if name.strip()]
    with running(data, options) as call:
        call.result = api.compare(call.data, call.model, **call.options)


def _announced() -> str:
    from headstart.data.embedded import EACH

    return (
        f"Demo: which way of adapting a small model reads handwritten digits best, with {EACH} labels of each to learn "
        f"from?\nIt takes about a minute and at most {DEMO['budget']}, so it is small: {len(DEMO['methods'])} methods, "
        f"{DEMO['epochs']} epochs, learning rates not tuned.\nYour own data: headstart compare DATA\n"
    )
