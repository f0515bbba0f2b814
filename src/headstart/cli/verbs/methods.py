"""`headstart methods`: lists methods with their measured quality and cost, and their settings."""

from __future__ import annotations

import dataclasses
from typing import Any

import click


@click.command("methods")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the record of the measurements")
def command(name: str | None, as_json: bool) -> None:
    """List the methods with their measurements, and the objectives; or the settings of one method or objective NAME."""
    import json

    from headstart.core.errors import unknown
    from headstart.core.fields import descriptions
    from headstart.methods.method import METHODS, method_class
    from headstart.pretraining.objectives.objective import OBJECTIVES
    from headstart.report.terminal.methods import measured, table

    if as_json:
        click.echo(json.dumps(measured().to_json(), indent=2))
        return
    if name is None:
        summaries = {each: METHODS[each].summary for each in sorted(METHODS)}
        width = max(len(each) for each in summaries) + 2
        for each, summary in summaries.items():
            click.echo(f"{each:<{width}}{summary}")
        click.echo()
        click.echo(table(measured(), summaries))
        click.echo("\nObjectives of `headstart pretrain`:\n")
        for each in sorted(OBJECTIVES):
            click.echo(f"{each:<{width}}{OBJECTIVES[each].summary}")
        return
    if name not in METHODS and name not in OBJECTIVES and "+" not in name:
        raise unknown("method or objective", name, [*METHODS, *OBJECTIVES])
    pretrains = name in OBJECTIVES
    method: Any = OBJECTIVES[name] if pretrains else method_class(name)
    click.echo(f"{name}: {method.summary}\n")
    texts = descriptions(method)
    for field in dataclasses.fields(method):
        click.echo(f"  {field.name}={as_typed(field.default)}\n      {texts.get(field.name, '')}")
    if fields := dataclasses.fields(method):
        setting = fields[0].name if pretrains else f"{name}.{fields[0].name}"
        click.echo(f"\nSet with --set {setting}=VALUE; separate the items of a list by commas.")


def as_typed(value: Any) -> str:
    """A setting's value as `--set` takes it."""
    if value is None:
        return "auto"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
