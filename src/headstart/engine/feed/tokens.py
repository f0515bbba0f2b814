"""The token ids of a whole feed, ragged and tight: 4 bytes a token, one more where types tell two texts apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from headstart.backbones.inputs.answer_marks import ANSWERS
from headstart.backbones.inputs.preparation import Encoded
from headstart.backbones.inputs.windows import WINDOWS
from headstart.backbones.inputs.word_marks import SIGNS, WORD_STARTS


class Ragged:
    """Arrays of different lengths, one after the other; an example without one has none of its rows."""

    def __init__(self, values: np.ndarray, counts: np.ndarray) -> None:
        self.values, self.counts = values, counts
        self.start = np.concatenate([[0], np.cumsum(counts)])

    def __getitem__(self, position: int) -> np.ndarray:
        found: np.ndarray = self.values[self.start[position] : self.start[position + 1]]
        return found

    @property
    def owner(self) -> np.ndarray:
        """[R] the example of each row."""
        return np.repeat(np.arange(len(self.counts)), self.counts)


class Tokens:
    """lengths: [n] int64 tokens, of a passage those of all its windows. `tokens[i]` is example i as
    `TextPreparation.encode` gave it.

    words: [n] int64 words of each text, or places of each passage; None where an example has one vector. supervised:
    [n] int64 tokens of answers that are trained, None where texts are no conversations.
    """

    def __init__(self, parts: Iterable[Sequence[Encoded]]) -> None:
        """parts: the examples in order, some at a time; each part can be dropped once the next is asked for."""
        pieces: dict[str, list[np.ndarray]] = {"input_ids": [np.empty(0, np.int32)]}
        counts: dict[str, list[tuple[int, int]]] = {"input_ids": []}
        count = 0
        for part in parts:
            for name in dict.fromkeys(name for example in part for name in example):
                held = [(at, example[name]) for at, example in enumerate(part, start=count) if name in example]
                pieces.setdefault(name, []).append(np.concatenate([value for _, value in held]))
                counts.setdefault(name, []).extend((at, len(value)) for at, value in held)
            count += len(part)
        self._ragged: dict[str, Ragged] = {}
        for name, found in pieces.items():
            each = np.zeros(count, dtype=np.int64)
            for at, size in counts[name]:
                each[at] = size
            self._ragged[name] = Ragged(np.concatenate(found), each)
        self.lengths = self._ragged["input_ids"].counts
        self.starts, self.signs = self._ragged.get(WORD_STARTS), self._ragged.get(SIGNS)
        self.words = None if self.starts is None else self.starts.counts
        answers = self._ragged.get(ANSWERS)
        counted = None if answers is None else [int(answers[at].sum()) for at in range(count)]
        self.supervised = None if counted is None else np.array(counted, dtype=np.int64)

    @property
    def windowed(self) -> bool:
        """True if a passage has several windows."""
        return WINDOWS in self._ragged and int(self._ragged[WINDOWS].counts.max(initial=0)) > 1

    def last_answers(self) -> np.ndarray:
        """[n] tokens of each conversation's last answer; 0 for running text, which answers nothing."""
        found = np.zeros(len(self.lengths), dtype=np.int64)
        for row in range(len(found)):
            marks = self[row][ANSWERS]
            end = int(np.flatnonzero(marks)[-1]) + 1 if marks.any() else 0
            before = np.flatnonzero(~marks[:end])
            start = int(before[-1]) + 1 if len(before) else 0
            found[row] = end - start if start > 1 else 0  # at most a begin token stands before running text
        return found

    def __getitem__(self, position: int) -> Encoded:
        return {name: one[position] for name, one in self._ragged.items() if one.counts[position]}
