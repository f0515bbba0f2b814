"""Recurrent language models: what their objectives have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from headstart.pretraining.objectives.language import LanguageModel


@dataclass(frozen=True)
class RecurrentModel(LanguageModel):
    """Windows of the corpus, each begun with a state of zeros."""

    size: str = "mini"
    "`tiny`, `mini` or `small`, or as large as the folder to go on from"
    length: int = 64
    "tokens of a window"
    weight_decay: float = 1e-6
    "decoupled weight decay"

    kind: ClassVar[Literal["masked", "causal"]] = "causal"
    joined: ClassVar[bool] = True
    next_sentence: ClassVar[bool] = False
    network: ClassVar[Literal["awd_lstm", "elmo"]]
