"""Model folders: reading config and weights, with errors for missing, broken or unsafe files."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart.core.errors import ModelError

PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")


@contextlib.contextmanager
def weights_only() -> Iterator[None]:
    """Context in which `torch.load` only reads tensors, even if a library asks for more.

    A pickle can run code when it is read, and a library may fall back to one. TORCH_FORCE_WEIGHTS_ONLY_LOAD makes
    `torch.load` refuse everything but tensors and plain containers.
    """
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's config.json. Raises `ModelError` with the folder's content if there is none."""
    path = folder / "config.json"
    if not path.is_file():
        there = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or "nothing"
        raise ModelError(
            f"{folder} has no config.json (it holds {there}). Give a folder saved by transformers "
            "(save_pretrained), timm (config.json with 'architecture') or Headstart."
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"can't read {path}: {error}") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} holds no JSON object.")
    return config


def require_safetensors(folder: Path) -> None:
    """Raises `ModelError` unless the folder has safetensors weights, because pickles can run code."""
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(p.name for pattern in PICKLES for p in folder.glob(pattern))
    if pickles:
        raise ModelError(
            f"{folder} has weights only as {pickles[0]}, a format that can run code when it is read; Headstart reads "
            "safetensors. Convert it where you trust it:\n"
            '  python -c "import torch, safetensors.torch as s; '
            f"s.save_file({{k: v.clone().contiguous() for k, v in torch.load('{folder / pickles[0]}', "
            f"map_location='cpu', weights_only=True).items()}}, '{folder / 'model.safetensors'}', "
            "metadata={'format': 'pt'})\""
        )
    raise ModelError(f"{folder} has a config.json but no weights (model.safetensors); copy them beside it.")


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file. Raises `ModelError` for a broken file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path, device="cpu")
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(f"can't read {path}: {error}. Is it cut short? Copy or download it again.") from error


def check_finite(module: nn.Module, source: str) -> None:
    """Raises `ModelError` with the first weights that hold NaN or infinity, because predictions would mean nothing."""
    for name, tensor in module.named_parameters():
        if tensor.is_floating_point() and not tensor.is_meta and not torch.isfinite(_sum(tensor)):
            wrong = int((~torch.isfinite(tensor)).sum())
            raise ModelError(
                f"{source}: {wrong:,} of the {tensor.numel():,} weights {name} are NaN or infinite. The file is "
                "damaged, or its training diverged; take another copy or an earlier checkpoint."
            )


def _sum(tensor: Tensor) -> Tensor:
    """A sum that is finite only if all values are; in float64, which a sum of float32 can't overflow."""
    return tensor.detach().sum(dtype=torch.float64)


def fill(module: nn.Module, weights: dict[str, Tensor], path: Path, ignore: Iterable[str] = ()) -> None:
    """Loads weights into the module. Raises `ModelError` for missing keys, wrong shapes and unknown keys.

    ignore: prefixes of keys that may be unknown.
    """
    wanted = module.state_dict()
    missing = sorted(set(wanted) - set(weights))
    unknown = sorted(k for k in set(weights) - set(wanted) if not k.startswith(tuple(ignore)))
    shapes = [k for k in wanted if k in weights and wanted[k].shape != weights[k].shape]
    if missing or unknown or shapes:
        raise ModelError(
            f"the weights in {path} do not fit {type(module).__name__}."
            + _some("missing", missing)
            + _some("not in the model", unknown)
            + _some("of another shape", [f"{k} {tuple(weights[k].shape)} for {tuple(wanted[k].shape)}" for k in shapes])
        )
    with torch.no_grad():
        module.load_state_dict({k: weights[k] for k in wanted})


def _some(what: str, keys: list[str]) -> str:
    if not keys:
        return ""
    more = f" and {len(keys) - 6} more" if len(keys) > 6 else ""
    return f" {len(keys)} keys {what}: {', '.join(keys[:6])}{more}."
