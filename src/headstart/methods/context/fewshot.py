"""Few-shot prompting (in-context learning): a language model reads labelled training examples before each question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.vocabulary import VocabularyHead, has_vocabulary
from headstart.methods.chat_view import ChatView
from headstart.methods.method import METHODS, Axis, Method
from headstart.methods.plan import Plan
from headstart.methods.prompting import WORDINGS, ClassScores, Prompted, answering, axes_of
from headstart.methods.view import words_of


@METHODS.register("fewshot")
@dataclass(frozen=True)
class Fewshot(Prompted, Method):
    """`p(c) ~ p(words of c | instruction, demonstrations, text)`; the seed draws the demonstrations and their order.

    Where answers are to be generated, demonstrations are earlier turns of the conversation.

    Source: Brown et al. 2020, "Language Models are Few-Shot Learners"; calibration by Zhao et al. 2021; the nearest
    examples as demonstrations by Liu et al. 2022, "What Makes Good In-Context Examples for GPT-3?".
    """

    summary: ClassVar[str] = "training examples in the prompt of a language model; nothing is trained"
    draws: ClassVar[bool] = True
    usual: ClassVar[Mapping[str, Any]] = {"demonstrations": 12}

    demonstrations: int | None = None
    "training examples in the prompt; default: chosen on validation among 4, 12 and 24"
    choice: Literal["balanced", "random", "nearest"] = "balanced"
    """how they are chosen: balanced by class (random, where answers have no classes), random, or nearest to each
    question by their words; default: chosen on validation"""

    def for_classes(self, labels: Sequence[str]) -> Fewshot:
        if labels:
            words_of(labels, self.labels)
        return self

    def head(self, backbone: Backbone, outputs: int, bias: bool) -> nn.Module:
        return ClassScores(outputs)

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        shown = self.usual["demonstrations"] if self.demonstrations is None else self.demonstrations
        if isinstance(head, VocabularyHead):
            instruction = "" if self.instruction == WORDINGS[0] else self.instruction  # of the classes
            choice = "nearest" if self.choice == "nearest" else "random"
            return answering("fewshot", backbone, head, ChatView(instruction, shown=shown, choice=choice))
        return self.asked(backbone, head, shown, self.choice)

    def axes(self, backbone: Backbone) -> tuple[Axis, ...]:
        shown = Axis("demonstrations", values=(4, 12, 24))
        if has_vocabulary(backbone):
            return (shown, Axis("choice", values=("balanced", "nearest")))
        form, *others = axes_of(backbone)
        return (shown, form, Axis("choice", values=("balanced", "nearest", "random")), *others)
