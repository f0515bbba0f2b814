"""Language modelling: what its objectives have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from headstart.pretraining.objectives.objective import Objective, at_least, shares

IGNORED = -100
"the target of a position that is not predicted, as in PyTorch's cross entropy"


def following(ids: np.ndarray, text: np.ndarray) -> np.ndarray:
    """[B, T] the token behind each token of the text. text: [B, T] True where one stands."""
    words = np.where(text, ids, IGNORED)
    return np.where(text, np.concatenate([words[:, 1:], np.full((len(ids), 1), IGNORED)], 1), IGNORED)


@dataclass(frozen=True)
class LanguageModel(Objective):
    """`-1/N sum_i log p(t_i | context)` over the N predicted tokens."""

    size: str = "mini"
    "`tiny` (2 blocks, width 128), `mini` (4, 256), `small` (4, 512), or the file of a transformers configuration"
    vocabulary: int = 16_384
    "tokens of the tokenizer, which is trained on the corpus"
    tokenizer: str = "wordpiece"
    "`wordpiece`, `bpe` (of bytes, so that it knows every character), or a folder whose tokenizer is taken over"
    lowercase: bool = True
    "WordPiece: without case and accents"
    length: int = 128
    "most tokens of an example, special tokens counted"
    dropout: float = 0.0
    "while pretraining; the folder asks for 0.1 again, for tuning"
    learning_rate: float = 1e-3
    "peak rate of AdamW"
    weight_decay: float = 0.01
    "decoupled weight decay"
    warmup: float = 0.05
    "share of the steps in which the rate rises, before it falls to zero in a line"
    epochs: int = 10
    "passes over the corpus"
    batch_tokens: int = 8_192
    "tokens a step"
    samples: int = 0
    "other tokens that each is told from while training, half of them drawn by how often they occur; 0: all"

    family: ClassVar[str] = "language"
    of_new: ClassVar[tuple[str, ...]] = ("size", "vocabulary", "tokenizer", "lowercase")
    kind: ClassVar[Literal["masked", "causal"]]
    network: ClassVar[Literal["transformers", "awd_lstm", "elmo"]] = "transformers"
    "whose network it trains"
    joined: ClassVar[bool]
    "whether an example is a window of the whole corpus, or a paragraph"
    directions: ClassVar[int] = 1
    "targets of a position"
    parts: ClassVar[int] = 1
    "into how many each example is cut"

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        yield from at_least(self, 8, "length", unit="tokens")
        if self.batch_tokens < self.length:
            yield f"batch_tokens is {self.batch_tokens}, but a step has to hold an example of {self.length} (length)."
        yield from at_least(self, 300, "vocabulary", unit="tokens")
        yield from at_least(self, 0, "samples", unit="tokens")
        yield from shares(self, "dropout", "warmup")

    @property
    def averages_after(self) -> int:
        """Epochs without improvement after which plain SGD's weights are averaged (NT-ASGD); 0: AdamW without that."""
        return 0

    def prepared(
        self, ids: np.ndarray, text: np.ndarray, begins: np.ndarray, mask_id: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the network sees and what it has to say: as it is here, each position the token that follows.

        ids, text: [B, T]; text is True where a token of it stands. The rest is for objectives that mask.
        """
        assert self.kind == "causal"  # what masks has to say how
        return ids, following(ids, text)

    def penalty(self, dropped: Tensor, raw: Tensor) -> Tensor:
        """What is added for the hidden states themselves, by objectives whose network shows them. [B, T, D] each"""
        raise NotImplementedError

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Sum over the predicted tokens. scores: [N, V]; targets: [N] ids."""
        return F.cross_entropy(scores.float(), targets, reduction="sum")

    def contrast(self, features: Tensor) -> Tensor:
        """Sum over the pairs of an example's two parts. features: [n, 2, D]"""
        raise NotImplementedError
