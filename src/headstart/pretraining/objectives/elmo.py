"""ELMo: a bidirectional LSTM language model over characters."""

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
    """`-1/N sum_t [log p(x_t+1 | x_1 ... x_t) + log p(x_t-1 | x_t ... x_T)]`, with words as characters.

    Both directions share the word encoder and the vocabulary head. A word outside the vocabulary is unknown in
    pretraining, and read by its characters afterwards.

    Source: Peters et al. 2018, "Deep contextualized word representations", sections 3.1 and 3.4.
    """

    tokenizer: str = "words"
    "tokenizer: words; the only choice"

    directions: ClassVar[int] = 2
    summary: ClassVar[str] = "ELMo: predicts words from the left and from the right, by LSTMs over characters"
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
        """Targets: for each word in turn the next and the previous one. ids, text: [B, T]; targets: [B, 2 T]."""
        before = following(ids[:, ::-1], text[:, ::-1])[:, ::-1]
        return ids, np.stack([following(ids, text), before], 2).reshape(len(ids), -1)
