"""`headstart pretrain`: a backbone from scratch, or further."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from headstart.cli.options import pairs
from headstart.cli.progress import watching
from headstart.core.errors import ConfigurationError
from headstart.core.progress import Progress

LANGUAGE = ("mlm", "clm", "declutr")


@click.command("pretrain")
@click.argument("objective", metavar="OBJECTIVE", type=click.Choice(["classify", *LANGUAGE]))
@click.argument("sources", nargs=-1, required=True)
@click.option("--out", required=True, metavar="DIR", help="Folder of the backbone")
@click.option("--from", "base", metavar="MODEL", help="Go on from this backbone")
@click.option("--label", metavar="COLUMN", help="classify: label column [default: found]")
@click.option("--text", metavar="COLUMN", help="Language: column of texts in tables [default: found]")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="epochs=12, image_size=48, size=small, …")
@click.option("--seed", default=0, show_default=True)
@click.option("--half", is_flag=True, help="Store the weights in bf16: half the bytes")
@click.option("--device", metavar="auto|cpu|cuda")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]))
@click.option("--workers", type=click.IntRange(0), default=0, help="Threads that check images")
@click.option("--quiet", is_flag=True)
def command(
    objective: str, sources: tuple[str, ...], out: str, base: str | None, label: str | None, text: str | None,
    settings: tuple[str, ...], seed: int, half: bool, device: str | None, precision: str | None, workers: int,
    quiet: bool,
) -> None:  # fmt: skip
    """Train a backbone on SOURCES; the folder is one that --model loads.

    classify: an image network on labelled images, with a head for each source. mlm: BERT, clm: GPT, declutr: sentence
    embeddings, on running text: text files with a paragraph a line (also .gz), tables, folders of these, or data sets
    of the hub.

    Interrupted, the same command goes on where it stopped.
    """
    from headstart.core.fields import configured
    from headstart.engine.precision import compute

    chosen = configured(_objective(objective), pairs(settings), objective)
    _check(chosen)
    _check_folder(Path(out))
    computing = compute(device, precision)
    options = {"seed": seed, "base": base, "half": half}
    with watching(quiet) as progress:
        if objective == "classify":
            lines = _classify(chosen, sources, label, workers, Path(out), computing, progress, options)
        else:
            lines = _language(chosen, sources, text, Path(out), computing, progress, options)
    for line in lines:
        click.echo(line)
    click.echo(f"{out} written; use it with --model {out}")


def _objective(name: str) -> Any:
    from headstart.objectives import classify, clm, declutr, mlm

    return {
        "classify": classify.Classify,
        "mlm": mlm.MaskedLanguageModel,
        "clm": clm.CausalLanguageModel,
        "declutr": declutr.Contrast,
    }[name]


def _classify(
    chosen: Any, sources: tuple[str, ...], label: str | None, workers: int, out: Path, computing: Any,
    progress: Progress, options: dict[str, Any],
) -> list[str]:  # fmt: skip
    from headstart.artifacts.pretrained import pretrain
    from headstart.core.errors import DataError
    from headstart.data.read import read

    data = [
        (Path(source).stem, read(source, label=label, workers=workers, validation_share=0.04, test_share=0.01))
        for source in sources
    ]
    for name, found in data:
        if found.task.modality != "image" or found.task.kind != "single_label":
            raise DataError(f"{name} can't be used: classify is pretrained on images with one label each.")
    done = pretrain(chosen, data, out, computing, progress=progress, **options)
    return [
        f"{source['source']:<16}{source['classes']:>4} classes  validation accuracy {source['accuracy']:.3f}"
        for source in done["sources"]
    ]


def _language(
    chosen: Any, sources: tuple[str, ...], text: str | None, out: Path, computing: Any, progress: Progress,
    options: dict[str, Any],
) -> list[str]:  # fmt: skip
    from headstart.artifacts.pretrained_language import pretrain_language
    from headstart.data.corpus import Corpus

    done = pretrain_language(chosen, Corpus(sources, text), out, computing, progress=progress, **options)
    corpus, loss = done["corpus"], done["held_out_loss"]
    ended = [] if done["status"] == "ok" else [f"{done['status']}; the last good weights are kept"]
    return ended + [
        f"{corpus['paragraphs']:,} paragraphs, {corpus['tokens']:,} tokens; {done['parameters']:,} parameters, "
        f"{done['steps']:,} steps in {done['seconds']:.0f} s",
        f"loss on held-out text {loss['before']:.3f} -> {loss['after']:.3f}",
    ]


def _check(objective: Any) -> None:
    for name in ("epochs", "batch_size", "image_size", "batch_tokens"):
        if getattr(objective, name, 1) < 1:
            raise ConfigurationError(f"{name} is {getattr(objective, name)}, but has to be at least 1.")
    for name in ("learning_rate", "temperature"):
        if not getattr(objective, name, 1) > 0:
            raise ConfigurationError(f"{name} is {getattr(objective, name)}, but has to be above 0.")
    for name in ("label_smoothing", "dropout", "warmup"):
        if not 0 <= getattr(objective, name, 0) < 1:
            raise ConfigurationError(f"{name} is {getattr(objective, name)}, but has to lie in [0, 1).")
    if not 0 < getattr(objective, "mask", 0.5) < 1:
        raise ConfigurationError(f"mask is {objective.mask}, but has to lie between 0 and 1.")
    if getattr(objective, "parts", 1) == 2 and objective.next_sentence:
        raise ConfigurationError(
            "declutr has no next_sentence: its pairs are the two parts of a paragraph; leave it out."
        )
    if getattr(objective, "length", 8) < 8:
        raise ConfigurationError(f"length is {objective.length}, but has to be at least 8 tokens.")
    if getattr(objective, "vocabulary", 300) < 300:
        raise ConfigurationError(f"vocabulary is {objective.vocabulary}, but has to be at least 300 tokens.")


def _check_folder(out: Path) -> None:
    """The folder is replaced in the end: only one that this verb has begun, or an empty one, may be."""
    if not out.is_dir():
        if out.exists():
            raise ConfigurationError(f"{out} is a file; give another --out. Nothing was changed.")
        return
    begun = ("config.json", "checkpoint.safetensors", "unfinished")
    others = sorted(p.name for p in out.iterdir() if p.name not in begun)
    if "pretrained.json" in others:
        raise ConfigurationError(f"{out} already holds a pretrained backbone; give another --out. Nothing was changed.")
    if others:
        raise ConfigurationError(
            f"{out} exists and holds other things ({', '.join(others[:3])}); give another --out. Nothing was changed."
        )
