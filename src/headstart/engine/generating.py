"""Generation as a job: trains on the tokens of the answers, and is judged by the answers that the model generates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.backbones.inputs.answer_marks import ANSWER_IDS, ANSWER_PLACES
from headstart.backbones.vocabulary import VocabularyHead
from headstart.core.chat import ASSISTANT, Chat
from headstart.engine.adaptation import Adaptation, Judged
from headstart.engine.answering import answered, network_of
from headstart.engine.decoding.network import Network
from headstart.engine.feed.feed import Feed
from headstart.engine.job import Evaluation, Texts
from headstart.stats.answer_metrics import AT, COLUMNS
from headstart.stats.answer_scores import abstains, exact, token_f1, tolerant
from headstart.tasks.task import Task

USUAL_ANSWER_TOKENS = 40
"assumed length of the longest answer where the training examples are running text alone"


def job_of(task: Task) -> type[Adaptation]:
    """The class of job that trains a task."""
    return Generating if task.own_head else Adaptation


def room_of(train: Feed) -> int:
    """Tokens for an answer: half as many again as the longest of the training examples, and a few more, so that a model
    that has learned to stop is never cut off, and one that has not costs little."""
    longest = train.longest_answer or USUAL_ANSWER_TOKENS
    return longest + longest // 2 + 8


class Generating(Adaptation):
    """An adaptation whose outputs are not logits but a row of columns for each answer (`stats.answer_metrics`)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.head.dtype = self.compute.dtype

    @property
    def head(self) -> VocabularyHead:
        head: Any = self.module.head
        assert isinstance(head, VocabularyHead)
        return head

    @cached_property
    def network(self) -> Network:
        return network_of(self.backbone, self.head, self.compute)

    @cached_property
    def answer_tokens(self) -> int:  # type: ignore[override]
        return room_of(self.train)

    def judged(self, feed: Feed, fraction: float = 1.0) -> Judged:
        """[n, columns] of the answers to a feed's questions, and the answers."""
        chats: Any = feed.examples.inputs()
        with torch.no_grad():
            nats = self.surprise(feed, fraction)
        found = answered(self.network, self.backbone.preparation, chats, self.answer_tokens)
        table = np.zeros((len(chats), len(COLUMNS)), dtype=np.float32)
        trained = getattr(feed.preparation, "trained", "all")
        for row, chat, answer in zip(table, chats, found):
            right = () if chat.answer is None else (chat.answer, *chat.accept)
            columns = {
                "abstained": abstains(answer.text), "exact": exact(answer.text, right),
                "tolerant": tolerant(answer.text, right), "f1": token_f1(answer.text, right),
                "stopped": answer.stopped, "tokens_in": answer.tokens_in, "tokens_out": answer.tokens_out,
                "bytes": _bytes(chat, trained),
            }  # fmt: skip
            for name, value in columns.items():
                row[AT[name]] = value
        table[:, AT["nats"]], table[:, AT["tokens"]] = nats, feed.units
        return torch.from_numpy(table), tuple(answer.text for answer in found)

    def surprise(self, feed: Feed, fraction: float = 1.0) -> np.ndarray:
        """[n] -log p of the right answers, each with its stop token, in nats."""
        nats = np.zeros(len(feed), dtype=np.float64)
        for micro, outputs in self._passes(feed, fraction):
            ids = micro.batch[ANSWER_IDS].to(outputs.features.device)
            each = self.head.surprise(outputs.features, ids).double().cpu().numpy()
            rows = (micro.batch[ANSWER_PLACES] // micro.batch["input_ids"].shape[1]).cpu().numpy()
            np.add.at(nats, micro.positions[rows], each)
        return nats

    def evaluation(self, logits: Tensor, texts: Texts = None) -> Evaluation:
        """logits: the columns. The loss is that of the right answers, a token."""
        columns = logits.numpy()
        loss = float(columns[:, AT["nats"]].sum() / max(1.0, columns[:, AT["tokens"]].sum()))
        value, score = self.score(columns, self.validation.examples.targets)
        return Evaluation(value, loss, score, logits, texts)

    def respond(self, feed: Feed, position: int) -> None:
        chats: Any = feed.examples.inputs(np.array([position]))
        answered(self.network, self.backbone.preparation, chats, self.answer_tokens)


def _bytes(chat: Chat, trained: str) -> int:
    """UTF-8 bytes of the answers that are trained."""
    if (running := chat.text) is not None:
        return len(running.encode())
    texts: Sequence[str] = [str(m.get("content") or "") for m in chat.messages if m["role"] == ASSISTANT]
    return sum(len(text.encode()) for text in (texts if trained == "all" else texts[-1:]))
