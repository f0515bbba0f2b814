"""Dialogue: a conversation of several turns with the model of a run, or with its base."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from headstart.artifacts.artifact import Artifact
from headstart.artifacts.predictor import Predictor, base_of
from headstart.backbones.vocabulary import VocabularyHead
from headstart.core.chat import ASSISTANT, SYSTEM, USER, Chat, Message
from headstart.core.errors import ConfigurationError
from headstart.engine.answering import network_of, streamed
from headstart.engine.cache.frozen import forward_alone
from headstart.engine.decoding.network import Network
from headstart.engine.machine.precision import Compute, compute


@dataclass(frozen=True)
class Manner:
    """How answers are written; `Request` says more.

    system: system turn before the first question. most: maximum tokens of an answer; None for those of the training.
    """

    system: str | None = None
    most: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


@dataclass
class Dialogue:
    """A conversation; the answers that were given so far are part of the next question's prompt."""

    network: Network
    preparation: Any
    most: int
    manner: Manner
    messages: list[Message] = field(init=False)

    def __post_init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begins a new conversation."""
        self.messages = [] if self.manner.system is None else [{"role": SYSTEM, "content": self.manner.system}]

    def answer(self, question: str) -> Iterator[str]:
        """The answer in pieces. One that is closed early stays in the conversation as far as it was written.

        Raises `DataError` for a conversation that leaves no room for an answer; the question is then taken back.
        """
        manner, before = self.manner, list(self.messages)
        self.messages.append({"role": USER, "content": question})
        said: list[str] = []
        try:
            for piece in streamed(
                self.network, self.preparation, Chat.of(self.messages), manner.most or self.most, manner.temperature,
                manner.top_p, manner.seed,
            ):  # fmt: skip
                said.append(piece)
                yield piece
        except Exception:
            self.messages = before
            raise
        finally:
            if len(self.messages) > len(before):
                self.messages.append({"role": ASSISTANT, "content": "".join(said)})


def check_talks(artifact: Artifact, run: str) -> None:
    """Raises `ConfigurationError` for a run whose model gives no answers in words."""
    if not artifact.task.own_head:
        raise ConfigurationError(
            f"the model of {run} gives {artifact.task.noun} to each input, and does not talk; "
            f"`headstart predict {run} INPUT …` asks it. Models that were tuned on answers in words talk."
        )


def with_tuned(predictor: Predictor, manner: Manner) -> Dialogue:
    """A conversation with the predictor's model, until that is closed."""
    return Dialogue(predictor.network, predictor.backbone.preparation, predictor.artifact.answer_tokens, manner)


@contextlib.contextmanager
def with_base(
    artifact: Artifact, manner: Manner, source: str | None = None, device: str | None = None,
    precision: str | None = None, trust_remote_code: bool = False,
) -> Iterator[Dialogue]:  # fmt: skip
    """A conversation with the base, loaded a second time because the first has the tuned model's changes."""
    backbone = base_of(artifact, source, trust_remote_code)
    artifact.check_base(backbone)
    how: Compute = compute(device, precision or artifact.precision)
    backbone.module.to(how.device)
    head = VocabularyHead(backbone)
    head.dtype = how.dtype
    with forward_alone(backbone.module, how):
        network = network_of(backbone, head, how)
        yield Dialogue(network, backbone.preparation, artifact.answer_tokens, manner)
