"""Zero-shot: the model as it is. CLIP classifies by the names of the classes, a language model answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.vocabulary import VocabularyHead
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, Method, head_group
from headstart.methods.plan import Plan
from headstart.methods.solver import Given, Solver
from headstart.methods.words import FromWords, told


@METHODS.register("zeroshot")
@dataclass(frozen=True)
class Zeroshot(FromWords, Method):
    """`argmax_c cos(image, text_c)`, text_c the mean of the class's name over the templates (prompt ensemble).

    That needs a CLIP or SigLIP backbone, whose text tower runs once. Training examples only give the mean length of
    their features, which turns the cosines into a linear head. A causal language model is asked the questions as it
    is: the row that shows what tuning adds. Source: Radford et al. 2021, "Learning Transferable
    Visual Models From Natural Language Supervision", section 3.1.4.
    """

    summary: ClassVar[str] = "the model as it is: class names through CLIP's text tower, questions to a language model"

    words: tuple[str, ...] = ("{}",)
    "prompt templates for the names of the classes, such as an icon of a {}; several are averaged"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        if not self.words:
            raise MethodError("zeroshot: words are empty, but at least one template is needed, such as {}.")
        if isinstance(head, VocabularyHead):
            return Plan(groups=(head_group(backbone, head),), solver=AsItIs())
        return Plan(groups=(head_group(backbone, head),), solver=told(self, backbone))


@dataclass(frozen=True)
class AsItIs(Solver):
    """Changes nothing."""

    reads_features: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    calibrates: ClassVar[bool] = False
    of_head: ClassVar[bool] = False

    def solve(self, given: Given) -> tuple[str, ...]:
        return ()
