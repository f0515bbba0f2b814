"""`headstart pretrain`: a backbone from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from headstart.cli.options import pairs
from headstart.cli.progress import watching
from headstart.core.errors import ConfigurationError


@click.command("pretrain")
@click.argument("objective", metavar="OBJECTIVE", type=click.Choice(["classify"]))
@click.argument("sources", nargs=-1, required=True)
@click.option("--out", required=True, metavar="DIR", help="Folder of the backbone")
@click.option("--from", "base", metavar="DIR", help="Go on from this backbone")
@click.option("--label", metavar="COLUMN", help="Label column [default: found]")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="epochs=12, image_size=48, …")
@click.option("--seed", default=0, show_default=True)
@click.option("--half", is_flag=True, help="Store the weights in bf16: half the bytes")
@click.option("--device", metavar="auto|cpu|cuda")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]))
@click.option("--workers", type=click.IntRange(0), default=0, help="Threads that check images")
@click.option("--quiet", is_flag=True)
def command(
    objective: str, sources: tuple[str, ...], out: str, base: str | None, label: str | None, settings: tuple[str, ...],
    seed: int, half: bool, device: str | None, precision: str | None, workers: int, quiet: bool,
) -> None:  # fmt: skip
    """Train a backbone on labelled SOURCES, with a head for each; the folder is one that --model loads.

    Interrupted, the same command goes on where it stopped.
    """
    from headstart.artifacts.pretrained import pretrain
    from headstart.core.errors import DataError
    from headstart.core.fields import configured
    from headstart.data.read import read
    from headstart.engine.precision import compute
    from headstart.objectives.classify import Classify

    chosen = configured(Classify, pairs(settings), objective)
    _check(chosen)
    _check_folder(Path(out))
    computing = compute(device, precision)
    data = [
        (Path(source).stem, read(source, label=label, workers=workers, validation_share=0.04, test_share=0.01))
        for source in sources
    ]
    for name, found in data:
        if found.task.modality != "image" or found.task.kind != "single_label":
            raise DataError(f"{name} can't be used: {objective} is pretrained on images with one label each.")
    with watching(quiet) as progress:
        done = pretrain(chosen, data, Path(out), computing, seed=seed, base=base, half=half, progress=progress)
    for source in done["sources"]:
        click.echo(
            f"{source['source']:<16}{source['classes']:>4} classes  validation accuracy {source['accuracy']:.3f}"
        )
    click.echo(f"{out} written; use it with --model {out}")


def _check(objective: Any) -> None:
    for name in ("epochs", "batch_size", "image_size"):
        if getattr(objective, name) < 1:
            raise ConfigurationError(f"{name} is {getattr(objective, name)}, but has to be at least 1.")
    if not objective.learning_rate > 0:
        raise ConfigurationError(f"learning_rate is {objective.learning_rate}, but has to be above 0.")
    if not 0 <= objective.label_smoothing < 1:
        raise ConfigurationError(f"label_smoothing is {objective.label_smoothing}, but has to lie in [0, 1).")


def _check_folder(out: Path) -> None:
    """The folder is replaced in the end: only one that this verb has begun, or an empty one, may be."""
    if not out.is_dir():
        if out.exists():
            raise ConfigurationError(f"{out} is a file; give another --out. Nothing was changed.")
        return
    others = sorted(p.name for p in out.iterdir() if p.name not in ("config.json", "checkpoint.safetensors"))
    if "pretrained.json" in others:
        raise ConfigurationError(f"{out} already holds a pretrained backbone; give another --out. Nothing was changed.")
    if others:
        raise ConfigurationError(
            f"{out} exists and holds other things ({', '.join(others[:3])}); give another --out. Nothing was changed."
        )
