"""Conversations inside a `ChatView`: each question with its demonstrations and passages, rendered by one template.

Everything that reads conversations works on it unchanged: feeds, losses of answers, the decoder, predictors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.backbones.inputs.chat import Rendered, Rendering
from headstart.backbones.inputs.chat_lengths import fitted
from headstart.backbones.inputs.chat_template import Refused
from headstart.backbones.inputs.preparation import TextPreparation
from headstart.core.chat import ASSISTANT, Chat
from headstart.core.seeds import derive
from headstart.data.documents.passages import Passage
from headstart.data.documents.right import Right
from headstart.data.documents.search import BM25, Search
from headstart.methods.chat_view import ChatView, question_of

Around = Callable[[Sequence[Chat]], list[Chat]]


@dataclass(frozen=True)
class Made:
    """A conversation inside its view. numbers: of its passages. lost: passages and demonstrations without room."""

    chat: Chat
    numbers: list[int]
    lost: int


class InContext(TextPreparation):
    """Conversations as a complete view shows them.

    A prompt that leaves less than `view.room` of `readable` tokens for an answer loses its last passages, then its
    first demonstrations, and never a part of its question. An answer decides nothing of its prompt.

    search: finds passages; None for a view that looks for none. learning: True for training examples, whose right
    passage is put among those that were found, or left out for a share of them.
    """

    def __init__(
        self, plain: TextPreparation, view: ChatView, search: Search | None, readable: int | None, learning: bool
    ) -> None:
        super().__init__(plain.tokenizer, readable or plain.max_length, plain.trained, plain.too_long)
        self.view, self.plain, self.learning = view, plain, learning
        self.search, self._right = search, Right(() if search is None else search.passages)
        self.demonstrations = [Chat(one) for one in view.demonstrations]
        pool = [Passage("", (), question_of(one)) for one in self.demonstrations]
        self._similar = BM25(pool) if view.choice == "nearest" else None
        self.chat = Surrounded(plain.chat, self.around)

    @property
    def passages(self) -> Sequence[Passage]:
        """All passages that are searched."""
        return () if self.search is None else self.search.passages

    def fit(self, rendered: Sequence[Rendered | Refused]) -> list[Rendered | Refused]:
        """An answer that is longer than the room kept for it cuts the start of its prompt: its loss alone sees that."""
        begin = self.tokenizer.bos_token_id
        return [fitted(one, self.max_length, "cut", begin) for one in rendered]

    def around(self, chats: Sequence[Chat]) -> list[Chat]:
        return [one.chat for one in self._surrounded(chats)]

    def used(self, chats: Sequence[Chat]) -> list[list[dict[str, Any]]]:
        """The passages before each question: their document, headings, and number in the file of all passages."""
        return [[_named(self.passages[number], number) for number in one.numbers] for one in self._surrounded(chats)]

    def notes(self, chats: Sequence[Chat]) -> tuple[str, ...]:
        """For the user, of validation questions: the recall, and passages or demonstrations that are missing."""
        told, made = [], self._surrounded(chats)
        rights = [self._right(one.passage or "") for one in chats]
        hits = [bool(right & set(found)) for right, found in zip(rights, self._found(chats)) if right]
        if hits:
            told.append(
                f"recall: the right passage is among the {self.view.k} found for {sum(hits):,} of {len(hits):,} "
                f"validation questions ({np.mean(hits):.0%})"
            )
        if short := sum(one.lost > 0 for one in made):
            told.append(
                f"{short:,} of {len(chats):,} validation questions lost {sum(one.lost for one in made):,} passages or "
                f"demonstrations, for which the {self.max_length:,} tokens that the model reads have no room"
            )
        if self.view.given and (without := sum(one.passage is None for one in chats)):
            told.append(
                f"{without:,} of {len(chats):,} validation questions name no passage, and have none before them"
            )
        return tuple(told)

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "view": self.view.to_json(), "learning": self.learning}

    def _surrounded(self, chats: Sequence[Chat]) -> list[Made]:
        return list(map(self._fitted, chats, self._demonstrations(chats), self._found(chats)))

    def _demonstrations(self, chats: Sequence[Chat]) -> list[Sequence[Chat]]:
        """All, or those nearest to each question, the most similar one last."""
        if self._similar is None:
            return [self.demonstrations] * len(chats)
        nearest = self._similar.nearest([question_of(one) for one in chats], self.view.shown)
        return [[self.demonstrations[i] for i in row[::-1]] for row in nearest]

    def _found(self, chats: Sequence[Chat]) -> list[list[int]]:
        """Numbers of the passages for each question, the best first."""
        if self.search is None or not len(chats):
            return [[] for _ in chats]
        # of a training example the answer may be read
        rights = [self._right(one.passage or one.answer or "") if self.learning else set() for one in chats]
        count = self.view.k + max(map(len, rights))
        nearest = self.search.nearest([question_of(one) for one in chats], count).tolist()
        return [self._learned(one, row, right) for one, row, right in zip(chats, nearest, rights)]

    def _learned(self, chat: Chat, found: list[int], right: set[int]) -> list[int]:
        """As RAFT trains: with the right passage, or for a share of the examples with wrong ones alone."""
        k = self.view.k
        if not right:
            return found[:k]
        draw = np.random.default_rng(derive(self.view.seed, "absent", chat)).random()
        if draw < self.view.absent:
            return [number for number in found if number not in right][:k]
        return found[:k] if right & set(found[:k]) else [*found[: k - 1], min(right)]

    def _fitted(self, chat: Chat, shown: Sequence[Chat], numbers: list[int]) -> Made:
        """With as many of these passages and demonstrations as fit."""
        texts = [self.passages[number].shown for number in numbers]
        if self.view.given and (given := chat.passage) is not None:
            texts = [given]
        lost = 0
        while not self._fits(made := self.view.around(chat, shown, texts)) and (texts or shown):
            texts, shown, lost = texts[:-1], shown if texts else shown[1:], lost + 1
        return Made(made, numbers[: len(texts)], lost)

    def _fits(self, chat: Chat) -> bool:
        if chat.text is not None:
            return True
        (prompt,) = self.plain.chat.prompt_ids([chat])
        return len(prompt) + self.view.room <= self.max_length


class Surrounded(Rendering):
    """The plain rendering of conversations that are put into their view first; demonstrations are not trained."""

    def __init__(self, plain: Rendering, around: Around) -> None:
        super().__init__(plain.tokenizer, plain.template.source, plain.trained)
        self._plain, self._around = plain, around
        self.stop_ids = plain.stop_ids

    def prompt_ids(self, chats: Sequence[Chat]) -> list[list[int]]:
        return self._plain.prompt_ids(self._around(chats))

    def rendered(self, chats: Sequence[Chat]) -> list[Rendered | Refused]:
        whole = self._around(chats)
        found = self._plain.rendered(whole)
        return [
            one if isinstance(one, Refused) else _unmarked(one, _answers(seen) - _answers(chat))
            for one, seen, chat in zip(found, whole, chats)
        ]


def _answers(chat: Chat) -> int:
    return sum(message["role"] == ASSISTANT for message in chat.messages)


def _unmarked(found: Rendered, demonstrations: int) -> Rendered:
    """Without the marks of the first answers."""
    begins = np.flatnonzero(np.diff(found.answers.astype(np.int8), prepend=0) == 1)
    if not demonstrations or len(begins) <= demonstrations:
        return found
    answers = found.answers.copy()
    answers[: begins[demonstrations]] = False
    return Rendered(found.ids, answers, found.swallowed)


def _named(passage: Passage, number: int) -> dict[str, Any]:
    return {"document": passage.document, "headings": list(passage.headings), "number": number + 1}
