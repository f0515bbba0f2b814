"""A request on its way to its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from headstart.engine.decoding.request import Answer, Piece, Request
from headstart.engine.decoding.sampling import Draws
from headstart.engine.decoding.text import Text

Ended = Literal["stop", "length", "cancelled"]


@dataclass(eq=False)
class Live:
    """streams: True to give out text as it arrives, False to give it with the answer alone."""

    number: int
    request: Request
    tokenizer: Any
    streams: bool
    ids: list[int] = field(default_factory=list)
    cancelled: bool = False

    def __post_init__(self) -> None:
        self.text = Text(self.tokenizer, self.request.stops)
        self.draws = Draws(self.request) if self.request.temperature else None

    def takes(self, token: int) -> Ended | None:
        """Takes in the next token; returns how the answer ends if it does."""
        self.ids.append(token)
        if token in self.request.stop_ids:
            return "stop"
        if self.streams or self.request.stops:
            self.text.read(self.ids)
            if self.text.stopped:
                return "stop"
        return "length" if len(self.ids) >= self.request.max_tokens else None

    def piece(self, ended: Ended | None = None) -> Piece:
        """The text that is new and certain; with the answer if it has ended."""
        answer = self._answer(ended) if ended else None
        return Piece(self.number, self.text.new(last=ended is not None) if self.streams else "", answer)

    def _answer(self, ended: Ended) -> Answer:
        by_token = bool(self.ids) and self.ids[-1] in self.request.stop_ids
        if not self.text.stopped:
            self.text.read(self.ids[:-1] if by_token else self.ids, last=True)
        ended = "stop" if self.text.stopped else ended
        return Answer(tuple(self.ids), self.text.text, ended, len(self.request.prompt))
