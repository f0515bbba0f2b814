"""Zero-shot classification by the names of the classes (CLIP); nothing is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, Method, head_group
from headstart.methods.plan import Plan
from headstart.methods.words import FromWords, told


@METHODS.register("zeroshot")
@dataclass(frozen=True)
class Zeroshot(FromWords, Method):
    """`argmax_c cos(image, text_c)`, text_c the mean of the class's name over the templates (prompt ensemble).

    Needs a CLIP or SigLIP backbone, whose text tower runs once. Training examples only give the mean length of their
    features, which turns the cosines into a linear head. Source: Radford et al. 2021, "Learning Transferable
    Visual Models From Natural Language Supervision", section 3.1.4.
    """

    summary: ClassVar[str] = "class names through CLIP's text tower; nothing is trained"

    words: tuple[str, ...] = ("{}",)
    "prompt templates for the names of the classes, such as an icon of a {}; several are averaged"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        if not self.words:
            raise MethodError("zeroshot: words are empty, but at least one template is needed, such as {}.")
        return Plan(groups=(head_group(backbone, head),), solver=told(self, backbone))
