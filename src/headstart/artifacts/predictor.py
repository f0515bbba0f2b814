"""Predictor: a saved model, ready for new inputs."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from headstart.artifacts.artifact import Artifact, passages_of, reloaded
from headstart.backbones.backbone import Backbone, Batch, Reads
from headstart.backbones.inputs.image_preparation import BATCH_TOKENS, ImagePreparation
from headstart.backbones.inputs.word_marks import hidden_where_unseen
from headstart.backbones.vocabulary import VocabularyHead
from headstart.core.chat import Chat
from headstart.core.errors import ArtifactError, ConfigurationError, DataError
from headstart.core.passage import Passage as Asked
from headstart.core.records.decoding import ALONE, Decoding
from headstart.core.words import Words
from headstart.data.documents.library import PASSAGES, Library
from headstart.data.documents.passages import Passage
from headstart.engine.answering import answered, network_of
from headstart.engine.cache.frozen import forward_alone
from headstart.engine.decoding.network import Network
from headstart.engine.machine.precision import Compute, compute
from headstart.engine.viewed import viewed
from headstart.methods.plan import Model
from headstart.tasks.task import Prediction, Task

if TYPE_CHECKING:
    from headstart.data.examples import Input


LOADING = (
    "pooling",
    "max_length",
    "image_size",
    "blocks",
    "weights",
    "features",
    "mean",
    "std",
    "vocabulary",
    "train_on",
    "too_long",
)
"options of `load` that an artifact may set; trust_remote_code is not among them"


class Predictor:
    """Loads the base once and applies the artifact until it is closed.

    source: new place of the base, a folder or a hub name [default: its place in training]. documents: in which a model
    that reads passages looks for them [default: those of the training].
    Raises `ArtifactError` if the folder is no artifact, if its weights do not fit, or if the base is another one.
    """

    def __init__(
        self, folder: str | Path, *, backbone: Backbone | None = None, source: str | None = None,
        device: str | None = None, precision: str | None = None, trust_remote_code: bool = False,
        documents: str | Path | None = None,
    ) -> None:  # fmt: skip
        self.artifact = Artifact.open(folder)
        passages = self._passages(folder, documents)
        self.backbone = backbone = backbone or base_of(self.artifact, source, trust_remote_code)
        self.compute = compute(device, precision or self.artifact.precision)
        self._stack = contextlib.ExitStack()
        self._stack.callback(backbone.module.to, next(backbone.module.parameters()).device)
        backbone.module.to(self.compute.device)
        weakref.finalize(self, self._stack.close)  # also at the end of the interpreter, while its modules still exist
        _, self.model, self.plan = self._stack.enter_context(reloaded(folder, backbone))
        if self.plan.view is not None:
            self.backbone = viewed(backbone, self.plan.view, self.compute, passages)
        self._stack.enter_context(forward_alone(self.model.backbone, self.compute))
        if isinstance(self.model.head, VocabularyHead):
            self.model.head.dtype = self.compute.dtype

    def _passages(self, folder: str | Path, documents: str | Path | None) -> list[Passage]:
        """Those of the artifact, or of other documents."""
        view = self.artifact.chat_view
        if view is None or not view.k:
            if documents is not None:
                raise ConfigurationError("this model looks for no passages; leave the documents out.")
            return []
        if documents is not None:
            return Library.of(documents).passages(view.passage_words)
        if not (found := passages_of(folder)):
            raise ArtifactError(f"{folder} lacks the passages that its model searches ({PASSAGES}); give documents.")
        return found

    def close(self) -> None:
        """Restores the base, and moves it back to its device."""
        self._stack.close()

    def logits(self, inputs: Sequence[Input], batch_size: int = 64) -> torch.Tensor:
        """Scores before softmax, [n, outputs], in the order of the inputs; batches hold texts of similar length.

        Of texts in words [n, L, outputs], -inf behind the last word and for words that were not seen.
        """
        task, head = self.artifact.task, self.model.head
        return logits(self.backbone, head, self.plan.reads, self.compute, task, inputs, batch_size)

    def scores(self, inputs: Sequence[Input]) -> np.ndarray:
        """Probabilities or values, [n, outputs]."""
        return self.artifact.task.probabilities(self.logits(inputs)).numpy()

    def rows(self, inputs: Sequence[Any]) -> Iterable[Any]:
        """What `Task.prediction` makes each answer of: scores [n, outputs], or the answers of a language model."""
        if not self.artifact.task.own_head:
            return self.scores(inputs)
        most = self.artifact.answer_tokens
        return answered(self.network, self.backbone.preparation, list(map(conversation, inputs)), most)

    @cached_property
    def network(self) -> Network:
        """The language model for the decoder."""
        return network_of(self.backbone, self.model.head, self.compute)

    def __call__(self, inputs: Iterable[Any]) -> list[Prediction]:
        given = list(inputs)
        return [self.artifact.task.prediction(row, one) for row, one in zip(self.rows(given), given)]


def conversation(given: Any) -> Chat:
    """A conversation, or a question as one."""
    return given if isinstance(given, Chat) else Chat.asked(str(given))


def base_of(artifact: Artifact, source: str | None = None, trust_remote_code: bool = False) -> Backbone:
    """The artifact's base, loaded from its place in training, or from `source`."""
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
    # the relative path of the user, because a project may have been moved together with its model
    moved = Path(base.reload).is_absolute() and not Path(base.reload).exists()
    return load(base.source if moved else base.reload, **base.options, trust_remote_code=trust_remote_code)


