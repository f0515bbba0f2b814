"""DeCLUTR: sentence embeddings without labels, by contrastive learning of two parts of a text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from headstart.pretraining.objectives.mlm import MaskedLanguageModel
from headstart.pretraining.objectives.objective import OBJECTIVES, above


@OBJECTIVES.register("declutr")
@dataclass(frozen=True)
class Contrast(MaskedLanguageModel):
    """Masked language modelling on both parts of a split paragraph, and a contrastive loss between the parts.

    With z the mean of a part's hidden states, scaled to length one, and the other paragraphs of the batch as negatives,
    `1/2n sum_i [-log softmax_j(z_i z'_j / t)_i - log softmax_j(z'_i z_j / t)_i]` is added to the loss.

    Sources: Giorgi et al. 2021, "DeCLUTR", section 3 (spans of one text, with masked language modelling beside);
    Gao et al. 2021, "SimCSE", section 2 (temperature).
    """

    learning_rate: float = 3e-4
    "peak learning rate of AdamW"
    temperature: float = 0.05
    "temperature t; smaller values focus on the nearest negatives"

    summary: ClassVar[str] = "DeCLUTR: sentence embeddings, by matching the two parts of a paragraph"
    parts: ClassVar[int] = 2

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        yield from above(self, 0, "temperature")
        if self.next_sentence:
            yield "declutr has no next_sentence: its pairs are the two parts of a paragraph; leave it out."

    def contrast(self, features: Tensor) -> Tensor:
        """InfoNCE loss, summed over the pairs. features: [n, 2, D]"""
        first, second = F.normalize(features.float(), dim=-1).unbind(1)
        scores = first @ second.T / self.temperature  # [n, n]
        right = torch.arange(len(scores), device=scores.device)
        both = [F.cross_entropy(s, right, reduction="sum") for s in (scores, scores.T)]
        return (both[0] + both[1]) / 2
