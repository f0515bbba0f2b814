"""Words in a batch: at which token each word begins, so that its state is that of its first sub-word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.core.words import Words

WORD_STARTS = "word_starts"
"key of a batch: [B, W] the token at which each word begins; -1 for words that were cut off, and behind the last"
UNSEEN = -1
SIGNS = "signs"
"""key of a batch: [B, P, 2] first and last sign of the passage, from 1, that each place covers; 0, 0 for no answer.
-1 where another place begins, or ends, at the same sign: of several tokens in one sign the first begins, the last ends
an answer; and behind the last place"""


def marked(
    tokenizer: Any, texts: Sequence[Words], lone: int, **cutting: Any
) -> tuple[list[list[int]], list[Any], list[np.ndarray]]:
    """Token ids, token types (or None) and word starts of each text."""
    if getattr(tokenizer, "is_fast", False):
        tokens = tokenizer(list(map(str, texts)), padding=False, return_offsets_mapping=True, **cutting)
        starts = [_starts(text, spans) for text, spans in zip(texts, tokens["offset_mapping"])]
        return tokens["input_ids"], tokens.get("token_type_ids") or [None] * len(texts), starts
    found = list(_word_by_word(tokenizer, texts, lone, cutting["max_length"]))
    return [ids for ids, _ in found], [None] * len(texts), [starts for _, starts in found]


def _starts(text: Words, spans: Sequence[tuple[int, int]]) -> np.ndarray:
    """The first token that covers a sign of each word. spans: of the tokens' characters, empty for special tokens."""
    starts, token, begin = [], 0, 0
    for word in text.each:
        end = begin + len(word)
        while token < len(spans) and (spans[token][1] <= begin or spans[token][0] == spans[token][1]):
            token += 1
        starts.append(token if token < len(spans) and spans[token][0] < end else UNSEEN)
        begin = end + 1
    return np.array(starts, dtype=np.int32)


def _word_by_word(
    tokenizer: Any, texts: Sequence[Words], lone: int, most: int
) -> Iterator[tuple[list[int], np.ndarray]]:
    """For tokenizers that do not say which characters a token covers; special tokens stand around all words.

    Tokenizers of whole words drop signs: what they have no token for is unknown to them.
    """
    unknown = getattr(tokenizer, "unk_token_id", None)
    build = getattr(tokenizer, "build_inputs_with_special_tokens", list)
    alone = {} if build is list else {"add_special_tokens": False}

    def pieces(word: str) -> list[int]:
        return list(tokenizer(word, **alone)["input_ids"])

    room, blank = max(0, most - len(build([]))), pieces(" ")
    if pieces("a b") != [*pieces("a"), *blank, *pieces("b")]:  # in most tokenizers a blank is no token
        blank = []
    for text in texts:
        ids, starts = list[int](), list[int]()
        for word in text.each:
            ids += blank if starts else []
            starts.append(len(ids))
            ids += pieces(word) or [lone if unknown is None else unknown]
        ids = ids[:room]
        whole = list(build(ids))
        before = next(at for at in range(len(whole) + 1) if whole[at : at + len(ids)] == ids)
        yield whole, np.array([before + at if at < len(ids) else UNSEEN for at in starts], dtype=np.int32)


def padded(starts: Sequence[np.ndarray]) -> Tensor:
    """[B, W] int64 of ragged starts."""
    table = np.full((len(starts), max(map(len, starts))), UNSEEN, dtype=np.int64)
    for row, each in enumerate(starts):
        table[row, : len(each)] = each
    return torch.from_numpy(table)


def unseen(examples: Sequence[dict[str, np.ndarray]]) -> int:
    """Words of encoded texts that no token stands for."""
    return sum(int((one[WORD_STARTS] == UNSEEN).sum()) for one in examples if WORD_STARTS in one)


def states_at(hidden: Tensor, starts: Tensor) -> Tensor:
    """[B, W, D] the states [B, T, D] at these tokens; zeros for words that are not there."""
    places = starts.clamp(min=0)[..., None].expand(-1, -1, hidden.shape[-1])
    return hidden.gather(1, places).masked_fill((starts < 0)[..., None], 0.0)


def hidden_where_unseen(scores: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """A head's scores, -inf for words that the model did not see: they have no tag."""
    starts = batch.get(WORD_STARTS)
    return (
        scores
        if starts is None or SIGNS in batch
        else scores.masked_fill((starts < 0)[..., None].to(scores.device), -torch.inf)
    )
