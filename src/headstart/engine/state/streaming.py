"""Safetensors files written one tensor at a time, because a checkpoint of all states at once would double them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headstart.core.disk.files import replacing

NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
"the format's names of types"


def stream_tensors(path: Path, states: Mapping[str, Mapping[str, Tensor]], metadata: dict[str, str]) -> None:
    """Writes the tensors of each state under `state/name`. Raises `ResourceError` if the disk is full.

    A state may read its tensors from elsewhere, such as a `Snapshot`: each is asked for twice, for the header and for
    its bytes. The format: the header's length (8 bytes), the header as JSON, and all bytes without gaps.
    """
    header: dict[str, Any] = {"__metadata__": metadata}
    places = [(kind, name) for kind, state in states.items() for name in state]
    like = {place: _like(states[place[0]][place[1]]) for place in places}
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
            file.write(_bytes(states[kind][name]))


def _like(value: Tensor) -> tuple[torch.dtype, list[int], int]:
    return value.dtype, list(value.shape), value.nbytes


def _bytes(value: Tensor) -> memoryview:
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
