"""Words: a sentence that comes in words, each of which gets a tag."""

from __future__ import annotations

import re
from collections.abc import Iterable

WORD = re.compile(r"(?:[^\W\d_]\.){2,}|\w+(?:[.'’@-]\w+)*|[^\w\s]")
"how running text is cut, as most tagged corpora are: U.S. is one word, other signs stand for themselves"


class Words(str):
    """A sentence as one text, whose words are parted by single blanks; the type tells it from running text.

    Blanks within a word are no-break spaces, so that `each` gives as many words as there were.
    """

    __slots__ = ()

    @classmethod
    def of(cls, words: Iterable[str]) -> Words:
        return cls(" ".join("\u00a0".join(word.split()) for word in words))

    @classmethod
    def cut(cls, text: str) -> Words:
        """The words of a running text."""
        return cls(" ".join(WORD.findall(text)))

    @property
    def each(self) -> list[str]:
        return self.split(" ")
