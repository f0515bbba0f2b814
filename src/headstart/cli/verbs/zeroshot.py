"""`headstart zeroshot`: zero-shot classification by class names, and retrieval between images and captions."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from headstart.cli.answering import ended, written


@click.command("zeroshot")
@click.argument("images", nargs=-1, required=True)
@click.option(
    "--model", required=True, metavar="NAME|DIR", help="CLIP or SigLIP: a hub name, or a folder of `pretrain clip`"
)
@click.option("--labels", metavar="A,B,…", help="Names of the classes [default: those of labelled images]")
@click.option("--template", "templates", multiple=True, metavar="TEXT",
              help="Prompt for a class name, such as 'a photo of a {}'; repeat to average [default: {}]")  # fmt: skip
@click.option("--label", metavar="COLUMN", help="Label column of labelled images [default: detected]")
@click.option(
    "--captions",
    metavar="COLUMN",
    help="Measure retrieval instead: how often the image and the caption of a row find each other",
)
@click.option("--device", metavar="auto|cpu|cuda", help="Where to compute [default: auto]")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), help="Number format [default: auto]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON")
def command(
    images: tuple[str, ...], model: str, labels: str | None, templates: tuple[str, ...], label: str | None,
    captions: str | None, device: str | None, precision: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Classify IMAGES (files, folders, tables) by the names of the classes, without training (zero-shot).

    Without --labels the images must be labelled; the accuracy is then printed with its interval.
    """
    from headstart.backbones.class_words import TEMPLATE, said
    from headstart.backbones.loaders.load import two_towers
    from headstart.core.errors import ConfigurationError, DataError
    from headstart.data.audit.findings import Findings
    from headstart.data.ingest.unlabelled import stream
    from headstart.engine.machine.precision import compute
    from headstart.judging.retrieval import retrieved
    from headstart.judging.zeroshot import accuracy

    if captions and (labels is not None or label or templates):
        raise ConfigurationError("--captions asks for retrieval; it takes no --labels, --label or --template.")
    if labels is not None and label:
        raise ConfigurationError("--labels are for images without labels, --label names the column of those that have.")
    named = [one.strip() for one in labels.split(",") if one.strip()] if labels is not None else []
    # checked now, because loading the towers is slow; the classes of labelled images are not known yet
    said(("one", "other") if labels is None else named, templates or (TEMPLATE,))
    if double := [one for one in dict.fromkeys(named) if named.count(one) > 1]:
        raise ConfigurationError(f"--labels names {', '.join(double)} twice; give each class once.")
    for one in images if named else ():  # a file that is no image fails here, because loading the towers is slow
        next(stream([one], "image", None, {}, Findings()), None)
    towers, computing = two_towers(model), compute(device, precision)
    if captions:
        found = retrieved(towers, images, captions, computing)
        for finding in found["findings"]:
            click.echo(finding["message"], err=True)
        lines = [
            f"{name:<8} {'  '.join(f'at {k}: {share:.1%}' for k, share in found[name].items())}"
            for name in ("texts", "images")
        ]
        of = " and ".join(found["splits"])
        lines.append(f"{found['pairs']:,} pairs ({of}); by chance at 10: {found['chance_at_10']:.2%}")
    elif labels is not None:
        _predict(towers, images, named, templates or (TEMPLATE,), computing, as_json)
        return
    else:
        if len(images) > 1:
            raise ConfigurationError("labelled images are one file or folder; several are classified with --labels.")
        try:
            found = accuracy(towers, images[0], label, templates or (TEMPLATE,), computing)
        except DataError as error:
            raise DataError(f"{error} To classify images without labels, name the classes with --labels.") from error
        lines = [
            f"accuracy {found['value']:.1%} [{found['low']:.1%}, {found['high']:.1%}] on {found['examples']:,} images "
            f"of {found['classes']} classes; the largest class is {found['largest_class']:.1%}"
        ]
        if not label and found["label"]:
            lines[0] += f"; labels from the column {found['label']!r}"
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(lines))


def _predict(
    towers: Any, images: Sequence[str], labels: Sequence[str], templates: Any, computing: Any, as_json: bool
) -> None:
    from headstart.artifacts.answer_rows import AnswerRows
    from headstart.artifacts.answers import answers
    from headstart.data.audit.findings import Findings
    from headstart.data.ingest.unlabelled import columns_of, stream
    from headstart.engine.towers import image_features
    from headstart.judging.zeroshot import class_features, probabilities
    from headstart.tasks.task import Task

    classes, findings = class_features(towers, labels, templates, computing), Findings()
    task = Task("single_label", "image", tuple(labels))
    chunks = answers(
        task,
        lambda inputs: probabilities(towers, image_features(towers, list(inputs), computing), classes),
        stream(images, "image", None, {}, findings),
    )
    table = AnswerRows(task, columns_of(images), probabilities=True)
    good, bad = written(chunks, table, None, sys.stdout, as_json, False)
    ended(findings, good, bad, None)
