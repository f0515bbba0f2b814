"""Causal language modelling: GPT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from headstart.pretraining.objectives.language import LanguageModel
from headstart.pretraining.objectives.objective import OBJECTIVES


@OBJECTIVES.register("clm")
@dataclass(frozen=True)
class CausalLanguageModel(LanguageModel):
    """`-1/N sum_t log p(x_t+1 | x_1 ... x_t)` over windows of the corpus, paragraphs joined by an end token.

    Source: Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", section 3.1.
    """

    tokenizer: str = "bpe"
    "tokenizer: bpe (byte-level), wordpiece, or a folder whose tokenizer is reused"

    summary: ClassVar[str] = "GPT: predicts the next token from those before it"
    kind: ClassVar[Literal["masked", "causal"]] = "causal"
    joined: ClassVar[bool] = True
    next_sentence: ClassVar[bool] = False
