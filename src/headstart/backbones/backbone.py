"""Backbone: a pretrained model without its head, with its ladder and the preprocessing that belongs to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch
import xxhash
from torch import Tensor, nn

from headstart.backbones.class_words import ClassWords
from headstart.backbones.inputs.preparation import Batch as Batch
from headstart.backbones.inputs.preparation import Preparation
from headstart.backbones.inputs.probes import probes
from headstart.backbones.ladder.ladder import Ladder
from headstart.backbones.ladder.levels import levels
from headstart.backbones.ladder.modes import evaluating
from headstart.core.records.comparison import ModelRecord
from headstart.core.showing import Showing

Reads = Literal["top", "all"]
"what a head reads: the pooled features at the top of the ladder, or those of all rungs"


@dataclass(eq=False, repr=False)
class Backbone(Showing):
    """What every loader returns.

    module: the network; its weights are the base, and methods leave them as they found them.
    run: `run(module, batch)` gives the pooled features [B, dimension] with the module's own forward.
    preparation: turns texts or images into batches (tokenizer; size, mean, std, interpolation, crop).
    reinitialise: `reinitialise(module, seed)` gives all weights fresh random values in place, as the architecture
        prescribes: the control `scratch`.
    head_bias: False where the library's own classifier for this architecture has no bias (decoders).
    words: `words(labels, templates)` gives classes told in words over the features, where a tower for texts belongs to
        the network.
    reload: what a saved artifact needs to find this base again (a hub name or a folder); None for a live module.
    """

    module: nn.Module
    ladder: Ladder
    run: Callable[[nn.Module, Batch], Tensor]
    preparation: Preparation
    reinitialise: Callable[[nn.Module, int], None]
    source: str
    loader: str
    kind: Literal["encoder", "decoder", "vit", "cnn", "recurrent", "module"]
    modality: Literal["text", "image"]
    dimension: int
    pooling: str
    head_bias: bool = True
    words: Callable[[Sequence[str], Sequence[str]], ClassWords] | None = None
    reload: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    "loader options that change what is loaded (pooling, max_length, image_size), kept in artifacts"

    def features(self, batch: Batch, reads: Reads = "top") -> Tensor:
        """Pooled features [B, dimension], or those of all rungs side by side [B, width("all")]."""
        if reads == "top":
            return self.run(self.module, batch)
        return torch.cat(levels(self.module, self.ladder, self.run, batch), dim=1)

    def width(self, reads: Reads) -> int:
        """How many features a head gets."""
        return self.dimension if reads == "top" else sum(self.level_widths)

    @cached_property
    def level_widths(self) -> tuple[int, ...]:
        """Sizes of the pooled features of each level, in the order of `features(batch, "all")`."""
        # in eval mode, because a run in training mode would move the statistics of batch norms
        with torch.no_grad(), evaluating(self.module):
            found = levels(self.module, self.ladder, self.run, self.probes()[0])
        return tuple(level.shape[1] for level in found)

    def probes(self) -> list[Batch]:
        """Two small batches of different shape, to try what the network does."""
        return probes(self.modality, self.preparation, next(self.module.parameters()).device)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the weights as they were when first asked for."""
        _ = self._checksum  # taken now, of the same weights
        return fingerprint(self.module)

    @cached_property
    def _checksum(self) -> str:
        return checksum(self.module)

    @property
    def intact(self) -> bool:
        """Whether the weights are still those that the fingerprint was taken of."""
        _ = self.fingerprint  # taken now at the latest: whoever asks is about to change the weights
        return checksum(self.module) == self._checksum

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.module.parameters())

    def record(self) -> ModelRecord:
        return ModelRecord(
            source=self.source,
            loader=self.loader,
            kind=self.kind,
            fingerprint=self.fingerprint,
            parameters=self.parameters,
            dimension=self.dimension,
            pooling=self.pooling,
            rungs=tuple(rung.name for rung in self.ladder.rungs),
        )

    def __repr__(self) -> str:
        return f"Backbone({self.source!r}, {self.kind}, {self.parameters:,} parameters, {len(self.ladder)} rungs)"

    def _repr_html_(self) -> str:
        import html

        return f"<pre>{html.escape(str(self))}</pre>"


def fingerprint(module: nn.Module) -> str:
    """BLAKE2b over the names, types, shapes and bytes of all parameters and buffers; equal if and only if these are."""
    return _digest(module, hashlib.blake2b(digest_size=16))


def checksum(module: nn.Module) -> str:
    """The same by XXH3, which no artifact keeps: ten times as fast, to see that training left the base as it was."""
    return _digest(module, xxhash.xxh3_128())


def _digest(module: nn.Module, digest: Any) -> str:
    for name, value in module.state_dict().items():
        digest.update(f"{name}|{value.dtype}|{tuple(value.shape)}|".encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(memoryview(flat.view(torch.uint8).numpy()))
    found: str = digest.hexdigest()
    return found
