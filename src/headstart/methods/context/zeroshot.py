"""Zero-shot: the model as it is. Names of classes by CLIP's text tower or a prompt; a language model answers chats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.vocabulary import VocabularyHead, has_vocabulary
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, Axis, Method, head_group
from headstart.methods.plan import Plan
from headstart.methods.prompting import AsItIs, ClassScores, Prompted, axes_of
from headstart.methods.view import words_of
from headstart.methods.words import FromWords, told


@METHODS.register("zeroshot")
@dataclass(frozen=True)
class Zeroshot(FromWords, Prompted, Method):
    """Of images `argmax_c cos(image, text_c)`, text_c the mean of the class's name over the templates.

    That needs a CLIP or SigLIP backbone, whose text tower runs once. Training examples only give the mean length of
    their features, which turns the cosines into a linear head. Of texts `p(c) ~ p(words of c | instruction, text)` by a
    causal language model; where answers are to be generated, the model is asked as it is: the row that shows what
    tuning adds. Source: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
    Supervision", section 3.1.4; Radford et al. 2019, "Language Models are Unsupervised Multitask Learners".
    """

    summary: ClassVar[str] = "the model as it is: names of classes by CLIP's text tower or a prompt, or chats answered"

    words: tuple[str, ...] = ("{}",)
    "prompt templates of CLIP for the names of the classes, such as an icon of a {}; several are averaged"

    def for_classes(self, labels: Sequence[str]) -> Zeroshot:
        if labels:
            words_of(labels, self.labels)
        return self

    def head(self, backbone: Backbone, outputs: int, bias: bool) -> nn.Module:
        return super().head(backbone, outputs, bias) if backbone.vocabulary is None else ClassScores(outputs)

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        if isinstance(head, VocabularyHead):
            return Plan(groups=(head_group(backbone, head),), solver=AsItIs())
        if backbone.vocabulary is not None:
            return self.asked(backbone, head)
        if backbone.words is None:
            raise MethodError(
                "zeroshot: this backbone has no text tower (CLIP, SigLIP) and no head over the vocabulary (a "
                "causal language model), one of which the names of the classes need."
            )
        if not self.words:
            raise MethodError("zeroshot: words are empty, but at least one template is needed, such as {}.")
        return Plan(groups=(head_group(backbone, head),), solver=told(self, backbone))

    def axes(self, backbone: Backbone) -> tuple[Axis, ...]:
        # a model that was loaded with its head generates answers, which no instruction is tuned for
        asks = backbone.vocabulary is not None and not has_vocabulary(backbone)
        return axes_of(backbone) if asks else ()
