"""Ingredients of a soup: the finished trainings of a comparison whose weights can be averaged."""

from __future__ import annotations

from collections.abc import Sequence
from os.path import relpath
from pathlib import Path

from torch import nn

from headstart.backbones.vocabulary import VocabularyHead
from headstart.comparison.trials.workshop import Workshop
from headstart.core.records.trial import IngredientSpec, Run
from headstart.methods.method import Method, head_for


class Ingredients:
    """Gathers the trainings of each method, for the methods that combine them, which come last."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self._names: dict[Path, str] = {}

    def gather(self, name: str, trained: Sequence[tuple[Method, Run, Path]]) -> None:
        """Adds trainings that only changed weights, with a linear head on the top; each with its folder."""
        backbone = self.workshop.backbone
        for method, run, place in trained:
            head = head_for(method, backbone, self.workshop.data.task, bias=True)
            plan = method.attach(backbone, head)
            alike = (
                type(head) in (nn.Linear, VocabularyHead) and plan.reads == "top" and not plan.edits and plan.averages
            )
            if run.status != "ok" or method.control or not alike:
                continue
            rate = f" rate {plan.learning_rate:.2g}" if plan.learning_rate else ""
            self._names[place] = f"{name} seed {run.seed}{rate}"

    def specs(self, beside: Path) -> list[IngredientSpec]:
        """What a training needs to find them, from a folder beside its own."""
        return [IngredientSpec(name, Path(relpath(place, beside)).as_posix()) for place, name in self._names.items()]
