"""`headstart zeroshot`: classes told in words, and retrieval between pictures and captions."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from headstart.data.unlabelled import Unlabelled


@click.command("zeroshot")
@click.argument("images", nargs=-1, required=True)
@click.option(
    "--model", required=True, metavar="NAME|DIR", help="Two towers: a folder of `pretrain clip`, CLIP, SigLIP"
)
@click.option("--labels", metavar="A,B,…", help="The classes [default: those of labelled images]")
@click.option("--template", "templates", multiple=True, metavar="TEXT",
              help="How a label is put, such as 'a photo of a {}'; several are averaged [default: {}]")  # fmt: skip
@click.option("--label", metavar="COLUMN", help="Labelled images: their label column [default: found]")
@click.option("--captions", metavar="COLUMN", help="Instead: how often picture and caption of a row find each other")
@click.option("--device", metavar="auto|cpu|cuda")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]))
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output")
def command(
    images: tuple[str, ...], model: str, labels: str | None, templates: tuple[str, ...], label: str | None,
    captions: str | None, device: str | None, precision: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Classify IMAGES (files, folders, tables) by labels that are told in words; nothing is trained.

    Without --labels the images have to be labelled, and the share of right answers is told, with its interval.
    """
    from headstart.backbones.class_words import TEMPLATE, said
    from headstart.backbones.two_towers import two_towers
    from headstart.core.errors import ConfigurationError, DataError
    from headstart.data.unlabelled import unlabelled
    from headstart.engine.precision import compute
    from headstart.evaluate.retrieval import retrieved
    from headstart.evaluate.zeroshot import accuracy

    if captions and (labels is not None or label or templates):
        raise ConfigurationError("--captions asks for retrieval; it takes no --labels, --label or --template.")
    if labels is not None and label:
        raise ConfigurationError("--labels are for images without labels, --label names the column of those that have.")
    named = [one.strip() for one in labels.split(",") if one.strip()] if labels is not None else []
    rows = unlabelled(images, "image") if named else []
    # a mistake is told before the towers are loaded; labelled images have classes of their own
    said(("one", "other") if labels is None else named, templates or (TEMPLATE,))
    towers, computing = two_towers(model), compute(device, precision)
    if captions:
        told = retrieved(towers, images, captions, computing)
        for finding in told["findings"]:
            click.echo(finding["message"], err=True)
        lines = [
            f"{name:<8} {'  '.join(f'at {k}: {share:.1%}' for k, share in told[name].items())}"
            for name in ("texts", "images")
        ]
        of = " and ".join(told["splits"])
        lines.append(f"{told['pairs']:,} pairs ({of}); by chance at 10: {told['chance_at_10']:.2%}")
    elif labels is not None:
        _predict(towers, rows, named, templates or (TEMPLATE,), computing, as_json)
        return
    else:
        if len(images) > 1:
            raise ConfigurationError("labelled images are one file or folder; several are classified with --labels.")
        try:
            told = accuracy(towers, images[0], label, templates or (TEMPLATE,), computing)
        except DataError as error:
            raise DataError(f"{error} Images without labels are told by those that --labels names.") from error
        lines = [
            f"accuracy {told['value']:.1%} [{told['low']:.1%}, {told['high']:.1%}] on {told['examples']:,} images of "
            f"{told['classes']} classes; the largest class is {told['largest_class']:.1%}"
        ]
        if not label and told["label"]:
            lines[0] += f"; labels from the column {told['label']!r}"
    click.echo(json.dumps(told, indent=2) if as_json else "\n".join(lines))


def _predict(
    towers: Any, rows: Sequence[Unlabelled], labels: list[str], templates: Any, computing: Any, as_json: bool
) -> None:
    from headstart.engine.towers import image_features
    from headstart.evaluate.zeroshot import class_features, probabilities

    classes = class_features(towers, labels, templates, computing)
    scores = probabilities(
        towers, image_features(towers, [row.value for row in rows if row.value is not None], computing), classes
    )
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if not as_json:
        writer.writerow(["input", "label", *labels])
    for row, mine in zip(rows, scores):
        best = labels[int(mine.argmax())]
        if as_json:
            told = {"input": row.name, "label": best, "probabilities": dict(zip(labels, map(float, mine)))}
            buffer.write(json.dumps(told, ensure_ascii=False) + "\n")
        else:
            writer.writerow([row.name, best, *(f"{share:.6f}" for share in mine)])
    sys.stdout.write(buffer.getvalue())
