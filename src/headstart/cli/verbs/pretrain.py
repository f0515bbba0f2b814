"""`headstart pretrain`: a backbone from scratch, or further."""

from __future__ import annotations

import sys

import click

from headstart.cli.options import pairs
from headstart.cli.progress import watching


@click.command("pretrain")
@click.argument("objective", metavar="OBJECTIVE")
@click.argument("sources", nargs=-1, required=True)
@click.option("-o", "--out", required=True, metavar="DIR", help="Folder of the backbone")
@click.option("--from", "base", metavar="MODEL", help="Go on from this backbone")
@click.option("--label", metavar="COLUMN", help="classify: label column [default: found]")
@click.option("--text", metavar="COLUMN", help="Language, clip: column of texts in tables [default: found]")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="epochs=12, size=small, …: as `headstart methods OBJECTIVE` lists them",
)
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
    from headstart.api import pretrain

    with watching(quiet) as progress:
        done = pretrain(
            objective, sources, out=out, base=base, settings=pairs(settings, "epochs=12"), label=label, text=text,
            worth=worth, seed=seed, half=half, workers=workers, device=device, precision=precision, progress=progress,
        )  # fmt: skip
    click.echo(str(done))
    if done.diverged:
        click.echo(
            f"{out} holds the last good weights, which may be worth little. Try a lower learning_rate.", err=True
        )
        sys.exit(1)
    click.echo(f"{out} written; use it with --model {out}")
