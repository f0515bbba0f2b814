"""Export of timm backbones: a folder for `timm.create_model("local-dir:FOLDER", pretrained=True)`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.export.verification import Reader
from headstart.backbones.inputs.preparation import ImagePreparation
from headstart.backbones.loaders.timm_fresh import built_with
from headstart.core.disk.files import write_json
from headstart.core.errors import ArtifactError, ModelError


def export_timm(backbone: Backbone, head: nn.Linear, labels: list[str], task_kind: str, folder: Path) -> Reader:
    """config.json and model.safetensors, label names in `pretrained_cfg`."""
    import timm
    from safetensors.torch import save_file

    module: Any = backbone.module
    pretrained = dict(getattr(module, "pretrained_cfg", {}) or {})
    name = pretrained.get("architecture")
    if not name:
        raise ModelError("this timm model does not say which architecture it is, so timm could not build it again.")
    fresh: Any = timm.create_model(name, pretrained=False, num_classes=head.out_features, **built_with(module))
    classifier = fresh.get_classifier()
    if not isinstance(classifier, nn.Linear) or classifier.in_features != head.in_features:
        raise ModelError(
            f"timm's {name} has no linear classifier on its {head.in_features} features to put the head in."
        )
    report = fresh.load_state_dict(module.state_dict(), strict=False)
    path = next(p for p, m in fresh.named_modules() if m is classifier)
    if report.unexpected_keys or not all(k.startswith(f"{path}.") for k in report.missing_keys):
        raise ArtifactError(f"timm's {name} does not hold the same weights: {report}.")
    with torch.no_grad():
        classifier.weight.copy_(head.weight)
        if classifier.bias is not None:
            classifier.bias.copy_(head.bias if head.bias is not None else torch.zeros_like(classifier.bias))
        elif head.bias is not None and head.bias.abs().max() > 0:
            raise ModelError(f"the classifier of timm's {name} has no bias; train the head without one.")
    config = {
        "architecture": name,
        "num_classes": head.out_features,
        "num_features": head.in_features,
        "model_args": built_with(module),
        "task": task_kind,
        "pretrained_cfg": _pretrained(pretrained, backbone.preparation, labels),
    }
    try:
        json.dumps(config)
    except TypeError as error:
        raise ModelError(f"the arguments that built this model can't be written as JSON: {error}") from error
    write_json(folder / "config.json", config)
    save_file(
        {k: v.detach().cpu().contiguous() for k, v in fresh.state_dict().items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )

    def read_again() -> Any:
        return_model: Any = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        return lambda batch: return_model(batch["pixel_values"])

    return read_again


def _pretrained(known: dict[str, Any], preparation: Any, labels: list[str]) -> dict[str, Any]:
    """timm's settings for preprocessing and class names."""
    assert isinstance(preparation, ImagePreparation)
    kept = {k: known[k] for k in ("first_conv", "classifier", "pool_size", "fixed_input_size") if known.get(k)}
    return {
        **kept,
        "input_size": [preparation.channels, *preparation.size],
        "interpolation": preparation.interpolation,
        "crop_pct": preparation.crop_share,
        "crop_mode": "squash" if preparation.mode == "squash" else "center",
        "mean": list(preparation.mean),
        "std": list(preparation.std),
        **({"label_names": labels} if labels else {}),
    }
