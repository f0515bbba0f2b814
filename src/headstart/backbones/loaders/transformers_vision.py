"""Image backbones from transformers: run, pooling and preprocessing of a loaded model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone, Batch
from headstart.backbones.inputs.pooling import pool
from headstart.backbones.inputs.preparation import ImagePreparation
from headstart.backbones.ladder.structure import find_ladder
from headstart.backbones.loaders.transformers_fresh import reinitialise
from headstart.core.errors import ModelError


def vision_backbone(
    module: nn.Module, source: str, pooling: str | None, image_size: int | None, blocks: str | None
) -> Backbone:
    config: Any = module.config
    has_class_token = any(
        name.rpartition(".")[2] in ("cls_token", "class_embedding", "class_token")
        for name, _ in module.named_parameters()
    )

    def run(model: nn.Module, batch: Batch) -> Tensor:
        outputs = model(pixel_values=batch["pixel_values"])
        hidden = outputs.last_hidden_state
        if pooling is not None:
            if hidden.dim() == 4:
                return hidden.mean(dim=(2, 3))
            return pool(hidden, None, pooling)
        pooled = getattr(outputs, "pooler_output", None)
        if pooled is not None:
            return pooled.flatten(1)
        return hidden[:, 0] if has_class_token else pool(hidden, None, "mean")

    if image_size is not None and getattr(config, "image_size", image_size) not in (image_size, (image_size,) * 2):
        raise ModelError(
            f"{source} reads images of {config.image_size} pixels; other sizes need a model that interpolates its "
            "positions. Leave image_size out."
        )
    preparation = image_preparation(source, config, image_size)
    height, width = preparation.size
    channels = getattr(config, "num_channels", 3)
    sample = {"pixel_values": torch.linspace(-1, 1, 2 * channels * height * width).reshape(2, channels, height, width)}
    ladder = find_ladder(module, lambda: run(module, sample), blocks)
    with torch.no_grad():
        dimension = run(module, sample).shape[1]
    return Backbone(
        module=module,
        ladder=ladder,
        run=run,
        preparation=preparation,
        reinitialise=reinitialise,
        source=source,
        loader="transformers",
        kind="vit" if ladder.sites_of("attention") else "cnn",
        modality="image",
        dimension=dimension,
        pooling=pooling or "own",
        reload=source,
    )


def image_preparation(source: str, config: Any, image_size: int | None) -> ImagePreparation:
    """Preparation by the model's image processor, else by the architecture's config."""
    settings = _processor(source)
    try:
        return _configured(settings, config, image_size)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise ModelError(
            f"{source}: the settings of its image processor can't be used ({type(error).__name__}: {error}). Mend "
            "preprocessor_config.json, or copy it again from where the model came from."
        ) from error


def _processor(source: str) -> dict[str, Any]:
    """Settings of the image processor; {} if there is none. Raises `ModelError` for a broken file."""
    for name in ("preprocessor_config.json", "processor_config.json"):
        path = Path(source) / name
        if path.is_file():
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise ModelError(
                    f"can't read {path}: {error}. It holds the mean, deviation and size of the model's images; copy or "
                    "download it again."
                ) from error
            if not isinstance(found, dict):
                raise ModelError(f"{path} holds no JSON object.")
            settings: dict[str, Any] = found.get("image_processor", found)
            return settings
    if source == "module" or Path(source).is_dir():
        return {}
    from transformers import AutoImageProcessor

    try:
        return dict(AutoImageProcessor.from_pretrained(source, trust_remote_code=False).to_dict())
    except (OSError, ValueError):  # a model on the hub without one
        return {}


def _configured(settings: dict[str, Any], config: Any, image_size: int | None) -> ImagePreparation:
    channels = getattr(config, "num_channels", 3)
    size = settings.get("size", image_size or getattr(config, "image_size", 224))
    size = size if isinstance(size, dict) else {"height": _side(size), "width": _side(size)}
    mode, share = "squash", float(settings.get("crop_pct") or 1.0)
    target = (_side(size.get("height", 224)), _side(size.get("width", 224)))
    if "shortest_edge" in size:
        mode, short = "crop", int(size["shortest_edge"])
        crop = settings.get("crop_size", short)
        crop = crop if isinstance(crop, dict) else {"height": _side(crop), "width": _side(crop)}
        target = (int(crop["height"]), int(crop["width"]))
        share = share if share < 1 else min(1.0, target[0] / short)
    if image_size is not None:
        target = (image_size, image_size)
    normal = settings.get("do_normalize", True)
    silent = normal and not (settings.get("image_mean") and settings.get("image_std"))
    mean = tuple(map(float, settings.get("image_mean") or (0.5,) * channels)) if normal else (0.0,) * channels
    std = tuple(map(float, settings.get("image_std") or (0.5,) * channels)) if normal else (1.0,) * channels
    names = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
    how = names.get(settings.get("resample", 3) if isinstance(settings.get("resample", 3), int) else 3, "bicubic")
    found = ImagePreparation(target, mean[:channels], std[:channels], how, share, mode)
    return replace(found, assumed=_assumed(found)) if silent else found


def _assumed(found: ImagePreparation) -> str:
    mean, std, size = (", ".join(f"{one:g}" for one in values) for values in (found.mean, found.std, found.size))
    return (
        "the model's files do not say how its images were normalised (preprocessor_config.json): mean "
        f"{mean}, deviation {std} and a size of {size} were assumed; if it was trained with others, copy that file "
        "from where the model came from"
    )


def _side(value: Any) -> int:
    return int(value[0]) if isinstance(value, (list, tuple)) else int(value)
