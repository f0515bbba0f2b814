"""Predicting with a run's model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.api.loading import load
from headstart.core.comparison import Comparison
from headstart.core.errors import ConfigurationError
from headstart.core.kept import model_of

if TYPE_CHECKING:
    from headstart.artifacts.predictor import Prediction
    from headstart.backbones.backbone import Backbone


def predict(
    run: str | Path, inputs: Sequence[Any] | str, *, method: str | None = None, model: Any = None, **options: Any
) -> list[Prediction]:  # fmt: skip
    """Labels and probabilities for texts, pairs of texts, or images (paths, bytes, PIL), by a run's saved model.

    method: another method of the run whose model was kept; the one to use by default.
    model: only where the run's base was a torch module built in Python: that module, which reads images as it did in
    training, or what `load` made of it. Options: device, precision.
    """
    from headstart.artifacts.predictor import Predictor

    if isinstance(run, Comparison):
        raise ConfigurationError("predict takes the run's folder, as in compare(…, out='runs/film'), not the record.")
    run = model_of(run, method)
    backbone = model if model is None or hasattr(model, "ladder") else _as_trained(model, run)
    predictor = Predictor(run, backbone=backbone, **options)
    try:
        return predictor([inputs] if isinstance(inputs, (str, bytes)) else inputs)
    finally:
        predictor.close()


def _as_trained(model: Any, run: str | Path) -> Backbone:
    """The module under the preparation of images that the run's artifact has recorded."""
    from headstart.artifacts.artifact import Artifact

    artifact = Artifact.open(run)
    if artifact.task.modality != "image":
        raise ConfigurationError("a module for texts needs its tokenizer: model=headstart.load(module, tokenizer=…).")
    told, options = artifact.preparation, artifact.base.options
    if "features" in options:
        raise ConfigurationError("this module was given with features=…: model=headstart.load(module, features=…).")
    kept = {name: tuple(told[key]) for name, key in (("image_size", "size"), ("mean", "mean"), ("std", "std"))}
    return load(model, **{**options, **kept})
