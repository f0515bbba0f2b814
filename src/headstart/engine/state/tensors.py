"""Writing tensors: whole or not at all, and a full disk is told as such."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from headstart.core.disk.files import replacing


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """A safetensors file, written beside its place and renamed; `ResourceError` where the disk does not take it."""
    with replacing(path) as temporary:
        mode = temporary.stat().st_mode
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary, metadata=metadata)
        temporary.chmod(mode)  # safetensors makes its files readable by their owner alone
