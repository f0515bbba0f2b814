"""A backbone behind a method's view, of classes' words or of questions: in training, tests and predictions."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from headstart.backbones.backbone import Backbone
from headstart.backbones.inputs.positions import positions
from headstart.backbones.inputs.preparation import TextPreparation
from headstart.core.errors import MethodError
from headstart.data.documents.passages import Passage
from headstart.data.documents.search import BM25, Dense, Search
from headstart.engine.decoding.asked import seen
from headstart.engine.decoding.in_context import InContext
from headstart.engine.generating import room_of
from headstart.engine.machine.precision import Compute
from headstart.methods.chat_view import ChatView
from headstart.methods.view import View

if TYPE_CHECKING:
    from headstart.engine.adapt import Setting

AT_ONCE = 32
"texts that are embedded at once"
NO_DOCUMENTS = "it looks for passages in your documents: give their folder with --documents DIR."


def completed(view: View | ChatView, setting: Setting, seed: int) -> View | ChatView:
    """With what a view takes from the training examples, and of the documents.

    Raises `MethodError` if it needs documents or passages and there are none.
    """
    given: Any = setting.train.examples
    found = view.completed(setting.task.labels, given.inputs, given.targets, seed)
    if isinstance(found, View):
        return found
    if found.k and setting.documents is None:
        raise MethodError(NO_DOCUMENTS)
    if found.given and all(one.passage is None for one in given.inputs()):
        raise MethodError("gold_passage puts the right passage before each question; it needs a column `passage`.")
    documents = setting.documents.fingerprint if setting.documents and found.k else ""
    return replace(found, room=room_of(setting.train), documents=documents)


def through(setting: Setting, view: View | ChatView, learns: bool, passages: Sequence[Passage] = ()) -> Setting:
    """This setting with the backbone behind a complete view.

    learns: True if the training examples are read inside it too. passages: those of a saved model [default: of the
    documents].
    """
    if isinstance(view, ChatView) and view.k and not passages:
        assert setting.documents is not None, "a view that finds passages was completed without documents"
        passages = setting.documents.passages(view.passage_words)
    backbone = viewed(setting.backbone, view, setting.compute, passages)
    validation, train = setting.validation.prepared_for(backbone), setting.train
    if learns:
        train = train.prepared_for(_learning(backbone))
    options = replace(setting.options, cache=False)
    return replace(setting, backbone=backbone, train=train, validation=validation, options=options)


def viewed(backbone: Backbone, view: View | ChatView, compute: Compute, passages: Sequence[Passage] = ()) -> Backbone:
    """The backbone behind a complete view."""
    if isinstance(view, View):
        return seen(backbone, view, compute)
    assert isinstance(backbone.preparation, TextPreparation)
    search = _search(backbone, view, compute, passages) if view.k else None
    made = copy.copy(backbone)  # with the fingerprint, which takes long
    made.preparation = InContext(backbone.preparation, view, search, positions(backbone.module).readable, False)
    return made


def _learning(backbone: Backbone) -> Backbone:
    """The backbone as training examples are read, which know their right passage."""
    asked, made = backbone.preparation, copy.copy(backbone)
    assert isinstance(asked, InContext)
    made.preparation = InContext(asked.plain, asked.view, asked.search, asked.max_length, True)
    return made


def _search(backbone: Backbone, view: ChatView, compute: Compute, passages: Sequence[Passage]) -> Search:
    if view.search == "bm25":
        return BM25(passages)
    if not view.encoder:
        return Dense(passages, lambda texts: _mean_states(backbone, compute, texts))
    from headstart.backbones.loaders.load import load

    encoder = load(view.encoder)
    if not isinstance(encoder.preparation, TextPreparation):
        raise MethodError(f"encoder={view.encoder} reads no texts; name a sentence encoder.")
    encoder.module.to(compute.device)
    return Dense(passages, lambda texts: _pooled(encoder, compute, texts))


def _mean_states(backbone: Backbone, compute: Compute, texts: list[str]) -> np.ndarray:
    """[n, D] means over tokens of the network's last states."""

    def read(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        states = backbone.module(**batch, use_cache=False).last_hidden_state.float()  # [B, T, D]
        mask = batch["attention_mask"].unsqueeze(-1)
        return (states * mask).sum(1) / mask.sum(1)

    return _embedded(backbone, compute, texts, read)


def _pooled(encoder: Backbone, compute: Compute, texts: list[str]) -> np.ndarray:
    return _embedded(encoder, compute, texts, lambda batch: encoder.features(batch).float())


def _embedded(backbone: Backbone, compute: Compute, texts: list[str], read: Any) -> np.ndarray:
    preparation: Any = backbone.preparation
    backbone.module.eval()
    found = []
    with torch.no_grad(), compute.autocast():
        for start in range(0, len(texts), AT_ONCE):
            batch = preparation.collate(preparation.encode(texts[start : start + AT_ONCE]))
            found.append(read({name: value.to(compute.device) for name, value in batch.items()}).cpu())
    vectors: np.ndarray = torch.cat(found).numpy()
    return vectors
