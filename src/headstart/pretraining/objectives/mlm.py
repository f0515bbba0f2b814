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
    """Tokens are chosen with probability `mask`, anew each time an example is seen, and predicted from the rest.

    Of the chosen ones 80 % are shown as [MASK], 10 % as a random token and 10 % as they are. With next sentences, the
    loss of telling the paragraph that follows from a random one, `-log p(is next)`, is added.

    Sources: Devlin et al. 2019, "BERT", sections 3.1 and A.1; Liu et al. 2019, "RoBERTa", section 4.1 (dynamic masks).
    """

    mask: float = 0.15
    "probability with which a token is chosen"
    whole_words: bool = True
    "choose words with all their pieces, instead of tokens"
    next_sentence: bool = False
    "show two paragraphs, half the time consecutive ones, and tell which it is"

    summary: ClassVar[str] = "BERT: masked words are predicted from both sides"
    kind: ClassVar[Literal["masked", "causal"]] = "masked"
    joined: ClassVar[bool] = False

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        if not 0 < self.mask < 1:
            yield f"mask is {self.mask}, but has to lie between 0 and 1."

    def prepared(
        self, ids: np.ndarray, text: np.ndarray, begins: np.ndarray, mask_id: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the model sees and what it has to say.

        ids: [B, T]. text: [B, T] True where a token of the text stands, neither special nor padding. begins: [V] True
        for tokens that begin a word (special ones count as such). Returns inputs and targets, [B, T] each.
        """
        if self.whole_words:
            word = np.cumsum(begins[ids].reshape(-1))  # every row begins with a special token
            chosen = (rng.random(word[-1] + 1) < self.mask)[word].reshape(ids.shape) & text
        else:
            chosen = (rng.random(ids.shape) < self.mask) & text
        if not chosen.any():  # of few short texts: a step without a target would teach nothing
            chosen.flat[rng.choice(np.flatnonzero(text))] = True
        how = rng.random(ids.shape)
        inputs = np.where(chosen & (how < 0.8), mask_id, ids)
        random = chosen & (how >= 0.8) & (how < 0.9)
        inputs = np.where(random, rng.integers(len(begins), size=ids.shape), inputs)
        return inputs, np.where(chosen, ids, IGNORED)
