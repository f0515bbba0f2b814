"""The token ids of a whole feed, ragged and tight: 4 bytes a token, one more where types tell two texts apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from headstart.backbones.inputs.answer_marks import ANSWERS
from headstart.backbones.inputs.preparation import Encoded
from headstart.backbones.inputs.word_marks import WORD_STARTS


class Tokens:
    """lengths: [n] int64. `tokens[i]` is example i as `TextPreparation.encode` gave it.

    words: [n] int64 words of each text, None where texts are not in words. supervised: [n] int64 tokens of answers
    that are trained, None where texts are no conversations.
    """

    def __init__(self, parts: Iterable[Sequence[Encoded]]) -> None:
        """parts: the examples in order, some at a time; each part can be dropped once the next is asked for."""
        ids, types, lengths, typed, starts = [], [], [], [], list[np.ndarray]()
        answers = list[np.ndarray]()
        for part in parts:
            lengths += [len(example["input_ids"]) for example in part]
            typed += ["token_type_ids" in example for example in part]
            starts += [example[WORD_STARTS] for example in part if WORD_STARTS in example]
            answers += [example[ANSWERS] for example in part if ANSWERS in example]
            ids.append(np.concatenate([np.empty(0, np.int32), *(example["input_ids"] for example in part)]))
            kinds = [example["token_type_ids"] for example in part if "token_type_ids" in example]
            types.append(np.concatenate([np.empty(0, np.int8), *kinds]))
        self.lengths = np.array(lengths, dtype=np.int64)
        self._ids = np.concatenate(ids) if ids else np.empty(0, np.int32)
        self._types = np.concatenate(types) if types else np.empty(0, np.int8)
        self._typed = np.array(typed, dtype=bool)
        self.words = np.array(list(map(len, starts)), dtype=np.int64) if starts else None
        self.starts = np.concatenate(starts) if starts else np.empty(0, np.int32)
        self.supervised = np.array([one.sum() for one in answers], dtype=np.int64) if answers else None
        self._answers = np.concatenate(answers) if answers else np.empty(0, bool)
        self._word_start = np.concatenate([[0], np.cumsum([] if self.words is None else self.words)]).astype(np.int64)
        self._start = np.concatenate([[0], np.cumsum(self.lengths)])
        self._type_start = np.concatenate([[0], np.cumsum(self.lengths * self._typed)])

    def __getitem__(self, position: int) -> Encoded:
        span = slice(self._start[position], self._start[position + 1])
        example: Encoded = {"input_ids": self._ids[span]}
        if self.supervised is not None:
            example[ANSWERS] = self._answers[span]
        if self._typed[position]:
            example["token_type_ids"] = self._types[self._type_start[position] : self._type_start[position + 1]]
        if self.words is not None:
            example[WORD_STARTS] = self.starts[self._word_start[position] : self._word_start[position + 1]]
        return example
