"""Streaming of text: tokens become text that never changes again, up to a stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

BROKEN = "\N{REPLACEMENT CHARACTER}"
"a tokenizer writes it for bytes that are no whole character (yet)"


class Text:
    """The text of an answer while its tokens arrive.

    Text that was given out is never taken back: a character whose bytes are incomplete, and text that a stop may begin
    with, wait for the tokens that decide.
    """

    def __init__(self, tokenizer: Any, stops: Sequence[str]) -> None:
        self.tokenizer, self.stops = tokenizer, tuple(stops)
        self.text, self.given, self.stopped = "", 0, False

    def read(self, ids: Sequence[int], last: bool = False) -> None:
        """Takes in all tokens so far; `last` if no more will come."""
        whole: str = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        self.text = whole if last else whole.rstrip(BROKEN)
        found = [(at + len(stop), at) for stop in self.stops if (at := self.text.find(stop)) >= 0]
        if found:
            self.text, self.stopped = self.text[: min(found)[1]], True

    def new(self, last: bool = False) -> str:
        """Text that has not been given out yet and that is certain."""
        until = len(self.text)
        if not (last or self.stopped):
            until -= self._undecided()
        piece = self.text[self.given : until]
        self.given = max(self.given, until)
        return piece

    def _undecided(self) -> int:
        """Length of the longest end of the text that a stop begins with."""
        most = min(len(self.text), max(map(len, self.stops), default=1) - 1)
        ends = (n for n in range(most, 0, -1) if any(stop.startswith(self.text[-n:]) for stop in self.stops))
        return next(ends, 0)
