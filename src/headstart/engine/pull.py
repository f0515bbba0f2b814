"""Check that each term of a loss moves the backbone at its first step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from headstart.core.errors import MethodError
from headstart.methods.term import Outputs, Term


class Pull:
    """Terms without a gradient at the backbone so far, each with the units (examples or words) that it has had."""

    def __init__(self, terms: Sequence[Term]) -> None:
        self._units = {term.name: 0 for term in terms if term.pulls_at_once}

    def awaited(self, term: Term) -> bool:
        return term.name in self._units

    def check(self, term: Term, value: Tensor, seen: Mapping[str, Outputs], units: int, step: int) -> None:
        """Raises `MethodError` if the gradient is zero throughout a step: the term would change nothing, unnoticed.

        value: the term's loss of a part of the step. units: examples or words of the part; step: of the whole step.
        """
        reached = [seen[name].features for name in term.streams if seen[name].features.requires_grad]
        if not reached:
            return
        pulls: Sequence[Tensor | None] = [None]
        if value.requires_grad:
            pulls = torch.autograd.grad(value, reached, retain_graph=True, allow_unused=True)
        self._units[term.name] += units
        if any(pull is not None and bool(pull.any()) for pull in pulls):
            del self._units[term.name]
        elif self._units[term.name] >= step:
            raise MethodError(
                f"the term {term.name!r} changes nothing in the backbone: its gradient there is zero at its first "
                "step. Its loss leaves the features out, or is zero there."
            )
