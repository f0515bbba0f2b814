"""ELMo: a language model from both sides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from headstart.pretraining.objectives.language import following
from headstart.pretraining.objectives.objective import OBJECTIVES
from headstart.pretraining.objectives.recurrent import RecurrentModel


@OBJECTIVES.register("elmo")
@dataclass(frozen=True)
class BidirectionalLanguageModel(RecurrentModel):
    """`-1/N sum_t [log p(x_t+1 | x_1 ... x_t) + log p(x_t-1 | x_t ... x_T)]`, each word read by its characters.

    Both directions share the words' vectors and the head over the vocabulary. A word that the vocabulary lacks is shown
    as unknown while pretraining, and read by its characters afterwards.

    Source: Peters et al. 2018, "Deep contextualized word representations", sections 3.1 and 3.4.
    """

    tokenizer: str = "words"
    "runs of letters and digits; nothing else can be taken"

    directions: ClassVar[int] = 2
    summary: ClassVar[str] = "ELMo: words are predicted from the left and from the right, by LSTMs over characters"
    network: ClassVar[Literal["awd_lstm", "elmo"]] = "elmo"

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        if self.tokenizer != "words":
            yield f"tokenizer is {self.tokenizer!r}, but elmo reads words; leave it out."
        if self.dropout:
            yield f"dropout is {self.dropout}, but this ELMo has none; leave it out."

    def prepared(
        self, ids: np.ndarray, text: np.ndarray, begins: np.ndarray, mask_id: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Of each word in turn the following and the preceding one. ids, text: [B, T]; targets: [B, 2 T]."""
        before = following(ids[:, ::-1], text[:, ::-1])[:, ::-1]
        return ids, np.stack([following(ids, text), before], 2).reshape(len(ids), -1)
