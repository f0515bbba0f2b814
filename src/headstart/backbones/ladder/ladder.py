"""The ladder: the ordered rungs of a backbone, from input to output.

Freezing, discriminative learning rates, gradual unfreezing, where to put adapters and where to cut for the
cache are all questions to the ladder, so that they work on any architecture without asking for its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SiteKind = Literal["linear", "conv", "norm", "attention", "recurrent", "embedding"]


@dataclass(frozen=True)
class Rung:
    """One step of the ladder. Every parameter of the backbone lies on exactly one rung."""

    name: str
    "such as `embeddings`, `encoder.layer.3`, `layer2.1`, `final`"
    modules: tuple[str, ...]
    """paths of its outermost modules, in the order in which they run; none lies inside another. What runs beside the
    stream of activations (rotary positions, a norm of relative-position embeddings) is on no rung's list: a cut
    replaces the modules listed and leaves those alone"""
    parameters: tuple[str, ...]
    "names of all its parameters (tied ones, and those that lie directly on the root, on the lowest rung using them)"


@dataclass(frozen=True)
class Site:
    """A module where a method can add something."""

    path: str
    kind: SiteKind
    rung: int
    inputs: int
    "features or channels that come in; 0 where it has no meaning"
    outputs: int
    groups: int = 1
    "groups of a convolution"
    part: str = ""
    "`attention` or `feedforward` for linear layers inside a transformer block, else empty; told by structure"


@dataclass(frozen=True)
class Ladder:
    rungs: tuple[Rung, ...]
    sites: tuple[Site, ...]
    tail: tuple[str, ...] = ()
    "paths of modules without parameters that run after the highest rung: a pooling, a dropout before the classifier"

    def __len__(self) -> int:
        return len(self.rungs)

    def rung_of(self, parameter: str) -> int:
        """The index of the rung on which this parameter lies."""
        for index, rung in enumerate(self.rungs):
            if parameter in rung.parameters:
                return index
        raise KeyError(parameter)

    def sites_of(self, *kinds: SiteKind) -> tuple[Site, ...]:
        return tuple(site for site in self.sites if site.kind in kinds)
