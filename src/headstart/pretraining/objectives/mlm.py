"""Masked language modelling: BERT."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from headstart.pretraining.objectives.language import IGNORED, LanguageModel
from headstart.pretraining.objectives.objective import OBJECTIVES


@OBJECTIVES.register("mlm")
@dataclass(frozen=True)
class MaskedLanguageModel(LanguageModel):
    """Masks tokens with probability `mask`, newly drawn for each pass, and predicts them from the rest.

    Of the chosen tokens 80 % become [MASK], 10 % a random token, and 10 % stay. With `next_sentence`, the loss
    `-log p(is next)` of classifying consecutive against random paragraphs is added.

    Sources: Devlin et al. 2019, "BERT", sections 3.1 and A.1; Liu et al. 2019, "RoBERTa", section 4.1 (dynamic masks).
    """

    mask: float = 0.15
    "masking rate, as a probability per token"
    whole_words: bool = True
    "whole-word masking: choose words with all their pieces, instead of tokens"
    next_sentence: bool = False
    "next-sentence prediction: classify pairs of paragraphs as consecutive or random"

    summary: ClassVar[str] = "BERT: predicts masked tokens from both sides"
    kind: ClassVar[Literal["masked", "causal"]] = "masked"
    joined: ClassVar[bool] = False

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        if not 0 < self.mask < 1:
            yield f"mask is {self.mask}, but has to lie between 0 and 1."

    def prepared(
        self, ids: np.ndarray, text: np.ndarray, begins: np.ndarray, mask_id: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of the network.

        ids: [B, T]. text: [B, T] True for tokens of the text, False for special ones and padding. begins: [V] True for
        tokens that start a word, including special ones. Returns inputs and targets, [B, T] each.
        """
        if self.whole_words:
            word = np.cumsum(begins[ids].reshape(-1))  # because every row starts with a special token
            chosen = (rng.random(word[-1] + 1) < self.mask)[word].reshape(ids.shape) & text
        else:
            chosen = (rng.random(ids.shape) < self.mask) & text
        if not chosen.any():  # because with few short texts a step could have no target
            chosen.flat[rng.choice(np.flatnonzero(text))] = True
        how = rng.random(ids.shape)
        inputs = np.where(chosen & (how < 0.8), mask_id, ids)
        random = chosen & (how >= 0.8) & (how < 0.9)
        inputs = np.where(random, rng.integers(len(begins), size=ids.shape), inputs)
        return inputs, np.where(chosen, ids, IGNORED)
