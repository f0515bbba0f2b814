"""Atomic writing of tensors, with a clear error for a full disk."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from headstart.core.disk.files import replacing


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Writes a safetensors file under a temporary name and renames it. Raises `ResourceError` if the disk is full."""
    with replacing(path) as temporary:
        mode = temporary.stat().st_mode
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary, metadata=metadata)
        temporary.chmod(mode)  # safetensors makes its files readable by their owner alone
