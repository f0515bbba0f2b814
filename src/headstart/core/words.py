"""Words: a sentence that comes in words, each of which gets a tag."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_MARK = "\u0300"
_LETTER = rf"(?:\w{_MARK}*)"
WORD = re.compile(rf"(?:[^\W\d_]\.){{2,}}|{_LETTER}+(?:[.'’@-]{_LETTER}+)*|[^\w\s]{_MARK}*")
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
        found = WORD.finditer(text if text.isascii() else "".join(map(_shape, text)))
        return cls(" ".join(text[one.start() : one.end()] for one in found))

    @property
    def each(self) -> list[str]:
        return self.split(" ")


def _shape(sign: str) -> str:
    """Vowel signs, accents and joiners belong to the sign before them; other invisible signs separate words."""
    kind = unicodedata.category(sign)
    if kind.startswith("M") or (kind == "Cf" and sign != "\u200b"):
        return _MARK
    return " " if kind in ("Cc", "Cf") else sign
