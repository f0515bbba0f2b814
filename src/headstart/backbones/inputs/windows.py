"""Passages in windows (doc stride): a long passage is read in overlapping pieces, each behind its question.

The head scores places: one for no answer, and one for each token of the passage, whose state comes from the window
with most context around it, as in BERT's evaluation. A batch holds the windows of all its passages as rows; those of
the passages with fewer than the others are filled up with rows of one pad token.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.backbones.inputs.word_marks import SIGNS, WORD_STARTS
from headstart.core.errors import ConfigurationError
from headstart.core.passage import Passage

WINDOWS = "windows"
"key of a batch: [B, P] each place's window, if there are several; of an example: [K] lengths of its windows"
MARKS = (WORD_STARTS, SIGNS, WINDOWS)
"keys of a batch that say where the head reads, and are no inputs of the model"
OVERLAP = 128
"maximum number of tokens that neighbouring windows share (doc stride); at most a third of what a window holds"


def encoded(
    tokenizer: Any, passages: Sequence[Passage], max_length: int, separates: bool
) -> list[dict[str, np.ndarray]]:
    """Each passage's windows in a row: `input_ids`, `token_type_ids`, places (`WORD_STARTS`), `SIGNS` and `WINDOWS`.

    separates: the tokenizer parts two texts by special tokens; otherwise a line end does. Raises `ConfigurationError`
    for a tokenizer that does not say which characters a token covers.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ConfigurationError(
            f"an answer is a piece of its passage, and {type(tokenizer).__name__} does not say which characters a "
            "token covers: only fast tokenizers do. Save the model's tokenizer with a tokenizer.json, or choose "
            "another model."
        )
    asked = {"padding": False, "truncation": False, "return_offsets_mapping": True, "verbose": False}
    if separates:
        tokens = tokenizer([one.question for one in passages], [one.text for one in passages], **asked)
    else:
        tokens = tokenizer([f"{one.question}\n{one.text}" for one in passages], **asked)
    types = tokens.get("token_type_ids") or [None] * len(passages)
    found = []
    for at, (passage, ids, kinds) in enumerate(zip(passages, tokens["input_ids"], types)):
        spans, sides = np.array(tokens["offset_mapping"][at]).reshape(-1, 2), tokens.sequence_ids(at)
        if not separates:
            shift = len(passage.question) + 1
            sides = [None if side is None else int(end > shift) for side, (_, end) in zip(sides, spans)]
            spans = np.maximum(spans - shift, 0)
        found.append(_windows(passage.text, np.array(ids), kinds, spans, sides, max_length))
    return found


