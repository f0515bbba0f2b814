"""`headstart zeroshot`: classes told in words, and retrieval between pictures and captions."""

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
    # a mistake is told before the towers are loaded; labelled images have classes of their own
    said(("one", "other") if labels is None else named, templates or (TEMPLATE,))
    if double := [one for one in dict.fromkeys(named) if named.count(one) > 1]:
        raise ConfigurationError(f"--labels names {', '.join(double)} twice; give each class once.")
    for one in images if named else ():  # what is no image is told before the towers are loaded
        next(stream([one], "image", None, {}, Findings()), None)
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
        _predict(towers, images, named, templates or (TEMPLATE,), computing, as_json)
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
        task, lambda inputs: probabilities(towers, image_features(towers, list(inputs), computing), classes),
        stream(images, "image", None, {}, findings),
    )  # fmt: skip
    table = AnswerRows(task, columns_of(images), probabilities=True)
    good, bad = written(chunks, table, None, sys.stdout, as_json, False)
    ended(findings, good, bad, None)
