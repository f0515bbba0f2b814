"""Base class of language-modelling objectives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from headstart.pretraining.objectives.objective import Objective, at_least, shares

IGNORED = -100
"target of positions without prediction, as in PyTorch's cross entropy"


def following(ids: np.ndarray, text: np.ndarray) -> np.ndarray:
    """[B, T] the next token of each token. text: [B, T] True for tokens of the text."""
    words = np.where(text, ids, IGNORED)
    return np.where(text, np.concatenate([words[:, 1:], np.full((len(ids), 1), IGNORED)], 1), IGNORED)


@dataclass(frozen=True)
class LanguageModel(Objective):
    """`-1/N sum_i log p(t_i | context)` over the N predicted tokens."""

    size: str = "mini"
    "size of a new network: tiny (2 blocks, width 128), mini (4, 256), small (4, 512), or a transformers config file"
    vocabulary: int = 16_384
    "vocabulary of the tokenizer, trained on the corpus, in tokens"
    tokenizer: str = "wordpiece"
    "tokenizer: wordpiece, bpe (byte-level), or a folder whose tokenizer is reused"
    lowercase: bool = True
    "WordPiece: remove case and accents"
    length: int = 128
    "maximum length of an example, in tokens including special ones"
    dropout: float = 0.0
    "dropout in pretraining; the saved folder has 0.1, for tuning"
    learning_rate: float = 1e-3
    "peak learning rate of AdamW"
    weight_decay: float = 0.01
    "decoupled weight decay"
    warmup: float = 0.05
    "warmup as a share of the steps; afterwards the learning rate falls linearly to zero"
    epochs: int = 10
    "passes over the corpus, in epochs"
    batch_tokens: int = 8_192
    "tokens per step"
    samples: int = 0
    "sampled softmax: negative tokens per prediction, half of them drawn by frequency; 0: the full softmax"

    family: ClassVar[str] = "language"
    of_new: ClassVar[tuple[str, ...]] = ("size", "vocabulary", "tokenizer", "lowercase")
    kind: ClassVar[Literal["masked", "causal"]]
    network: ClassVar[Literal["transformers", "awd_lstm", "elmo"]] = "transformers"
    "whose network it trains"
    joined: ClassVar[bool]
    "True if an example is a window of the whole corpus instead of a paragraph"
    directions: ClassVar[int] = 1
    "number of targets per position"
    parts: ClassVar[int] = 1
    "number of parts of an example"

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
        """NT-ASGD: epochs without improvement after which the weights of SGD are averaged; 0 for AdamW."""
        return 0

    def prepared(
        self, ids: np.ndarray, text: np.ndarray, begins: np.ndarray, mask_id: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of the network; by default each position predicts the next token.

        ids, text: [B, T]; text is True for tokens of the text. The other arguments are for objectives with masks.
        """
        assert self.kind == "causal"  # objectives with masks override this
        return ids, following(ids, text)

    def penalty(self, dropped: Tensor, raw: Tensor) -> Tensor:
        """Penalty on hidden states, for objectives that have one. [B, T, D] each"""
        raise NotImplementedError

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Cross entropy, summed over the predicted tokens. scores: [N, V]; targets: [N] ids."""
        return F.cross_entropy(scores.float(), targets, reduction="sum")

    def contrast(self, features: Tensor) -> Tensor:
        """Contrastive loss, summed over the pairs of parts. features: [n, 2, D]"""
        raise NotImplementedError
