"""`headstart pretrain`: a backbone from scratch, or further."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headstart.cli.options import pairs
from headstart.cli.progress import watching

if TYPE_CHECKING:
    from headstart.data.examples import Data
    from headstart.engine.precision import Compute


@click.command("pretrain")
@click.argument("objective", metavar="OBJECTIVE")
@click.argument("sources", nargs=-1, required=True)
@click.option("--out", required=True, metavar="DIR", help="Folder of the backbone")
@click.option("--from", "base", metavar="MODEL", help="Go on from this backbone")
@click.option("--label", metavar="COLUMN", help="classify: label column [default: found]")
@click.option("--text", metavar="COLUMN", help="Language: column of texts in tables [default: found]")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="epochs=12, image_size=48, size=small, …")
@click.option("--worth", metavar="DATA", help="Tell what it brought a probe on these labelled examples")
@click.option("--seed", default=0, show_default=True)
@click.option("--half", is_flag=True, help="Store the weights in bf16: half the bytes")
@click.option("--device", metavar="auto|cpu|cuda")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]))
@click.option("--workers", type=click.IntRange(0), default=0, help="Threads that check images")
@click.option("--quiet", is_flag=True)
def command(
    objective: str, sources: tuple[str, ...], out: str, base: str | None, label: str | None, text: str | None,
    settings: tuple[str, ...], seed: int, half: bool, device: str | None, precision: str | None, workers: int,
    quiet: bool, worth: str | None,
) -> None:  # fmt: skip
    """Train a backbone on SOURCES; the folder is one that --model loads.

    classify: an image network on labelled images, with a head for each source. clip: two towers, on tables of images
    with captions. skipgram, cbow, glove: word vectors, elmo, awd (ULMFiT's): recurrent language models, mlm: BERT, clm:
    GPT, declutr: sentence embeddings, on running text: text files with a paragraph a line (also .gz), tables, folders
    of these, or data sets of the hub.

    Interrupted, the same command goes on where it stopped.
    """
    from headstart.artifacts.pretraining import Request, pretrain
    from headstart.core.fields import configured
    from headstart.core.history import entry_of_pretraining, remembered
    from headstart.engine.precision import compute
    from headstart.objectives.objective import OBJECTIVES

    chosen = configured(OBJECTIVES[objective], pairs(settings), objective)
    judged_by = None if worth is None else _labelled(worth, chosen.modality)
    with watching(quiet) as progress:
        request = Request(
            sources=sources, out=Path(out), compute=compute(device, precision), progress=progress, base=base,
            label=label, text=text, seed=seed, half=half, workers=workers,
        )  # fmt: skip
        lines = pretrain(chosen, request)
        report = json.loads((Path(out) / "pretrained.json").read_text(encoding="utf-8"))
        remembered(entry_of_pretraining(Path(out), sources, report), progress)
        if judged_by is not None:
            progress.say(f"{out} is written; now a probe on {worth} tells what it is worth")
            progress.stage("probe")
            lines += _worth(out, judged_by, request.compute, base)
    for line in lines:
        click.echo(line)
    if report.get("status", "ok") != "ok":
        click.echo(
            f"{out} holds the last good weights, which may be worth little. Try a lower learning_rate.", err=True
        )
        sys.exit(1)
    click.echo(f"{out} written; use it with --model {out}")


def _labelled(source: str, modality: str) -> Data:
    """Read before hours of training, which a mistake in it would otherwise follow."""
    from headstart.api import read
    from headstart.core.errors import DataError

    data = read(source)
    if data.task.modality.partition("_")[0] != modality:
        raise DataError(f"{source} holds {data.task.modality}s, but what is pretrained reads {modality}s.")
    if not len(data.validation):
        raise DataError(f"{source} has no validation examples to judge a pretraining by.")
    return data


def _worth(out: str, data: Data, computing: Compute, base: str | None) -> list[str]:
    """Lines, and the same in the folder's `pretrained.json`."""
    from headstart.core.files import write_json
    from headstart.evaluate.worth import worth

    found = worth(out, data, computing, base)
    file = Path(out) / "pretrained.json"
    write_json(file, {**json.loads(file.read_text(encoding="utf-8")), "worth": found.to_json()})
    return found.lines()
