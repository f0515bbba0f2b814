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
    "--model", metavar="NAME|DIR", help="Hub name, folder, timm/…, torchvision/… or builtin/… [default: the built-in]"
)

DATA = _all(
    click.option("--text", metavar="COLUMN[,COLUMN]", help="Input column; two for pairs of texts [default: found]"),
    click.option("--label", metavar="COLUMN[,COLUMN]", help="Label column; several of zeros and ones [default: found]"),
    click.option(
        "--group", metavar="COLUMN", help="Rows with the same value stay in one split and count as one in statistics"
    ),
    click.option(
        "--cluster-by",
        metavar="COLUMN",
        help="Rows with the same value count as one in statistics, whatever their splits",
    ),
    click.option("--validation", metavar="FILE", help="Validation examples [default: split off]"),
    click.option(
        "--test",
        metavar="FILE",
        multiple=True,
        callback=_one_or_several,
        help="Test examples [default: split off]; of several, each is told apart",
    ),
    click.option("--kind", type=click.Choice(["single_label", "multi_label", "regression"]), help="[default: found]"),
    click.option("--class-weights", is_flag=True, default=None, help="Weight the loss against class imbalance"),
)

LOAD = _all(
    click.option("--pooling", type=click.Choice(["mean", "cls", "last", "concat"]), help="[default: the model's own]"),
    click.option("--max-length", type=click.IntRange(1), help="Most tokens of a text"),
    click.option("--image-size", type=click.IntRange(1), help="Side of the images in pixels"),
    click.option("--blocks", metavar="PATH", help="The chain of blocks, in a model that has several"),
    click.option("--trust-remote-code", is_flag=True, default=None, help="Run code that comes with the model"),
)

REPEAT = _all(
    click.option(
        "--seeds", type=click.IntRange(1), help="Trainings of each method, with seeds 0, 1, … [default: 3; fit: 1]"
    ),
    click.option("--race", is_flag=True, default=None, help="Give methods that are clearly behind no long training"),
    click.option("--budget", metavar="TIME", help="A race that is over within this time: 90s, 10m, 1.5h"),
    click.option("--by", metavar="COLUMN", help="Tell the test set apart by this column, such as the language"),
    click.option(
        "--folds",
        type=click.IntRange(2),
        metavar="K",
        help="Cross-validation for few examples: each is tested once; --seeds repeats it [default: one split]",
    ),
    click.option("--keep", is_flag=True, default=None, help="Keep every method's models, in models/ of the run"),
)

VERDICT = _all(
    click.option(
        "--prefer",
        type=click.Choice(["quality", "training", "latency", "size"]),
        help="Method that becomes model/: the best, or the cheapest shown to lie within the margin [default: quality]",
    ),
    click.option(
        "--margin",
        type=float,
        metavar="POINTS",
        help="Loss against the best that counts as none [default: 1 point; 1 % of a constant guess's error]",
    ),
)

TRAIN = _all(
    click.option("--trials", type=click.IntRange(1), help="Configurations tried of each method [default: 3; curve: 1]"),
    click.option(
        "--metric", help="What ranks the methods [default: accuracy (imbalanced: balanced_accuracy), micro_f1 or rmse]"
    ),
    click.option("--epochs", type=click.IntRange(1), help="[default: by the number of examples, 3 to 40]"),
    click.option(
        "--patience",
        type=click.IntRange(1),
        help="Epochs without improvement on validation until a training "
        "stops [default: a third of the epochs, at least 3]",
    ),
    click.option("--batch-size", type=click.IntRange(1), help="Examples a step [default: 32, fewer for tiny data]"),
    click.option("--batch-tokens", type=click.IntRange(1), help="Most tokens in the model at once [default: 8192]"),
    click.option(
        "--augment",
        metavar="NAME[,NAME…]",
        help="Change images in training: none, light (shift), strong (flip, randaugment, erase), mixup or cutmix "
        "(shift, and pairs of images blended); or any of crop, shift, flip, randaugment, colour, erase; "
        "strong,no-flip leaves one out [default: none]",
    ),
    click.option("--word-dropout", type=click.FloatRange(0, 1, max_open=True), help="Share of words left out"),
    click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A method's setting: lora.rank=16"),
    click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"])),
    click.option("--device", metavar="auto|cpu|cuda"),
    click.option("--workers", type=click.IntRange(0), help="Processes that decode and augment images [default: 0]"),
)

RUN = _all(
    click.option("-o", "--out", metavar="DIR", help="Run folder [default: the next free runs/NAME]"),
    click.option("--resume", is_flag=True, help="Go on with an interrupted run"),
    click.option("--log-to", metavar="TARGET", help="Also log to mlflow, mlflow:URI or tensorboard:DIR"),
    click.option("--quiet", is_flag=True, help="No progress"),
    click.option("--json", "as_json", is_flag=True, help="The record on standard output, nothing else"),
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
