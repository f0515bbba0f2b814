"""The pretrained model of a comparison."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.records.record import Record


@dataclass(frozen=True)
class ModelRecord(Record):
    source: str
    "source of the model: a hub name, a folder, `builtin/…`"
    loader: str
    "`transformers`, `timm`, `torchvision`, `module` or `builtin`"
    kind: str
    "`encoder`, `decoder`, `vit`, `cnn` or `module`"
    fingerprint: str
    "hash of all weights"
    parameters: int
    dimension: int
    "number of pooled features"
    pooling: str
    rungs: tuple[str, ...]
    "names of the ladder's rungs, from input to output"
