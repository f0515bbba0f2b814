"""Export of torchvision backbones: a folder that names architecture, classes and preprocessing.

torchvision has no folder format; three lines read it:
`model = get_model(config["architecture"], num_classes=config["num_classes"], **config["model_args"])`,
`model.load_state_dict(load_file("model.safetensors"))`, `model.eval()`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.export.verification import Reader
from headstart.backbones.loaders.files import read_config, read_weights
from headstart.backbones.loaders.torchvision import architecture_of
from headstart.core.disk.files import write_json
from headstart.core.errors import ModelError


def export_torchvision(backbone: Backbone, head: nn.Linear, labels: list[str], task_kind: str, folder: Path) -> Reader:
    """config.json and model.safetensors with the head as the last linear layer of torchvision's classifier."""
    from safetensors.torch import save_file
    from torchvision.models import get_model

    known = architecture_of(backbone)
    if known is None:
        raise ModelError(
            "this backbone does not say which torchvision architecture it is; load it as torchvision/NAME."
        )
    name, arguments = known
    fresh = get_model(name, weights=None, num_classes=head.out_features, **arguments)
    state = dict(backbone.module.state_dict())
    added = sorted(set(fresh.state_dict()) - set(state))
    path = added[0].rpartition(".")[0] if added else ""
    classifier = fresh.get_submodule(path) if path else fresh
    if not isinstance(classifier, nn.Linear) or {f"{path}.weight", f"{path}.bias"} != set(added):
        raise ModelError(f"torchvision's {name} does not end in one linear layer, so the head has no place in it.")
    state[f"{path}.weight"] = head.weight
    state[f"{path}.bias"] = head.bias if head.bias is not None else torch.zeros(head.out_features)
    fresh.load_state_dict(state)
    preparation: Any = backbone.preparation
    config = {
        "library": "torchvision",
        "architecture": name,
        "model_args": arguments,
        "num_classes": head.out_features,
        "labels": labels,
        "task": task_kind,
        "preprocessing": preparation.to_json(),
    }
    write_json(folder / "config.json", config)
    weights = {k: v.detach().cpu().contiguous() for k, v in fresh.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    def read_again() -> Any:
        written = read_config(folder)
        model = get_model(
            written["architecture"], weights=None, num_classes=written["num_classes"], **written["model_args"]
        ).eval()
        model.load_state_dict(read_weights(folder / "model.safetensors"))
        return lambda batch: model(batch["pixel_values"])

    return read_again
