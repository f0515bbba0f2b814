"""`headstart pretrain`: pretrains a backbone, from scratch or from another backbone."""

from __future__ import annotations

import sys

import click

from headstart.cli.options import pairs
from headstart.cli.progress import watching


@click.command("pretrain")
@click.argument("objective", metavar="OBJECTIVE")
@click.argument("sources", nargs=-1, required=True)
@click.option("-o", "--out", required=True, metavar="DIR", help="Folder to write the backbone into")
@click.option("--from", "base", metavar="MODEL", help="Continue from this backbone [default: random weights]")
@click.option("--label", metavar="COLUMN", help="classify: label column [default: detected]")
@click.option("--text", metavar="COLUMN", help="Language objectives, clip: text column of tables [default: detected]")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Setting of the objective, such as epochs=12; `headstart methods OBJECTIVE` lists them",
)
@click.option("--worth", metavar="DATA", help="Labelled examples; a probe on them measures the gain over the start")
@click.option("--seed", default=0, show_default=True, help="Random seed")
@click.option("--half", is_flag=True, help="Store the weights in bf16, in half the bytes")
@click.option("--device", metavar="auto|cpu|cuda", help="Where to compute [default: auto]")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), help="Number format [default: auto]")
@click.option("--workers", type=click.IntRange(0), default=0, help="Threads that check the images")
@click.option("--quiet", is_flag=True, help="Show no progress")
def command(
    objective: str, sources: tuple[str, ...], out: str, base: str | None, label: str | None, text: str | None,
    settings: tuple[str, ...], seed: int, half: bool, device: str | None, precision: str | None, workers: int,
    quiet: bool, worth: str | None,
) -> None:  # fmt: skip
    """Pretrain a backbone on SOURCES; --model loads its folder.

    Objectives on images: classify (labelled images, one head per source), clip (two towers, on tables of images and
    captions). Objectives on running text: skipgram, cbow, glove (word vectors), elmo, awd (recurrent language models),
    mlm (BERT), clm (GPT), declutr (sentence embeddings). Running text comes from text files with one paragraph per line
    (also .gz), tables, folders of these, or data sets on the hub.

    After an interruption, the same command continues where it stopped.
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
