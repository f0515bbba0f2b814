"""Requests to a decoder, and its answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from headstart.core.errors import ConfigurationError


@dataclass(frozen=True)
class Request:
    """A prompt and how its answer is chosen and ended.

    prompt: token ids, with the template's tokens around them.
    max_tokens: tokens of an answer, a stop token included.
    stop_ids: tokens that end an answer; they are no part of its text.
    stops: texts that end an answer; it is cut before the one that is complete first.
    temperature: 0 for the likeliest token each time (greedy); else scores are divided by it and a token is drawn.
    top_p: share of the probability within which tokens are drawn (nucleus sampling).
    seed: of the generator of this request's draws.
    """

    prompt: Sequence[int]
    max_tokens: int = 256
    stop_ids: Collection[int] = ()
    stops: Sequence[str] = ()
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ConfigurationError(f"max_tokens is {self.max_tokens}, but an answer has at least 1 token.")
        if not 0 <= self.temperature < float("inf"):
            raise ConfigurationError(f"temperature is {self.temperature:g}; give 0 for the likeliest tokens, or more.")
        if not 0 < self.top_p <= 1:
            raise ConfigurationError(f"top_p is {self.top_p:g}, but has to be above 0 and at most 1.")
        if isinstance(self.stops, str) or not all(self.stops):
            raise ConfigurationError(f"stops are texts of at least one character, in a list; they are {self.stops!r}.")


@dataclass(frozen=True)
class Answer:
    """ids: all tokens that were chosen, a stop token and what follows a stop's beginning included.

    ended: `stop` by a stop token or text, `length` by max_tokens, `cancelled` by the caller.
    """

    ids: tuple[int, ...]
    text: str
    ended: Literal["stop", "length", "cancelled"]
    tokens_in: int

    @property
    def tokens_out(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Piece:
    """New text of the answer to a request; `answer` is set in its last piece."""

    number: int
    text: str
    answer: Answer | None = None
