"""`headstart inspect`: draws the ladder of a model, or shows conversations as the model sees them."""

from __future__ import annotations

from typing import Any

import click

from headstart.cli.options import CHAT, LOAD, pairs

READING = ("text", "prompt", "answer", "messages", "kind")


@click.command("inspect")
@click.argument("model", metavar="MODEL|DATA")
@click.option("--method", help="Mark the parameters that this method would train")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Setting of the method, such as rank=16")
@click.option("--random", is_flag=True, help="Use random weights, which need no download")
@click.option("--model", "by", metavar="NAME|DIR", help="Show the conversations of DATA as this model sees them")
@click.option("--tokens", type=click.IntRange(1), help="Conversations to show token by token [default: 3]")
@click.option("--text", metavar="COLUMN", help="Column of running text, with --kind generation")
@CHAT
@click.option("--kind", metavar="KIND", help="generation [default: detected]")
@LOAD
def command(
    model: str, method: str | None, settings: tuple[str, ...], random: bool, by: str | None, tokens: int | None,
    **options: Any,
) -> None:  # fmt: skip
    """Draw the ladder of MODEL: its rungs and sizes, and with --method the trained parameters and the cut.

    With --model, show what that language model sees of the conversations in DATA: the audit, then the first ones token
    by token, with trained tokens in brackets.
    """
    from headstart import api
    from headstart.backbones.ladder.drawing import draw
    from headstart.core.errors import ConfigurationError
    from headstart.core.fields import configured
    from headstart.methods.method import method_class

    given = {name: value for name, value in options.items() if value is not None}
    reading = {name: given.pop(name) for name in READING if name in given}
    if by is not None:
        for line in _seen(model, by, tokens, reading, {**given, "weights": not random}):
            click.echo(line)
        return
    if tokens is not None or reading:
        raise ConfigurationError("--tokens shows conversations as a model sees them: headstart inspect DATA --model M.")
    chosen = configured(method_class(method), pairs(settings), method) if method else None
    backbone = api.load(model, weights=not random, **given)
    plan = chosen.attach(backbone, chosen.head(backbone, 2, bias=True)) if chosen else None
    click.echo(draw(backbone, plan))


def _seen(data: str, model: str, count: int | None, reading: dict[str, Any], loading: dict[str, Any]) -> list[str]:
    """The audit and the first conversations. Raises `DataError` for data without conversations."""
    from headstart import api
    from headstart.api.loading import SHOWN, first_tokens, read_by
    from headstart.backbones.inputs.preparation import TextPreparation
    from headstart.core.errors import DataError
    from headstart.core.inputs import INPUT_KINDS
    from headstart.report.terminal.tokens import tokens

    found = api.read(data, **reading)
    if not INPUT_KINDS[found.task.modality].chat:
        raise DataError(
            f"{data} is read as {found.record.understood[0]}. To see conversations, name their columns with --prompt "
            "and --answer, or --messages."
        )
    backbone = api.load(model, **loading)
    found = read_by(backbone, found)
    preparation = backbone.preparation
    assert isinstance(preparation, TextPreparation)  # `read_by` needs one
    return [str(found), "", *map(tokens, first_tokens(found.train, preparation, count or SHOWN))]
