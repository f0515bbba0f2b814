"""`headstart runs`: the history of runs."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.group("runs", invoke_without_command=True)
@click.option("--all", "everywhere", is_flag=True, help="Include runs outside the current folder")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON")
@click.pass_context
def command(context: click.Context, everywhere: bool, as_json: bool) -> None:
    """List the runs of `compare`, `fit`, `curve` and `pretrain` below the current folder.

    The subcommands show one run, compare two, log one to a tracker, or prune runs whose folders are gone. They take the
    numbers of this list.
    """
    if context.invoked_subcommand:
        return
    from headstart.core.disk.history import entries
    from headstart.report.terminal.history import listing

    known = entries()
    here = Path.cwd().resolve()
    found = [one for one in known if everywhere or Path(one.folder).is_relative_to(here)]
    click.echo(json.dumps([one.to_json() for one in found], indent=2) if as_json else listing(found))
    if elsewhere := len(known) - len(found):
        click.echo(f"{elsewhere} more elsewhere: headstart runs --all", err=True)


@command.command("show")
@click.argument("run")
def show(run: str) -> None:
    """Show RUN, a number of the list or a folder."""
    from headstart.core.disk.history import entry
    from headstart.report.terminal.history import details

    click.echo(details(entry(run)))


@command.command("diff")
@click.argument("first")
@click.argument("second")
@click.option("--html", metavar="FILE", help="Also write an HTML page that compares the two, method by method")
def diff(first: str, second: str, html: str | None) -> None:
    """Compare two runs: the options, versions and results that differ."""
    from headstart.core.disk.history import entry
    from headstart.report.terminal.history import difference

    one, other = entry(first), entry(second)
    if html:
        from headstart.comparison.rows.versus import versus
        from headstart.core.disk.files import write_text
        from headstart.report.pages.versus import page

        write_text(html, page(versus(Path(one.folder), Path(other.folder))))
    click.echo(difference(one, other))
    if html:
        click.echo(f"\nPage    {html}")


@command.command("log")
@click.argument("run")
@click.option("--to", required=True, metavar="TARGET", help="Experiment tracker: mlflow, mlflow:URI or tensorboard:DIR")
def log(run: str, to: str) -> None:
    """Log RUN, a number of the list or a folder, to MLflow or TensorBoard."""
    from headstart.artifacts.exchange import tracking
    from headstart.core.disk.history import entry

    click.echo(tracking.log(run if Path(run).is_dir() else entry(run).folder, to))


@command.command("prune")
def prune() -> None:
    """Remove runs from the list whose folders are gone. No folder is touched."""
    from headstart.core.disk import history

    gone = history.prune()
    click.echo("\n".join(one.folder for one in gone))
    click.echo(f"{len(gone)} {'run' if len(gone) == 1 else 'runs'} forgotten", err=True)
