"""Zero-shot: classes told in words, and nothing trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, FromWords, Method, head_group, told
from headstart.methods.plan import Plan


@METHODS.register("zeroshot")
@dataclass(frozen=True)
class Zeroshot(FromWords, Method):
    """`argmax_c cos(image, text_c)`, text_c the mean over the templates of the class's name under each.

    For the backbones of CLIP and SigLIP, whose tower for texts is read once. Training examples only say how long their
    features are on average, which makes the cosines a linear head. Source: Radford et al. 2021, "Learning Transferable
    Visual Models From Natural Language Supervision", section 3.1.4.
    """

    summary: ClassVar[str] = "the classes' names through CLIP's tower for texts; nothing is trained"

    words: tuple[str, ...] = ("{}",)
    "templates for the names of the classes, such as an icon of a {}; several are averaged"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        if not self.words:
            raise MethodError("zeroshot: words are empty, but at least one template is needed, such as {}.")
        return Plan(groups=(head_group(backbone, head),), solver="words", words=told(self, backbone))
