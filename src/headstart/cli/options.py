"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from headstart.core.errors import ConfigurationError

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _all(*decorators: Decorator) -> Decorator:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def _one_or_several(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> str | list[str] | None:
    return (given[0] if len(given) == 1 else list(given)) if given else None


MODEL = click.option(
    "--model",
    metavar="NAME|DIR",
    help="Pretrained model: hub name, folder, timm/…, torchvision/… or builtin/… [default: the built-in one]",
)

CHAT = _all(
    click.option(
        "--prompt",
        metavar="COLUMN[,COLUMN]",
        help="Column of questions to a language model; several are joined by an empty line [default: detected]",
    ),
    click.option("--answer", metavar="COLUMN", help="Column of answers to learn to write [default: detected]"),
    click.option("--messages", metavar="COLUMN", help="Column of whole conversations [default: detected]"),
)

DATA = _all(
    click.option("--text", metavar="COLUMN[,COLUMN]", help="Input column; two for pairs of texts [default: detected]"),
    click.option(
        "--label",
        metavar="COLUMN[,COLUMN]",
        help="Label column; several columns of 0 and 1 for multi-label data [default: detected]",
    ),
    CHAT,
    click.option(
        "--group",
        metavar="COLUMN",
        help="Rows with the same value stay in one split and count as one cluster in statistics",
    ),
    click.option(
        "--cluster-by",
        metavar="COLUMN",
        help="Rows with the same value count as one cluster in statistics; splits ignore it",
    ),
    click.option("--validation", metavar="FILE", help="Validation examples [default: split off DATA]"),
    click.option(
        "--test",
        metavar="FILE",
        multiple=True,
        callback=_one_or_several,
        help="Test examples; repeat for several test sets, each gets its own scores [default: split off DATA]",
    ),
    click.option(
        "--kind",
        metavar="KIND",
        help="single_label, multi_label, regression, tagging, spans or generation [default: detected]",
    ),
    click.option("--class-weights", is_flag=True, default=None, help="Weight each class in the loss by its rarity"),
    click.option("--documents", metavar="DIR", help="Markdown, text and HTML files in which passages are looked for"),
)

LOAD = _all(
    click.option(
        "--pooling",
        type=click.Choice(["mean", "cls", "last", "concat"]),
        help="Token pooling of text models [default: the model's own]",
    ),
    click.option("--max-length", type=click.IntRange(1), help="Maximum length of a text, in tokens"),
    click.option("--image-size", type=click.IntRange(1), help="Side of the square images, in pixels"),
    click.option(
        "--blocks",
        metavar="PATH",
        help="Module path of the blocks that make the ladder, for a model with several chains",
    ),
    click.option(
        "--train-on",
        type=click.Choice(["all", "last"]),
        help="Answers of a conversation that are trained: all, or the last [default: all]",
    ),
    click.option(
        "--too-long",
        type=click.Choice(["raise", "drop", "cut"]),
        help="Conversations longer than --max-length: an error, left out, or their prompt cut at its start "
        "[default: raise]",
    ),
    click.option("--trust-remote-code", is_flag=True, default=None, help="Run Python code that comes with the model"),
)

REPEAT = _all(
    click.option(
        "--seeds", type=click.IntRange(1), help="Trainings per method, with seeds 0, 1, … [default: 3; fit: 1]"
    ),
    click.option("--race", is_flag=True, default=None, help="Race: stop methods early that are clearly behind"),
    click.option("--budget", metavar="TIME", help="Race within this time: 90s, 10m, 1.5h"),
    click.option("--by", metavar="COLUMN", help="Score parts of the test set by this column, such as the language"),
    click.option(
        "--folds",
        type=click.IntRange(2),
        metavar="K",
        help="K-fold cross-validation, for few examples; --seeds repeats it [default: one split]",
    ),
    click.option("--keep", is_flag=True, default=None, help="Keep the models of all methods, in models/ of the run"),
)

VERDICT = _all(
    click.option(
        "--prefer",
        type=click.Choice(["quality", "training", "latency", "size"]),
        help="Method that becomes model/: the best, or the cheapest non-inferior one by this cost [default: quality]",
    ),
    click.option(
        "--margin",
        type=float,
        metavar="POINTS",
        help="Non-inferiority margin: acceptable loss against the best "
        "[default: 1 point; regression: 1 % of a constant guess's error]",
    ),
)

TRAIN = _all(
    click.option("--trials", type=click.IntRange(1), help="Configurations tried per method [default: 3; curve: 1]"),
    click.option(
        "--metric",
        help="Metric that ranks the methods [default: accuracy (imbalanced: balanced_accuracy), micro_f1 or rmse]",
    ),
    click.option("--epochs", type=click.IntRange(1), help="Epochs [default: 3 to 40, by the number of examples]"),
    click.option(
        "--patience",
        type=click.IntRange(1),
        help="Early stopping after this many epochs without improvement on validation "
        "[default: a third of the epochs, at least 3]",
    ),
    click.option("--batch-size", type=click.IntRange(1), help="Examples per step [default: 32, fewer for tiny data]"),
    click.option(
        "--batch-tokens", type=click.IntRange(1), help="Maximum size of one forward pass, in tokens [default: 8192]"
    ),
    click.option(
        "--augment",
        metavar="NAME[,NAME…]",
        help="Image augmentation: none, light (shift), strong (flip, randaugment, erase), mixup or cutmix (shift, and "
        "pairs of images blended); or any of crop, shift, flip, randaugment, colour, erase; strong,no-flip omits one "
        "[default: none]",
    ),
    click.option(
        "--word-dropout",
        type=click.FloatRange(0, 1, max_open=True),
        help="Word dropout in training, as a share of the words [default: 0]",
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="Setting of a method, such as lora.rank=16; `headstart methods NAME` lists them",
    ),
    click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), help="Number format [default: auto]"),
    click.option("--device", metavar="auto|cpu|cuda", help="Where to compute [default: auto]"),
    click.option(
        "--workers", type=click.IntRange(0), help="Worker processes that decode and augment images [default: 0]"
    ),
)

RUN = _all(
    click.option("-o", "--out", metavar="DIR", help="Run folder [default: the next free runs/NAME]"),
    click.option("--resume", is_flag=True, help="Continue an interrupted run"),
    click.option(
        "--log-to", metavar="TARGET", help="Experiment tracker to log to as well: mlflow, mlflow:URI or tensorboard:DIR"
    ),
    click.option("--quiet", is_flag=True, help="Show no progress"),
    click.option("--json", "as_json", is_flag=True, help="Print only the record, as JSON"),
)


def pairs(settings: tuple[str, ...], such: str = "lora.rank=16") -> dict[str, str]:
    """`("rank=16",)` as `{"rank": "16"}`."""
    found = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"--set takes NAME=VALUE, such as {such}; {setting!r} is something else.")
        found[name.strip()] = value.strip()
    return found
