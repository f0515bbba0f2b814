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
from headstart.core.inputs import INPUT_KINDS
from headstart.core.records.model import ModelRecord
from headstart.core.showing import Showing

Reads = Literal["top", "all"]
"features that a head reads: top for the pooled ones at the top of the ladder, all for those of every rung"


@dataclass(eq=False, repr=False)
class Backbone(Showing):
    """A pretrained network with its ladder and preprocessing; every loader returns one.

    module: the network; methods restore its weights, which are the base.
    run: `run(module, batch)` returns the pooled features [B, dimension] by the module's forward.
    preparation: turns texts or images into batches (tokenizer; size, mean, std, interpolation, crop).
    reinitialise: `reinitialise(module, seed)` sets all weights to random values in place, as the architecture
        prescribes; for the control `scratch`.
    head_bias: False if the library's classifier for this architecture has no bias (decoders).
    words: `words(labels, templates)` returns a zero-shot classifier by class names, if the network has a text tower.
    vocabulary: `vocabulary()` returns the output layer over the vocabulary, if the source is a causal language model.
    reload: hub name or folder, for a saved artifact to load this base again; None for a live module.
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
    vocabulary: Callable[[], nn.Module] | None = None
    reload: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    "options of the loader (pooling, max_length, image_size), saved in artifacts"

    @property
    def reads_images(self) -> bool:
        return INPUT_KINDS[self.modality].is_image

    def features(self, batch: Batch, reads: Reads = "top") -> Tensor:
        """Pooled features [B, dimension], or those of all rungs side by side [B, width("all")].

        Of texts in words they are those of each word, [B, W, …].
        """
        if reads == "top":
            return self.run(self.module, batch)
        return torch.cat(levels(self.module, self.ladder, self.run, batch), dim=-1)

    def width(self, reads: Reads) -> int:
        """Number of features that a head reads."""
        return self.dimension if reads == "top" else sum(self.level_widths)

    @cached_property
    def level_widths(self) -> tuple[int, ...]:
        """Sizes of the pooled features of each level, in the order of `features(batch, "all")`."""
        # in eval mode, because a run in training mode would move the statistics of batch norms
        with torch.no_grad(), evaluating(self.module):
            found = levels(self.module, self.ladder, self.run, self.probes()[0])
        return tuple(level.shape[1] for level in found)

    def probes(self) -> list[Batch]:
        """Two small probe batches of different shape."""
        return probes(self.modality, self.preparation, next(self.module.parameters()).device)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the weights at the first access."""
        _ = self._checksum  # computed now, of the same weights
        return fingerprint(self.module)

    @cached_property
    def _checksum(self) -> str:
        return checksum(self.module)

    @property
    def intact(self) -> bool:
        """True if the weights still equal those at the first access of the fingerprint."""
        _ = self.fingerprint  # computed now at the latest, because the caller is about to change the weights
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
    """XXH3 over the same bytes, to check that a training restored the base; ten times as fast, and never saved."""
    return _digest(module, xxhash.xxh3_128())


def _digest(module: nn.Module, digest: Any) -> str:
    for name, value in module.state_dict().items():
        digest.update(f"{name}|{value.dtype}|{tuple(value.shape)}|".encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(memoryview(flat.view(torch.uint8).numpy()))
    found: str = digest.hexdigest()
    return found
