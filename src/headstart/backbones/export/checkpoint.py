"""Export: writes a backbone with its head as a checkpoint of the library it comes from, with equal logits."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.export.timm import export_timm
from headstart.backbones.export.torchvision import export_torchvision
from headstart.backbones.export.transformers import export_transformers
from headstart.backbones.export.verification import Reader, verify
from headstart.core.errors import ArtifactError, HeadstartError, ModelError


def export(backbone: Backbone, head: nn.Linear, labels: Sequence[str], task_kind: str, folder: str | Path) -> None:
    """Writes into `folder`, which must exist and be empty; after a failure it is empty.

    The backbone must be plain: adapters are merged, so that all modules are the library's.
    transformers: `AutoModelForSequenceClassification` or `AutoModelForImageClassification.from_pretrained(folder)`.
    timm: `timm.create_model("local-dir:FOLDER", pretrained=True)`.
    torchvision: config.json names architecture and classes; `get_model(…).load_state_dict(load_file(…))`.

    Raises `ModelError` with advice if the library has no class for this model, and `ArtifactError` if the loaded
    checkpoint has other logits than the model in memory.
    """
    place = Path(folder)
    if not place.is_dir() or any(place.iterdir()):
        raise ArtifactError(f"{place} must be an existing, empty folder.")
    names = list(labels) if task_kind != "regression" else []
    if not isinstance(head, nn.Linear) or head.out_features != (len(names) or 1):
        raise ModelError(f"only a linear head with one output a label can be exported, not {head}.")
    try:
        read_again = _exporter(backbone)(backbone, head, names, task_kind, place)
        verify(backbone, head, read_again)
    except BaseException as error:
        for item in place.iterdir():
            shutil.rmtree(item) if item.is_dir() else item.unlink()
        if isinstance(error, (HeadstartError, KeyboardInterrupt, SystemExit)):
            raise
        raise ArtifactError(f"the export failed: {type(error).__name__}: {error}") from error


def _exporter(backbone: Backbone) -> Callable[[Backbone, nn.Linear, list[str], str, Path], Reader]:
    if backbone.loader in ("timm", "builtin"):
        return export_timm
    if backbone.loader == "torchvision":
        return export_torchvision
    if hasattr(backbone.module, "config") and hasattr(backbone.module, "save_pretrained"):
        return export_transformers
    if backbone.loader == "word_vectors":
        raise ModelError("no library has a class for word vectors with a classifier; keep the run and predict with it.")
    raise ModelError(
        f"a {type(backbone.module).__name__} made in Python has no library that could load it again; save the run as "
        "an artifact instead, or load the backbone by name (timm/…, torchvision/…) or from a folder."
    )
