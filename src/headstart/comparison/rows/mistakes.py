"""Most confident errors: test examples with the lowest probability of the true class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.core.chat import Chat
from headstart.core.records.comparison import Mistake
from headstart.data.examples import Examples
from headstart.stats.predictions import Predictions
from headstart.tasks.task import Task

LONGEST = 300
"maximum length of a text in the record, in characters"


def mistakes(runs: Sequence[Predictions], test: Examples, task: Task, most: int = 12) -> tuple[Mistake, ...]:
    """The wrong answers of one method with the largest loss, by its seeds' joined scores.

    The loss is -log p(truth), for multi-label the mean over labels; for regression it is the absolute error, and every
    example counts. runs: predictions of the test split, in its order.
    """
    mean = task.joined(runs)
    loss, wrong = task.losses(mean)
    order = [int(i) for i in np.argsort(-loss, kind="stable") if wrong[i]][:most]
    if not order:
        return ()
    places, inputs = test.places(order), test.inputs(order)
    texts = places if task.input.is_image else list(map(_text, inputs))
    return tuple(
        Mistake(place, text, *task.told(mean, i, given), float(loss[i]))
        for i, place, text, given in zip(order, places, texts, inputs)
    )


def _text(given: object) -> str:
    if isinstance(given, Chat):
        given = " | ".join(str(message.get("content") or "") for message in given.prompt)
    text = " | ".join(map(str, given)) if isinstance(given, tuple) else str(given)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
