"""A timm architecture for training from scratch, as a config.json for timm and Headstart's loader."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from headstart.backbones.loaders.timm import build, check_architecture
from headstart.core.errors import ModelError


def fresh_config(
    architecture: str, image_size: int, channels: tuple[int, ...] = (), patch_size: int = 0, depth: int = 0
) -> dict[str, Any]:
    """Builds the network; 0 and empty arguments mean the architecture's defaults, unsupported channels are omitted.

    Raises `ModelError` for an unknown architecture or unsupported arguments, for channels that are not one number per
    stage, and for image sizes that are no multiple of the patch size.
    """
    check_architecture(architecture)
    given: dict[str, Any] = {"channels": list(channels), "patch_size": patch_size, "depth": depth}
    try:
        module = build(
            architecture, architecture, image_size, optional=("channels",), pretrained=False, num_classes=0,
            **{name: value for name, value in given.items() if value},
        )  # fmt: skip
    except ModelError as error:
        if refused := next((name for name in given if f"unexpected keyword argument '{name}'" in str(error)), None):
            raise ModelError(
                f"{architecture} has no {refused}: leave it out, or give an architecture that has."
            ) from error
        if isinstance(error.__cause__, IndexError):
            raise _not_a_stage_each(architecture, channels) from error
        raise
    own = inspect.signature(type(module)).parameters.get("channels")
    # checked, because with too few channels timm's network can't run, and with too many it ignores the last
    if channels and own and isinstance(own.default, tuple) and len(own.default) != len(channels):
        raise _not_a_stage_each(architecture, channels)
    taken: dict[str, Any] = dict(getattr(module, "_model_args", {}))
    return {
        "architecture": architecture,
        "num_classes": 0,
        "num_features": getattr(module, "num_features", 0),
        "model_args": {name: taken[name] for name in ("img_size", *given) if name in taken},
        "pretrained_cfg": {
            "input_size": [3, image_size, image_size],
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": "center",
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
            **_told(module),
        },
    }


def _not_a_stage_each(architecture: str, channels: tuple[int, ...]) -> ModelError:
    return ModelError(
        f"channels are {', '.join(map(str, channels))}, but {architecture} has not {len(channels)} stages: give a "
        "number for each, or none (channels=) for its own."
    )


def existing_config(module: nn.Module) -> dict[str, Any]:
    """The config.json of a network that timm built by name, with its input settings."""
    own: dict[str, Any] = dict(getattr(module, "pretrained_cfg", {}))
    seen = ("input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std")
    return {
        "architecture": own["architecture"],
        "num_classes": 0,
        "num_features": getattr(module, "num_features", 0),
        "model_args": built_with(module),
        "pretrained_cfg": {**{name: own[name] for name in seen if name in own}, **_told(module)},
    }


def built_with(module: nn.Module) -> dict[str, Any]:
    """Arguments of timm's construction of the network, without weights and classes."""
    left = ("pretrained", "num_classes", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir")
    taken: dict[str, Any] = getattr(module, "_model_args", {})
    return {name: value for name, value in taken.items() if name not in left and value is not None}


def resized_config(config: dict[str, Any], module: nn.Module, image_size: int) -> dict[str, Any]:
    """The config.json of a network built from `config` for another image size."""
    taken = getattr(module, "_model_args", {})
    size = {"img_size": image_size} if taken.get("img_size") else {}
    seen = config.get("pretrained_cfg") or {}
    return {
        **config,
        "model_args": {**(config.get("model_args") or {}), **size},
        "pretrained_cfg": {**seen, "input_size": [seen.get("input_size", [3])[0], image_size, image_size]},
    }


def _told(module: nn.Module) -> dict[str, Any]:
    """timm's settings about the first and last layer, and about input sizes."""
    own: dict[str, Any] = getattr(module, "pretrained_cfg", {})
    return {name: own.get(name) for name in ("first_conv", "classifier", "fixed_input_size")}
