"""Choice of the next token: the likeliest one, or a draw by temperature and nucleus (top-p) sampling."""

from __future__ import annotations

import torch
from torch import Tensor

from headstart.core.seeds import derive
from headstart.engine.decoding.request import Request


class Draws:
    """Draws for one request, by a generator seeded by it, so that no other request changes them."""

    def __init__(self, request: Request) -> None:
        self.temperature, self.top_p = request.temperature, request.top_p
        self.generator = torch.Generator().manual_seed(derive(request.seed, "decoding"))

    def token(self, scores: Tensor) -> int:
        """One draw from scores [V]: the token at a uniform number's place in the sum of sorted probabilities.

        Tokens are drawn from the fewest whose probabilities sum to at least top_p. Source: Holtzman et al. 2020, "The
        Curious Case of Neural Text Degeneration", section 3.1.
        """
        p, tokens = (scores.double() / self.temperature).softmax(-1).sort(descending=True, stable=True)  # [V] each
        sums = p.cumsum(-1)
        kept = int((sums < self.top_p).sum()) + 1
        sums = sums[:kept]
        place = torch.rand((), dtype=torch.float64, generator=self.generator).to(sums.device) * sums[-1]
        return int(tokens[int(torch.searchsorted(sums, place, right=True).clamp(max=len(sums) - 1))])


def chosen(scores: Tensor, draws: list[Draws | None]) -> list[int]:
    """The next token of each row of scores [B, V]; without draws the likeliest, of equal ones the first."""
    best: list[int] = scores.argmax(-1).tolist()
    return [best[row] if own is None else own.token(scores[row]) for row, own in enumerate(draws)]
