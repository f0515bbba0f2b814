"""Answers in a batch: which tokens are trained, and at which tokens the logits for them are read.

The logits at a token are for the next one, so a supervised token's logits are read one token before it. Rendering
decides which tokens are supervised, and never their ids, because the pad token may be the end token.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

ANSWERS = "answers"
"key of an encoded conversation: [T] bool, True for the tokens of answers, each with its stop token"
ANSWER_PLACES = "answer_places"
"key of a batch: [S] int64, ascending places in the flattened [B * T] tokens whose logits are read"
ANSWER_IDS = "answer_ids"
"key of a batch: [S] int64, the supervised ids, each the token after its place"

MARKS = (ANSWER_PLACES, ANSWER_IDS)
"they have no dimension of rows"


def marked(examples: Sequence[dict[str, np.ndarray]], width: int) -> dict[str, Tensor]:
    """Places and ids of the supervised tokens of a batch whose rows are this many tokens wide.

    A row's first token is never supervised, because no logits are for it.
    """
    places, ids = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for row, example in enumerate(examples):
        at = np.flatnonzero(example[ANSWERS][1:])
        places.append(at + row * width)
        ids.append(example["input_ids"][at + 1].astype(np.int64))
    return {
        ANSWER_PLACES: torch.from_numpy(np.concatenate(places)),
        ANSWER_IDS: torch.from_numpy(np.concatenate(ids)),
    }


def of_rows(batch: dict[str, Tensor], start: int, stop: int, width: int) -> dict[str, Tensor]:
    """The marks of the rows from `start` to `stop`, once these are cut to `width` tokens; {} for a batch without."""
    if ANSWER_PLACES not in batch:
        return {}
    before, places = batch["input_ids"].shape[1], batch[ANSWER_PLACES]
    row = places.div(before, rounding_mode="floor")
    mine = (row >= start) & (row < stop)
    return {
        ANSWER_PLACES: (row[mine] - start) * width + places[mine] % before,
        ANSWER_IDS: batch[ANSWER_IDS][mine],
    }
