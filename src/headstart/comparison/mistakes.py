"""Most confident errors: test examples with the lowest probability of the true class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from headstart.core.records.comparison import Mistake
from headstart.data.examples import Examples
from headstart.stats.metrics import decisions, truths
from headstart.stats.predictions import Predictions
from headstart.tasks.task import Task

LONGEST = 300
"maximum length of a text in the record, in characters"


def mistakes(runs: Sequence[Predictions], test: Examples, task: Task, most: int = 12) -> tuple[Mistake, ...]:
    """The wrong answers of one method with the largest loss, by the mean of its seeds' scores.

    The loss is -log p(truth), for multi-label the mean over labels; for regression it is the absolute error, and every
    example counts. runs: predictions of the test split, in its order.
    """
    scores = np.stack([run.scores for run in runs]).astype(np.float64).mean(axis=0)  # [n, outputs]
    mean = replace(runs[0], scores=scores)
    if task.numeric:
        loss, wrong = np.abs(scores[:, 0] - mean.targets), np.ones(len(mean), dtype=bool)
    else:
        true = truths(mean)
        chance = np.clip(np.where(true == 1, scores, 1 - scores), 1e-12, 1)
        loss = -np.log(chance[true == 1]) if task.exclusive else -np.log(chance).mean(1)
        wrong = (decisions(mean) != true).any(1)
    order = [int(i) for i in np.argsort(-loss, kind="stable") if wrong[i]][:most]
    if not order:
        return ()
    places = test.places(order)
    texts = places if task.modality == "image" else [_text(each) for each in test.inputs(order)]
    return tuple(
        Mistake(place, text, *_answers(mean, i, task), float(loss[i]))
        for i, place, text in zip(order, places, texts)
    )  # fmt: skip


def _answers(mean: Predictions, i: int, task: Task) -> tuple[str, str, float | None]:
    """The truth, the prediction, and its probability."""
    scores = mean.scores[i]
    if task.numeric:
        return f"{mean.targets[i]:.6g}", f"{scores[0]:.6g}", None
    one = mean.take(np.array([i]))
    names = [
        "|".join(label for label, held in zip(task.labels, side[0]) if held) for side in (truths(one), decisions(one))
    ]
    chance = float(scores.max()) if task.exclusive else None
    return names[0], names[1], chance


def _text(given: object) -> str:
    text = " | ".join(map(str, given)) if isinstance(given, tuple) else str(given)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
