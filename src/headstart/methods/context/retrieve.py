"""Retrieval (retrieval-augmented generation): passages of the user's documents are put before each question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.methods.chat_view import ChatView
from headstart.methods.method import METHODS, Axis, Method
from headstart.methods.plan import Plan
from headstart.methods.prompting import FROM_PASSAGES, answering


@METHODS.register("retrieve")
@dataclass(frozen=True)
class Retrieve(Method):
    """`p(answer | instruction, k passages, question)`; the passages are found by BM25 or by vectors.

    Joined as `lora+retrieve`, the method trains with passages too, as RAFT does: the right one, where it is known, is
    put among those that were found, or left out for a share of the examples, so that the model learns to read passages
    and not to trust them. Source: Lewis et al. 2020, "Retrieval-Augmented Generation for Knowledge-Intensive NLP
    Tasks"; Zhang et al. 2024, "RAFT: Adapting Language Model to Domain Specific RAG".
    """

    summary: ClassVar[str] = "passages of your documents (--documents) before each question to a language model"
    asks: ClassVar[bool] = True
    views: ClassVar[bool] = True
    finds: ClassVar[bool] = True

    k: int = 3
    "passages before each question; default: chosen on validation among 1, 3 and 5"
    search: Literal["bm25", "dense"] = "bm25"
    """by words (bm25) or by the cosine of vectors (dense): the mean states of the model itself, or `encoder`; default:
    chosen on validation"""
    encoder: str = ""
    "sentence encoder of the dense search, a folder or hub name; default: the model itself"
    passage_words: int = 150
    "maximum words of a passage; default: chosen on validation among 75, 150 and 300"
    instruction: str = FROM_PASSAGES[0]
    "what begins the prompt; default: chosen on validation from a short list"
    absent: float = 0.2
    "share of the training examples whose right passage is left out, if joined with a method that trains"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        if self.k < 1 or self.passage_words < 10:
            raise MethodError("retrieve: k has to be 1 or more, and passage_words 10 or more.")
        if self.search == "dense" and not self.encoder and not self.solved:
            raise MethodError(
                "retrieve: a model in training can't search by its own states, which change; name a sentence encoder "
                "(encoder=…), or search by bm25."
            )
        view = ChatView(
            self.instruction, k=self.k, passage_words=self.passage_words, search=self.search, encoder=self.encoder,
            absent=0.0 if self.solved else self.absent,
        )  # fmt: skip
        return answering("retrieve", backbone, head, view)

    def axes(self, backbone: Backbone) -> tuple[Axis, ...]:
        free = self.solved or bool(self.encoder)
        searches = (Axis("search", values=("bm25", "dense")),) if free else ()
        k, words = Axis("k", values=(1, 3, 5)), Axis("passage_words", values=(75, 150, 300))
        return (k, *searches, words, Axis("instruction", values=FROM_PASSAGES))