def logits(
    backbone: Backbone, head: nn.Module, reads: Reads, compute: Compute, task: Task, inputs: Sequence[Input],
    size: int = 64,
) -> torch.Tensor:  # fmt: skip
    """[n, outputs] of a head on the whole forward; of texts in words [n, L, outputs], -inf for unseen words; of
    passages by sign."""
    sizes = [_places(one) for one in inputs if isinstance(one, (Words, Asked))]
    model, read = Model(backbone.module, head), partial(backbone.features, reads=reads)
    out = torch.full((len(inputs), *([max(sizes)] if sizes else []), task.outputs), -torch.inf)
    with torch.no_grad():
        for places, batch in batches(backbone, inputs, size, [task.images] * len(inputs)):
            with compute.autocast():
                outputs = model(batch, read)
            scores = hidden_where_unseen(outputs.scores, batch).cpu()
            out[places, : scores.shape[1]] = scores
    return out


def _places(given: Words | Asked) -> int:
    """Words of a text, or signs of a passage, with the one before the first for no answer."""
    return len(given.each) if isinstance(given, Words) else len(given.text) + 1


def batches(
    backbone: Backbone, inputs: Sequence[Input], size: int = 64, decodings: Sequence[Decoding] = ()
) -> Iterator[tuple[list[int], Batch]]:
    """Prepared batches on the backbone's device, and the places of their rows; batches hold texts of similar length.

    decodings: rule for decoding each image; empty to decide each image by itself.
    """
    device, order = next(backbone.module.parameters()).device, list(range(len(inputs)))
    if backbone.modality == "text":
        order.sort(key=lambda i: -len(str(inputs[i])))  # longest first, so that a lack of memory shows at once
    if isinstance(backbone.preparation, ImagePreparation):
        size = backbone.preparation.at_once(BATCH_TOKENS, size)
    for start in range(0, len(inputs), size):
        places = order[start : start + size]
        batch = prepared(backbone, [inputs[i] for i in places], [decodings[i] for i in places] if decodings else ())
        yield places, {name: value.to(device) for name, value in batch.items()}


def prepared(backbone: Backbone, inputs: Sequence[Any], decodings: Sequence[Decoding] = ()) -> dict[str, torch.Tensor]:
    """Texts, pairs or images (as `picture` takes them) as one batch."""
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
