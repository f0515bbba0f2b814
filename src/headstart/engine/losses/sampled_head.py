"""Sampled softmax: each step contrasts its tokens with a sample of a large vocabulary instead of all of it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from headstart.backbones.networks.head_in_parts import Loss

BLOCK = 1 << 24
"tokens of a corpus that are counted at a time"


class SampledHead:
    """`-log p(t) ~ -s_t + log(exp(s_t) + 1/K sum_k [j_k != t] exp(s_jk) / q_jk)` with K tokens j_k drawn from q.

    The sum in the logarithm is on average the whole vocabulary's. q: half the draws by how often a token occurs, half
    from all alike, so that none's weight in the sum is above 2 V / K; tokens that go through the model at once share
    their draws. Sources: Bengio & Senecal 2008, "Adaptive Importance Sampling to Accelerate Training of a Neural
    Probabilistic Language Model"; Jozefowicz et al. 2016, "Exploring the Limits of Language Modeling", 3.1.
    """

    def __init__(self, head: nn.Linear, counts: np.ndarray, samples: int) -> None:
        """counts: of each token of the vocabulary in the corpus."""
        self.head, self.samples = head, samples
        mixed = 0.5 * counts / counts.sum() + 0.5 / len(counts)
        self.chances = torch.from_numpy(mixed.astype(np.float32)).to(head.weight.device)

    def summed(self, hidden: Tensor, targets: Tensor, loss: Loss) -> Tensor:
        """The sum over the tokens. hidden: [N, D]; targets: [N]; loss: adds up over rows."""
        weight, bias = self.head.weight, self.head.bias
        drawn = torch.multinomial(self.chances, self.samples, replacement=True)  # [K]
        others = nn.functional.linear(hidden, weight[drawn].to(hidden.dtype)).float()  # [N, K]
        right = (hidden.float() * weight[targets]).sum(1, keepdim=True)  # [N, 1]
        if bias is not None:
            others, right = others + bias[drawn], right + bias[targets, None]
        others = others - (self.samples * self.chances[drawn]).log()
        others = others.masked_fill(drawn == targets[:, None], -torch.inf)
        return loss(torch.cat([right, others], 1), torch.zeros_like(targets))


def counts(ids: np.ndarray, size: int) -> np.ndarray:
    """Occurrences of each of `size` tokens, counted a part of the corpus at a time."""
    found = np.zeros(size, dtype=np.int64)
    for at in range(0, len(ids), BLOCK):
        found += np.bincount(ids[at : at + BLOCK], minlength=size)
    return found
