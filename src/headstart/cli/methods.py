"""`headstart methods`: what there is to choose from."""

from __future__ import annotations

import dataclasses

import click


@click.command("methods")
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List the methods, or the settings of the method NAME."""
    from headstart.core.fields import descriptions
    from headstart.methods.method import METHODS

    if name is None:
        for each in METHODS:
            click.echo(f"{each:<16}{METHODS[each].summary}")
        return
    method = METHODS[name]
    click.echo(f"{name}: {method.summary}\n")
    texts = descriptions(method)
    for field in dataclasses.fields(method):
        default = "auto" if field.default is None else field.default
        click.echo(f"  {field.name}={default}\n      {texts.get(field.name, '')}")
