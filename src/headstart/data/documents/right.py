"""The right passage: which pieces of the documents hold a text that the data name, word for word or nearly so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from headstart.data.documents.passages import Passage
from headstart.data.documents.search import terms

SHARE = 0.9
"of a text's words that a passage has, from which it counts as holding it although signs differ"
FEW = 6
"words up to which a text has to stand word for word, because so few stand anywhere"


class Right:
    """Finds the passages that hold a text."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages = passages

    def __call__(self, text: str) -> set[int]:
        """Numbers of the passages with this text, after squeezing blanks; if none has it, of those with its words."""
        if not (wanted := _squeezed(text)):
            return set()
        whole = re.compile(rf"(?<!\w){re.escape(wanted)}(?!\w)")
        found = {at for at, one in enumerate(self._texts) if wanted in one and whole.search(one)}
        words = set(terms(text))
        if found or len(words) <= FEW:
            return found
        return {at for at, held in enumerate(self._words) if len(words & held) >= SHARE * len(words)}

    @cached_property
    def _texts(self) -> list[str]:
        return [_squeezed(one.shown) for one in self.passages]

    @cached_property
    def _words(self) -> list[set[str]]:
        return [set(terms(one.shown)) for one in self.passages]


def _squeezed(text: str) -> str:
    return " ".join(text.split()).lower()
