"""`headstart adopt`: turns an adapter written by PEFT into a run."""

from __future__ import annotations

import csv
import shlex

import click


@click.command("adopt")
@click.argument("adapter", type=click.Path(exists=True, file_okay=False))
@click.option("--model", required=True, metavar="NAME|DIR", help="Base model of the adapter")
@click.option("-o", "--out", required=True, metavar="DIR", help="New run folder, for predict and export")
@click.option("--labels", metavar="A,B,…", help="Names of the classes, in order [default: the adapter's, or numbers]")
@click.option("--pooling", type=click.Choice(["mean", "cls", "last"]), help="Token pooling [default: the model's own]")
@click.option("--trust-remote-code", is_flag=True, help="Run Python code that comes with the base model")
def command(
    adapter: str, model: str, out: str, labels: str | None, pooling: str | None, trust_remote_code: bool
) -> None:
    """Turn the folder ADAPTER, written by PEFT (LoRA, prefix or prompt tuning), into a run of Headstart."""
    from pathlib import Path

    from headstart.artifacts.exchange.peft_read import from_peft
    from headstart.artifacts.exchange.peft_write import HEAD_WEIGHTS
    from headstart.backbones.loaders.load import load
    from headstart.core.disk.files import write_text
    from headstart.core.errors import ConfigurationError
    from headstart.report.card import adopted_card

    if Path(out).exists():
        raise ConfigurationError(f"{out} exists; choose a new folder. Nothing was changed there.")
    backbone = load(model, pooling=pooling, trust_remote_code=trust_remote_code)
    names = _names(labels) if labels else []
    made = from_peft(adapter, backbone, Path(out) / "model", labels=names)
    base = made.base
    card = adopted_card(made.method, made.configuration, made.task.labels, base.source, base.fingerprint, adapter)
    write_text(Path(out) / "model" / "README.md", card)
    if not (Path(adapter) / HEAD_WEIGHTS).exists() and backbone.kind == "decoder":
        pad = backbone.preparation.tokenizer.pad_token or "the pad token"  # type: ignore[attr-defined]
        click.echo(f"of texts that end in {pad}, transformers' classifier skips that end; this run reads it", err=True)
    command_line = shlex.join(["headstart", "predict", out])
    click.echo(f"{out}: {made.method} on {model}, {len(made.task.labels)} classes. Try: {command_line} …")


def _names(labels: str) -> list[str]:
    """Class names from a CSV line; quotes protect commas. Raises `ConfigurationError` for empty or repeated names."""
    from headstart.core.errors import ConfigurationError

    names = [name.strip() for name in next(csv.reader([labels], skipinitialspace=True))]
    if "" in names:
        raise ConfigurationError(f"--labels {labels} has an empty name; give one for each class.")
    if double := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ConfigurationError(f"--labels names {', '.join(double)} twice; give each class its own name.")
    return names
