"""Predictor: a saved model, ready for new inputs."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from headstart.artifacts.artifact import Artifact, reloaded
from headstart.backbones.backbone import Backbone, Batch
from headstart.backbones.inputs.image_preparation import BATCH_TOKENS, ImagePreparation
from headstart.core.errors import ArtifactError, DataError
from headstart.core.records.decoding import ALONE, Decoding
from headstart.engine.cache.frozen import forward_alone
from headstart.engine.machine.precision import compute
from headstart.tasks.task import Prediction

if TYPE_CHECKING:
    from headstart.data.examples import Input


LOADING = ("pooling", "max_length", "image_size", "blocks", "weights", "features", "mean", "std")
"options of `load` that an artifact may ask for; to run the code of a model is none of them"


class Predictor:
    """Loads the base once and keeps the artifact's changes on it until it is closed.

    source: where the base lies now, a folder or a hub name, if not where it was in training.
    Raises `ArtifactError` where the folder is no artifact, its weights do not fit, or the base is another one.
    """

    def __init__(
        self, folder: str | Path, *, backbone: Backbone | None = None, source: str | None = None,
        device: str | None = None, precision: str | None = None, trust_remote_code: bool = False,
    ) -> None:  # fmt: skip
        self.artifact = Artifact.open(folder)
        self.backbone = backbone = backbone or base_of(self.artifact, source, trust_remote_code)
        self.compute = compute(device, precision or self.artifact.precision)
        self._stack = contextlib.ExitStack()
        self._stack.callback(backbone.module.to, next(backbone.module.parameters()).device)
        backbone.module.to(self.compute.device)
        weakref.finalize(self, self._stack.close)  # at the interpreter's end too, while there are modules to do it with
        _, self.model, self.plan = self._stack.enter_context(reloaded(folder, backbone))
        self._stack.enter_context(forward_alone(self.model.backbone, self.compute))

    def close(self) -> None:
        """Takes the artifact's changes off the base again, and moves it back to its device."""
        self._stack.close()

    def logits(self, inputs: Sequence[Input], batch_size: int = 64) -> torch.Tensor:
        """Scores before softmax, [n, outputs], in the order of the inputs; texts of like length go together."""
        out = torch.empty(len(inputs), self.artifact.task.outputs)
        with torch.no_grad():
            for places, batch in batches(self.backbone, inputs, batch_size, [self.artifact.task.images] * len(inputs)):
                with self.compute.autocast():
                    features = self.backbone.features(batch, self.plan.reads)
                out[places] = self.model.head(features.float()).cpu()
        return out

    def scores(self, inputs: Sequence[Input]) -> np.ndarray:
        """Probabilities or values, [n, outputs]."""
        return self.artifact.task.probabilities(self.logits(inputs)).numpy()

    def __call__(self, inputs: Iterable[Any]) -> list[Prediction]:
        return [self.artifact.task.prediction(row) for row in self.scores(list(inputs))]


def base_of(artifact: Artifact, source: str | None = None, trust_remote_code: bool = False) -> Backbone:
    """The artifact's base, loaded from where it was in training, or from `source`."""
    from headstart.backbones.loaders.load import load

    base = artifact.base
    if strange := sorted(set(base.options) - set(LOADING)):
        raise ArtifactError(f"artifact.json gives the base the options {', '.join(strange)}, which no training writes.")
    if source is not None:
        return load(source, **base.options, trust_remote_code=trust_remote_code)
    if base.reload is None:
        raise ArtifactError(
            f"this artifact's base is a module that was built in Python ({base.source}); "
            "give the same module: headstart.predict(run, inputs, model=module)."
        )
    # a project that was moved with its model still finds it by the relative path that the user named
    moved = Path(base.reload).is_absolute() and not Path(base.reload).exists()
    return load(base.source if moved else base.reload, **base.options, trust_remote_code=trust_remote_code)


def batches(
    backbone: Backbone, inputs: Sequence[Input], size: int = 64, decodings: Sequence[Decoding] = ()
) -> Iterator[tuple[list[int], Batch]]:
    """Prepared batches on the backbone's device, and the places of their rows; texts of like length go together.

    decodings: how each image is read; empty: each is settled by itself.
    """
    device, order = next(backbone.module.parameters()).device, list(range(len(inputs)))
    if backbone.modality == "text":
        order.sort(key=lambda i: -len(str(inputs[i])))  # longest first: memory runs out at once or not at all
    if isinstance(backbone.preparation, ImagePreparation):
        size = backbone.preparation.at_once(BATCH_TOKENS, size)
    for start in range(0, len(inputs), size):
        places = order[start : start + size]
        batch = prepared(backbone, [inputs[i] for i in places], [decodings[i] for i in places] if decodings else ())
        yield places, {name: value.to(device) for name, value in batch.items()}


def prepared(backbone: Backbone, inputs: Sequence[Any], decodings: Sequence[Decoding] = ()) -> dict[str, torch.Tensor]:
    """Texts, pairs, or whatever `picture` takes for an image as one batch."""
    from headstart.backbones.inputs.preparation import TextPreparation
    from headstart.data.images.image import picture

    preparation = backbone.preparation
    if isinstance(preparation, TextPreparation):
        texts = [tuple(x) if isinstance(x, list) else x for x in inputs]
        if not all(isinstance(x, (str, tuple)) for x in texts):
            raise DataError("this model reads texts, or pairs of texts; something else was given.")
        return preparation.collate(preparation.encode(texts))
    assert isinstance(preparation, ImagePreparation)
    rules = decodings or [ALONE] * len(inputs)
    return preparation.collate([preparation.prepare(picture(x, rule)) for x, rule in zip(inputs, rules)])
