"""Backbones from torchvision: `torchvision/NAME` with its default weights, or a folder that Headstart wrote.

The folder holds model.safetensors and a config.json such as
`{"library": "torchvision", "architecture": "resnet18", "num_classes": 3, "model_args": {}, "preprocessing": {…}}`.
"""

from __future__ import annotations

import hashlib
import pickle
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.inputs.preparation import ImagePreparation
from headstart.backbones.loaders.files import fill, read_config, read_weights, require_safetensors, weights_only
from headstart.backbones.loaders.fresh import refill
from headstart.backbones.loaders.module import load_module
from headstart.core.errors import ModelError, suggestion


def load_torchvision(
    source: str,
    *,
    pooling: str | None = None,
    image_size: int | None = None,
    blocks: str | None = None,
    weights: bool = True,
) -> Backbone:
    """`torchvision/NAME`, or a folder with `"library": "torchvision"` in its config.json.

    The last linear layer of its classifier is removed; its input is the features.
    """
    if pooling is not None:
        raise ModelError("torchvision's models have their own pooling; leave pooling out.")
    folder = Path(source)
    config: dict[str, Any] = (
        read_config(folder) if folder.is_dir() else {"architecture": source.removeprefix("torchvision/")}
    )
    name, arguments = config.get("architecture", ""), dict(config.get("model_args") or {})
    _require_known(name)
    if folder.is_dir():
        module = _build(name, num_classes=config.get("num_classes", 1000), **arguments)
        if weights:
            require_safetensors(folder)
            path = folder / "model.safetensors"
            fill(module, read_weights(path), path)
    else:
        module = _download(name, source) if weights else _build(name)
    preparation = _preparation(name, config.get("preprocessing"), image_size)
    backbone = load_module(
        module,
        blocks=blocks,
        source=source,
        loader="torchvision",
        preparation=preparation,
        reinitialise=partial(_reinitialise, name, arguments),
    )
    backbone.kind = "vit" if backbone.ladder.sites_of("attention") else "cnn"
    backbone.reload = source
    backbone.options.update({k: v for k, v in {"image_size": image_size, "blocks": blocks}.items() if v is not None})
    if not weights:
        backbone.options["weights"] = False
    return backbone


def architecture_of(backbone: Backbone) -> tuple[str, dict[str, Any]] | None:
    """Name and arguments to build this backbone's network in torchvision; None for other backbones."""
    known = backbone.reinitialise
    if isinstance(known, partial) and known.func is _reinitialise:
        return known.args[0], known.args[1]
    return None


def _names() -> list[str]:
    from torchvision import models

    return models.list_models(module=models)


def _require_known(name: str) -> None:
    if name not in _names():
        raise ModelError(f"torchvision has no classifier {name!r}.{suggestion(name, _names())}")


def _build(name: str, **arguments: Any) -> nn.Module:
    from torchvision import models

    try:
        return models.get_model(name, weights=None, **arguments)
    except (TypeError, ValueError) as error:
        raise ModelError(f"torchvision can't build {name} with {arguments}: {error}") from error


def _download(name: str, source: str) -> nn.Module:
    """The network with torchvision's default weights; of these pickle files only tensors are read.

    The file's SHA-256 must start as in its address, even for a cached file.
    """
    from torchvision import models

    weights: Any = models.get_model_weights(name).DEFAULT  # type: ignore[attr-defined]
    file = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
    _check_hash(file)
    try:
        if not file.exists():  # tried first, because PyTorch announces a download before it knows that it is possible
            urlopen(Request(weights.url, method="HEAD"), timeout=30).close()
        with weights_only():
            module: nn.Module = models.get_model(name, weights=weights)
    except pickle.UnpicklingError as error:
        raise ModelError(f"{file} holds more than tensors, which can run code when it is read; delete it.") from error
    except (OSError, RuntimeError) as error:
        raise ModelError(
            f"can't get the weights of {source}: {error}. On a machine with a network, download\n  {weights.url}\n"
            f"and put the file into {file.parent}/ here."
        ) from error
    _check_hash(file)
    return module


def _check_hash(file: Path) -> None:
    """Raises `ModelError` if the file exists and its hash is not that of its name, NAME-SHA256."""
    if not file.exists():
        return
    wanted = file.stem.rpartition("-")[2]
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if not found.startswith(wanted):
        raise ModelError(
            f"{file} is not what torchvision published: its SHA-256 begins with {found[: len(wanted)]}, not {wanted}. "
            "Delete it, so that it is downloaded again."
        )


def _preparation(name: str, written: dict[str, Any] | None, image_size: int | None) -> ImagePreparation:
    """Preparation by the folder's config, else by that of the default weights, which needs no download."""
    if written is not None:
        found = ImagePreparation.from_json(written)
    else:
        from torchvision import models

        made = models.get_model_weights(name).DEFAULT.transforms()  # type: ignore[attr-defined]
        crop, resize = made.crop_size[0], made.resize_size[0]
        how = made.interpolation.value
        found = ImagePreparation((crop, crop), tuple(made.mean), tuple(made.std), how, min(1.0, crop / resize), "crop")
    if image_size is None:
        return found
    return ImagePreparation(
        (image_size, image_size), found.mean, found.std, found.interpolation, found.crop_share, found.mode
    )


def _reinitialise(name: str, arguments: dict[str, Any], module: nn.Module, seed: int) -> None:
    """Sets random weights in place, from a new model of the same architecture."""
    refill(module, lambda: _build(name, **arguments), seed)