def _windows(
    text: str, ids: np.ndarray, kinds: Sequence[int] | None, spans: np.ndarray, sides: Sequence[int | None], most: int
) -> dict[str, np.ndarray]:
    """spans: [T, 2] characters of each token in its text; sides: 0 in the question, 1 in the passage, None else."""
    inside = np.flatnonzero([side == 1 for side in sides])
    begin, end = (int(inside[0]), int(inside[-1]) + 1) if len(inside) else (len(ids), len(ids))
    before, after = list(range(begin)), list(range(end, len(ids)))
    over = len(before) + len(after) - most // 2  # a question takes at most half of a window
    asked = [at for at in before if sides[at] == 0]
    before = [at for at in before if at not in set(asked[len(asked) - over :])] if over > 0 else before
    room = most - len(before) - len(after)
    if room < 1:
        raise ConfigurationError(f"max_length {most} leaves no room for a passage beside its question; raise it.")
    overlap = min(OVERLAP, room // 3)
    starts = list(range(begin, max(end - overlap, begin + 1), room - overlap))
    pieces = [[*before, *range(start, min(start + room, end)), *after] for start in starts]
    lengths = np.array([len(piece) for piece in pieces], dtype=np.int32)
    order = np.concatenate(pieces).astype(np.int64)

    tokens, signs = _signs(text, spans, begin, end)
    edges = np.array([(start, min(start + room, end)) for start in starts]).reshape(-1, 2)
    context = np.minimum(tokens[:, None] - edges[:, 0], edges[:, 1] - 1 - tokens[:, None])  # [P, K], below 0 outside
    window = context.argmax(1) if len(tokens) else np.zeros(0, dtype=np.int64)
    places = np.cumsum(lengths)[window] - lengths[window] + len(before) + tokens - edges[window, 0]
    # a causal model has seen the passage at its last token alone; others end in a special token and begin with one
    none = 0 if after and before and sides[before[0]] is None else int(lengths[0]) - 1
    found = {
        "input_ids": ids[order].astype(np.int32),
        WORD_STARTS: np.concatenate([[none], places]).astype(np.int32),
        SIGNS: np.concatenate([[[0, 0]], signs]).astype(np.int32),
        WINDOWS: lengths,
    }
    if kinds is not None and any(kinds):
        found["token_type_ids"] = np.array(kinds)[order].astype(np.int8)
    return found


def _signs(text: str, spans: np.ndarray, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    """The passage's tokens that cover more than blanks, and [P, 2] their first and last sign, from 1."""
    tokens, signs = [], []
    for token in range(begin, end):
        first, last = map(int, spans[token])
        piece = text[first:last]
        if bare := piece.strip():
            first += len(piece) - len(piece.lstrip())
            last = first + len(bare)
            while last < len(text) and unicodedata.category(text[last]).startswith("M"):
                last += 1  # a separate accent, which the tokenizer has dropped, belongs to the sign before it
            tokens.append(token)
            signs.append((first + 1, last))
    return np.array(tokens, dtype=np.int64), np.array(signs, dtype=np.int64).reshape(-1, 2)


def rows_of(examples: Sequence[dict[str, np.ndarray]], pad: int) -> list[dict[str, np.ndarray]]:
    """One row a window, as many of each example as the one with most has."""
    most, rows = max(len(one[WINDOWS]) for one in examples), list[dict[str, np.ndarray]]()
    for one in examples:
        ends = np.cumsum(one[WINDOWS])
        for first, last in zip(ends - one[WINDOWS], ends):
            rows.append({name: value[first:last] for name, value in one.items() if name not in MARKS})
        rows += [{"input_ids": np.array([pad], dtype=np.int32)}] * (most - len(ends))
    return rows


def places(examples: Sequence[dict[str, np.ndarray]]) -> dict[str, Tensor]:
    """`WORD_STARTS` within the windows, `SIGNS`, and `WINDOWS` if an example has several."""
    shape = (len(examples), max(len(one[WORD_STARTS]) for one in examples))
    starts, windows = np.full(shape, -1, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    signs = np.full((*shape, 2), -1, dtype=np.int64)
    for row, one in enumerate(examples):
        count, ends = len(one[WORD_STARTS]), np.cumsum(one[WINDOWS])
        windows[row, :count] = window = np.searchsorted(ends, one[WORD_STARTS], side="right")
        starts[row, :count] = one[WORD_STARTS] - (ends - one[WINDOWS])[window]
        signs[row, :count] = own(one[SIGNS])
    found = {WORD_STARTS: torch.from_numpy(starts), SIGNS: torch.from_numpy(signs)}
    several = max(len(one[WINDOWS]) for one in examples) > 1
    return found | ({WINDOWS: torch.from_numpy(windows)} if several else {})


def own(signs: np.ndarray) -> np.ndarray:
    """[P, 2] first and last signs, -1 where the place before begins, or the one behind ends, at the same."""
    found = signs.copy()
    found[1:, 0][signs[1:, 0] == signs[:-1, 0]] = -1
    found[:-1, 1][signs[:-1, 1] == signs[1:, 1]] = -1
    return found


def at_signs(scores: Tensor, signs: Tensor | None) -> Tensor:
    """Scores [B, P, 2] of places as scores [B, C, 2] of signs, to begin and to end an answer; -inf where no token does.

    Without `signs` the scores as they are.
    """
    if signs is None:
        return scores
    count = int(signs.max()) + 1
    blank = scores.new_full((len(scores), count + 1, scores.shape[-1]), -torch.inf)
    return blank.scatter(1, torch.where(signs < 0, count, signs), scores)[:, :count]
