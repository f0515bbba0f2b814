"""Words: a head that begins, or stays, the zero-shot classifier of the classes' names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from headstart.backbones.backbone import Backbone
from headstart.backbones.class_words import template_problem
from headstart.core.errors import MethodError
from headstart.methods.solver import Given, Solver

if TYPE_CHECKING:
    from headstart.tasks.task import Task


@dataclass(frozen=True)
class Words(Solver):
    """Zero-shot classifier: the classes' names under prompt templates, through the text tower."""

    learns: ClassVar[bool] = False

    templates: tuple[str, ...]

    def check(self, task: Task) -> None:
        super().check(task)
        if not task.exclusive:
            raise MethodError(f"words name classes of which each example has one, not a {task.kind} task's.")

    def weight(self, given: Given) -> Tensor:
        """[C, D] the zero-shot classifier, as weights of a linear head on the features."""
        words = given.backbone.words
        assert words is not None, "a method with words asks for a backbone with a text tower"
        return words(given.task.labels, self.templates).weight(given.features().float())

    def solve(self, given: Given) -> tuple[str, ...]:
        weight, head = self.weight(given), given.linear
        with torch.no_grad():
            head.weight.copy_(weight)
            if head.bias is not None:
                head.bias.zero_()
        return ()


@dataclass(frozen=True)
class FromWords:
    """Base class of methods whose head can start as a zero-shot classifier (CLIP, SigLIP)."""

    words: tuple[str, ...] = ()
    """prompt templates for the names of the classes, such as an icon of a {}: the head starts as the zero-shot
    classifier of a CLIP or SigLIP backbone; default: no zero-shot start"""


def told(method: FromWords, backbone: Backbone) -> Words | None:
    """The zero-shot classifier of its prompt templates, if it has any.

    Raises `MethodError` for an invalid template, or for a backbone without a text tower.
    """
    if method.words and backbone.words is None:
        raise MethodError(
            "this backbone has no text tower, which the names of the classes need: take CLIP or SigLIP, or leave words "
            "out."
        )
    if problem := next(filter(None, map(template_problem, method.words)), None):
        raise MethodError(f"words: {problem}")
    return Words(method.words) if method.words else None
