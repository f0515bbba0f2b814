"""ChatView: demonstrations and passages around a question that a language model answers, as data.

It begins open, as a method's settings, and is `completed` by training examples drawn under a seed. Passages are found
for each question by the engine; their number, size and search stand here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from headstart.core.chat import SYSTEM, USER, Chat
from headstart.core.errors import MethodError
from headstart.core.records.record import Record
from headstart.core.seeds import derive
from headstart.methods.view import BETWEEN, POOL, Texts

CHOICES, SEARCHES = ("random", "nearest"), ("bm25", "dense")


@dataclass(frozen=True)
class ChatView(Record):
    instruction: str = ""
    "begins the first question that the model sees"
    shown: int = 0
    "demonstrations, as earlier turns of the conversation"
    choice: str = "random"
    "how they are chosen: random, or nearest to each question by their words"
    k: int = 0
    "passages that are looked for in the documents"
    given: bool = False
    "True for the passage that the data name for each question"
    passage_words: int = 0
    "maximum length of a passage"
    search: str = "bm25"
    "by words (bm25) or vectors (dense)"
    encoder: str = ""
    "sentence encoder of a dense search; empty for the mean states of the model itself"
    absent: float = 0.0
    "share of the training examples whose right passage is left out"
    demonstrations: tuple[str, ...] = ()
    "drawn training examples as conversations; for nearest, all among which a question finds its own"
    documents: str = ""
    "fingerprint of the documents"
    room: int = 0
    "tokens that stay free for an answer"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, allowed in (("choice", CHOICES), ("search", SEARCHES)):
            if (value := getattr(self, name)) not in allowed:
                raise MethodError(f"{name} is {value!r}, but has to be one of {', '.join(allowed)}.")
        if self.shown < 0:
            raise MethodError(f"demonstrations is {self.shown}, but has to be 0 or more.")
        if not 0 <= self.absent <= 1:
            raise MethodError(f"absent is {self.absent}, but is a share from 0 to 1.")

    def completed(self, labels: Sequence[str], texts: Callable[[], Texts], targets: np.ndarray, seed: int) -> ChatView:
        """With demonstrations of training examples drawn under this seed, whose inputs `texts` reads."""
        if not self.shown:
            return replace(self, seed=seed)
        rng = np.random.default_rng(derive(seed, "demonstrations"))
        places = rng.permutation(len(targets))[: POOL if self.choice == "nearest" else self.shown]
        inputs = texts()
        drawn = (Chat(inputs[i]) for i in places)
        return replace(self, seed=seed, demonstrations=tuple(str(Chat.of(one.messages)) for one in drawn))

    def around(self, chat: Chat, demonstrations: Sequence[Chat], passages: Sequence[str]) -> Chat:
        """The conversation with these demonstrations and passages before its last question."""
        if chat.text is not None:
            return chat
        messages = chat.messages
        asked = [at for at, message in enumerate(chat.prompt) if message["role"] == USER]
        if passages and asked:
            question = messages[asked[-1]]
            messages[asked[-1]] = {**question, "content": with_passages(str(question["content"]), passages)}
        head = 1 if messages[0]["role"] == SYSTEM else 0
        earlier = [one for demo in demonstrations for one in demo.messages if one["role"] != SYSTEM]
        messages = [*messages[:head], *earlier, *messages[head:]]
        first = next((at for at, message in enumerate(messages) if message["role"] == USER), None)
        if self.instruction and first is not None:  # not as a system turn, which some templates refuse
            begun = {**messages[first], "content": self.instruction + BETWEEN + str(messages[first]["content"])}
            messages = [*messages[:first], begun, *messages[first + 1 :]]
        return Chat.of(messages, chat.accept, chat.tools, chat.passage)


def with_passages(question: str, passages: Sequence[str]) -> str:
    """`Passages:`, each with its number, and `Question: …`, with empty lines between."""
    numbered = [f"[{number}] {text}" for number, text in enumerate(passages, start=1)]
    return BETWEEN.join(["Passages:", *numbered, f"Question: {question}"])


def question_of(chat: Chat) -> str:
    """The last question, for which passages and demonstrations are looked for."""
    return next((str(one["content"]) for one in reversed(chat.prompt) if one["role"] == USER), "")
