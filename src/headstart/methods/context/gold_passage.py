"""Gold passage: the passage that the data name for each question is put before it; the ceiling of retrieval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.methods.chat_view import ChatView
from headstart.methods.method import METHODS, Axis, Method
from headstart.methods.plan import Plan
from headstart.methods.prompting import FROM_PASSAGES, answering


@METHODS.register("gold_passage")
@dataclass(frozen=True)
class GoldPassage(Method):
    """`p(answer | instruction, right passage, question)`: what a search that always finds the passage would give.

    It needs a column `passage`, which questions of a later day don't have: it tells how much of an error is the
    search's, and how much the model's.
    """

    summary: ClassVar[str] = "the right passage (column passage) before each question: the ceiling of retrieval"
    asks: ClassVar[bool] = True
    views: ClassVar[bool] = True

    instruction: str = FROM_PASSAGES[0]
    "what begins the prompt; default: chosen on validation from a short list"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        return answering("gold_passage", backbone, head, ChatView(self.instruction, given=True))

    def axes(self, backbone: Backbone) -> tuple[Axis, ...]:
        return (Axis("instruction", values=FROM_PASSAGES),)
