"""The ladder: the ordered rungs of a backbone, from input to output.

Freezing, discriminative learning rates, gradual unfreezing, places of adapters and the cut for the cache all use the
ladder, so that they work on any architecture without asking for its name.
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
    """paths of its outermost modules, in the order of their calls; none lies inside another. Modules beside the stream
    of activations (rotary positions, a norm of relative-position embeddings) are on no rung, because a cut replaces all
    modules of a rung"""
    parameters: tuple[str, ...]
    "names of its parameters; tied ones, and those directly on the root, are on the lowest rung that uses them"


@dataclass(frozen=True)
class Site:
    """A module where a method can add parameters."""

    path: str
    kind: SiteKind
    rung: int
    inputs: int
    "input features or channels; 0 if undefined"
    outputs: int
    groups: int = 1
    "groups of a convolution"
    part: str = ""
    "`attention` or `feedforward` for linear layers inside a transformer block, else empty; recognised by structure"


@dataclass(frozen=True)
class Ladder:
    rungs: tuple[Rung, ...]
    sites: tuple[Site, ...]
    tail: tuple[str, ...] = ()
    "paths of modules without parameters after the highest rung: a pooling, a dropout before the classifier"

    def __len__(self) -> int:
        return len(self.rungs)

    def rung_of(self, parameter: str) -> int:
        """Index of the rung of this parameter."""
        for index, rung in enumerate(self.rungs):
            if parameter in rung.parameters:
                return index
        raise KeyError(parameter)

    def sites_of(self, *kinds: SiteKind) -> tuple[Site, ...]:
        return tuple(site for site in self.sites if site.kind in kinds)
