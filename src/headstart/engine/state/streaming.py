"""Safetensors files written one tensor at a time, because a checkpoint of all states at once would double them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headstart.backbones.snapshot import Snapshot, bytes_of
from headstart.core.disk.files import replacing

NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
"the format's names of types"


def stream_tensors(path: Path, states: Mapping[str, Mapping[str, Tensor]], metadata: dict[str, str]) -> None:
    """Writes the tensors of each state under `state/name`. Raises `ResourceError` if the disk is full.

    A `Snapshot` in a file is copied from there in pieces. The format: the header's length (8 bytes), the header as
    JSON, and all bytes without gaps.
    """
    header: dict[str, Any] = {"__metadata__": metadata}
    places = [(kind, name) for kind, state in states.items() for name in state]
    like = {(kind, name): _like(states[kind], name) for kind, name in places}
    places.sort(key=lambda place: -like[place][0].itemsize)  # so that each is aligned to its type
    at = 0
    for place in places:
        dtype, shape, size = like[place]
        header["/".join(place)] = {"dtype": NAMES[dtype], "shape": shape, "data_offsets": [at, at + size]}
        at += size
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for kind, name in places:
            state = states[kind]
            for part in state.parts(name) if isinstance(state, Snapshot) else [bytes_of(state[name])]:
                file.write(part)


def _like(state: Mapping[str, Tensor], name: str) -> tuple[torch.dtype, list[int], int]:
    dtype, shape = state.like[name] if isinstance(state, Snapshot) else (state[name].dtype, state[name].shape)
    return dtype, list(shape), math.prod(shape) * dtype.itemsize
