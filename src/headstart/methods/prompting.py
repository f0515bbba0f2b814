"""Prompting: classes' words after a prompt, as probabilities, with contextual calibration (Zhao et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.vocabulary import VocabularyHead
from headstart.core.errors import MethodError
from headstart.methods.chat_view import ChatView
from headstart.methods.method import Axis, head_group
from headstart.methods.plan import Plan
from headstart.methods.solver import Given, Solver
from headstart.methods.view import View

if TYPE_CHECKING:
    from headstart.tasks.task import Task

CONTENT_FREE = ("N/A", "", "[MASK]")
WORDINGS = (
    "Classify each text as {labels}.",
    "",
    "Which of these describes the text best: {labels}?",
)  # fmt: skip
"instructions among which validation chooses"
FROM_PASSAGES = (
    "Answer the question from the passages.",
    "Answer the question from the passages, in as few words as possible.",
)
"the same where passages stand before a question"


class ClassScores(nn.Module):
    """Scores `(log p(words of c | prompt) - prior_c) / T` from log likelihoods [B, C].

    prior: [C] log probabilities of the classes for a content-free input; 0 without calibration.
    """

    prior: Tensor
    sharpness: Tensor

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.register_buffer("prior", torch.zeros(outputs))
        self.register_buffer("sharpness", torch.ones(1))

    def cool(self, t: float) -> None:
        self.sharpness.div_(t)

    def forward(self, likelihoods: Tensor) -> Tensor:
        return self.sharpness * (likelihoods - self.prior)


@dataclass(frozen=True)
class Calibration(Solver):
    """Contextual calibration: `prior = log mean over content-free inputs of p(c)`; no label is read.

    Source: Zhao et al. 2021, "Calibrate Before Use", section 4.
    """

    learns: ClassVar[bool] = False
    reads_features: ClassVar[bool] = False

    inputs: tuple[str, ...] = CONTENT_FREE
    "content-free inputs; empty for no calibration"

    def check(self, task: Task) -> None:
        if not (task.exclusive and task.pooled):
            raise MethodError(f"a prompt asks for one class of each text, and this task is {task.kind}.")
        super().check(task)

    def solve(self, given: Given) -> tuple[str, ...]:
        if not self.inputs:
            return ()
        preparation = given.backbone.preparation
        batch = preparation.collate(preparation.encode(self.inputs))  # type: ignore[attr-defined]
        prior: Any = given.head.prior
        with torch.no_grad():
            found = given.backbone.features({key: value.to(prior.device) for key, value in batch.items()})
            prior.copy_(found.softmax(-1).mean(0).log())
        return ()


@dataclass(frozen=True)
class Prompted:
    """Base class of methods that ask a causal language model by a prompt; nothing is trained."""

    asks: ClassVar[bool] = True

    instruction: str = WORDINGS[0]
    "what begins the prompt; {labels} becomes the words of the classes; default: chosen on validation from a short list"
    layout: str = r"Text: {}\nLabel: {}"
    "form of a demonstration, the places of its text and its label's words as {}; \\n is a line break"
    labels: tuple[str, ...] = ()
    """words of the classes, in their order, or NAME=words for some of them, such as NUM=number; default: the names of
    the classes"""
    form: Literal["auto", "plain"] = "auto"
    """auto asks through the tokenizer's chat template if it has one, plain without; default: chosen on validation"""
    calibrated: bool = True
    "divide the probabilities by those for content-free inputs (contextual calibration); default: chosen on validation"

    def asked(self, backbone: Backbone, head: nn.Module, shown: int = 0, choice: str = "balanced") -> Plan:
        """The plan whose view shows so many demonstrations.

        Raises `MethodError` for a backbone without a causal head over the vocabulary.
        """
        if backbone.vocabulary is None:
            raise MethodError(
                f"{type(self).__name__.lower()}: this backbone has no head over the vocabulary that a prompt asks; "
                "take a causal language model with its head, such as SmolLM2."
            )
        layout, chat = self.layout.replace("\\n", "\n"), self.form == "auto" and templated(backbone)
        view = View(self.instruction, layout, self.labels, shown, chat, choice)
        solver = Calibration(CONTENT_FREE if self.calibrated else ())
        return Plan(groups=(head_group(backbone, head),), solver=solver, view=view)


def templated(backbone: Backbone) -> bool:
    """True if the tokenizer has a chat template."""
    return bool(getattr(getattr(backbone.preparation, "tokenizer", None), "chat_template", None))


def axes_of(backbone: Backbone) -> tuple[Axis, ...]:
    """What validation chooses of every prompt."""
    forms = (Axis("form", values=("auto", "plain")),) if templated(backbone) else ()
    return (*forms, Axis("instruction", values=WORDINGS), Axis("calibrated", values=(True, False)))


@dataclass(frozen=True)
class AsItIs(Solver):
    """Changes nothing."""

    reads_features: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    calibrates: ClassVar[bool] = False
    of_head: ClassVar[bool] = False

    def solve(self, given: Given) -> tuple[str, ...]:
        return ()


def answering(name: str, backbone: Backbone, head: nn.Module, view: ChatView) -> Plan:
    """The plan of the model as it is, which answers questions inside this view.

    Raises `MethodError` unless answers are to be generated.
    """
    if not isinstance(head, VocabularyHead):
        raise MethodError(f"{name}: it answers questions in words, and this task has other answers.")
    return Plan(groups=(head_group(backbone, head),), solver=AsItIs(), view=view)
