"""Passage: a question with the text in which its answer stands (extractive question answering)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Passage(NamedTuple):
    """The type tells it from a pair of texts: models read it in windows, and answers are pieces of `text`.

    Places in `text` are counted from 1, so that 0 stands for no answer: an answer covers the signs `first` to `last`,
    both included, and is `text[first - 1 : last]`.
    """

    question: str
    text: str

    def piece(self, first: int, last: int) -> str:
        """The answer from sign `first` to sign `last`; empty for no answer."""
        return self.text[first - 1 : last] if first > 0 else ""


@dataclass(frozen=True)
class Places:
    """Where the accepted answers of a question stand in its passage.

    found: first and last sign of each, in order. moved: one does not stand at its start; several: one has no start and
    stands at several places; lost: one stands nowhere.
    """

    found: tuple[tuple[int, int], ...]
    unanswerable: bool = False
    moved: bool = False
    several: bool = False
    lost: bool = False

    @classmethod
    def of(cls, answers: Sequence[str], text: str) -> Places:
        """answers: `START:TEXT` each, START from 0 or -1 if unknown; blanks around a text do not count.

        An answer that does not stand at its start is taken at the nearest place with the same text; without a start, at
        the first.
        """
        found, moved, several, lost = dict[tuple[int, int], None](), False, False, False
        for one in answers:
            start, _, given = one.partition(":")
            at, answer = int(start) + len(given) - len(given.lstrip()), given.strip()
            if int(start) < 0:
                several |= text.count(answer) > 1
                at = text.find(answer)
            elif text[at : at + len(answer)] != answer:
                every = [k for k in range(len(text)) if text.startswith(answer, k)]
                at, moved = min(every, key=lambda k: abs(k - int(start)), default=-1), moved or bool(every)
            if at < 0 or not answer:
                lost = True
            else:
                found[at + 1, at + len(answer)] = None
        return cls(tuple(found), not answers, moved, several, lost)
