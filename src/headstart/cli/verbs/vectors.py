"""`headstart vectors`: neighbours, analogies and formats of word vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from headstart.backbones.networks.word_vectors import WordVectors

COUNT = click.option("--count", type=click.IntRange(1), default=10, show_default=True, help="Words to print")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON")


@click.group("vectors", subcommand_metavar="COMMAND …")
@click.argument("model")
@click.pass_context
def command(context: click.Context, model: str) -> None:
    """Query the word vectors MODEL: a folder of `headstart pretrain skipgram`, `cbow` or `glove`, or a file in the text
    or binary format of word2vec or the text format of GloVe (also .gz)."""
    context.obj = model


@command.command()
@click.argument("word")
@COUNT
@JSON
@click.pass_obj
def nearest(model: str, word: str, count: int, as_json: bool) -> None:
    """Print the words with the highest cosine similarity to WORD."""
    _print(_read(model).nearest(word, count), as_json)


@command.command()
@click.argument("a")
@click.argument("b")
@click.argument("c")
@COUNT
@JSON
@click.pass_obj
def analogy(model: str, a: str, b: str, c: str, count: int, as_json: bool) -> None:
    """Solve an analogy: A is to B as C is to … `man king woman` computes king - man + woman."""
    _print(_read(model).analogy(a, b, c, count), as_json)


@command.command()
@click.argument("questions", metavar="FILE")
@click.option("--restrict", type=click.IntRange(1), metavar="N", help="Use only the N most frequent words")
@JSON
@click.pass_obj
def benchmark(model: str, questions: str, restrict: int | None, as_json: bool) -> None:
    """Answer the analogies of FILE (questions-words.txt of word2vec), and print the accuracy by section.

    Questions with words that have no vector are skipped.
    """
    from headstart.backbones.networks.word_vectors import total

    sections = _read(model).benchmark(questions, restrict)
    everything = total(sections, "total")
    if as_json:
        record = {"sections": [one.to_json() for one in sections], "total": everything.to_json()}
        click.echo(json.dumps(record, indent=2))
        return
    width = max(len(one.name) for one in [*sections, everything])
    for one in [*sections, everything]:
        share = f"{one.right / one.asked:6.1%}" if one.asked else "     –"
        click.echo(f"{one.name:<{width}} {share}  {one.right:>6,} of {one.asked:>6,}, {one.skipped:,} skipped")


@command.command()
@click.option("--to", "form", type=click.Choice(["text", "binary", "glove", "folder"]), required=True,
              help="text, binary: the formats of word2vec; glove: its text format; folder: for --model")  # fmt: skip
@click.option(
    "-o",
    "--out",
    required=True,
    metavar="FILE|DIR",
    help="New file or folder; .gz compresses a file",
)
@click.option("--bilstm", type=click.IntRange(1), metavar="WIDTH",
              help="folder: add a BiLSTM with random weights on top, of this many units per direction")  # fmt: skip
@click.option("--unknown", type=click.Choice(["subwords", "shared"]),
              help="folder: unknown words get vectors of subwords, or share one [default: subwords]")  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="Random seed of the BiLSTM")
@click.pass_obj
def convert(model: str, form: str, out: str, bilstm: int | None, unknown: str | None, seed: int) -> None:
    """Convert the vectors to another format; the words keep their order."""
    from headstart.backbones.loaders.vector_backbone import write_folder
    from headstart.backbones.loaders.vector_files import write_file
    from headstart.core.disk.files import replacing_folder
    from headstart.core.errors import ConfigurationError

    place = Path(out)
    if place.exists():
        raise ConfigurationError(f"{out} exists; give another --out. Nothing was changed.")
    if form != "folder" and (bilstm or unknown):
        raise ConfigurationError(
            f"--bilstm and --unknown are for --to folder; a file in {form} format holds words alone."
        )
    vectors = _read(model)
    if form == "folder":
        with replacing_folder(place) as temporary:
            write_folder(temporary, vectors, unknown or "subwords", bilstm or 0, seed)
    else:
        write_file(vectors, place, form)
    words, dimension = vectors.matrix.shape
    click.echo(f"{out} written: {words:,} words, {dimension} numbers each")


def _read(model: str) -> WordVectors:
    from headstart.backbones.loaders.vector_backbone import read_vectors

    found = read_vectors(model)
    if found.repeated:
        click.echo(f"{found.repeated:,} rows ignored, because their words came before", err=True)
    return found


def _print(found: list[tuple[str, float]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([{"word": word, "cosine": cosine} for word, cosine in found], indent=2))
        return
    for word, cosine in found:
        click.echo(f"{cosine:.3f}  {word}")
