"""Base class of the objectives of recurrent language models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from headstart.pretraining.objectives.language import LanguageModel


@dataclass(frozen=True)
class RecurrentModel(LanguageModel):
    """Language modelling on windows of the corpus, each starting with a zero state."""

    size: str = "mini"
    "size of a new network: tiny, mini or small; a given backbone keeps its size"
    length: int = 64
    "length of a window, in tokens"
    weight_decay: float = 1e-6
    "decoupled weight decay"

    kind: ClassVar[Literal["masked", "causal"]] = "causal"
    joined: ClassVar[bool] = True
    next_sentence: ClassVar[bool] = False
    network: ClassVar[Literal["awd_lstm", "elmo"]]
