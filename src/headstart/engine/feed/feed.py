"""Feed: the examples of a split as batches for one backbone; tokenized and decoded once."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.backbones.backbone import Backbone, Batch
from headstart.backbones.inputs.answer_marks import ANSWER_IDS
from headstart.backbones.inputs.preparation import Encoded, ImagePreparation, TextPreparation
from headstart.data.examples import Examples
from headstart.engine.feed.ahead import ahead
from headstart.engine.feed.augment import Augment
from headstart.engine.feed.micro import Micro
from headstart.engine.feed.pictures import Pictures
from headstart.engine.feed.targets import by_row, seen
from headstart.engine.feed.tokens import Tokens
from headstart.engine.feed.workers import in_processes

ENCODE = 8192
"texts that are tokenized at once"

PIN = 1 << 16
"bytes from which an input is copied to a GPU out of pinned memory"


class Feed:
    """The examples of a split for one backbone.

    lengths: [n] tokens of each example, 1 for images; batches are planned by them.
    """

    def __init__(
        self, name: str, examples: Examples, backbone: Backbone, augment: Augment | None = None, workers: int = 0
    ) -> None:
        self.name, self.examples, self.preparation = name, examples, backbone.preparation
        self.modality, self.augment, self.workers = backbone.modality, augment or Augment(), workers
        self.fresh = self.augment.fresh(self.modality)
        self.targets = torch.from_numpy(examples.targets)
        self.pictures: Pictures | None = None
        "decoded images, shared by the feeds of all seeds"
        self.words: np.ndarray | None = None
        self.answers: np.ndarray | None = None
        "[n] tokens of each conversation's answers that are learned; None for other inputs"
        if isinstance(self.preparation, TextPreparation):
            self._encoded = Tokens(self._encode_in_parts(self.preparation))
            self.lengths, self.words, self.answers = (
                self._encoded.lengths, self._encoded.words, self._encoded.supervised,
            )  # fmt: skip
            self.targets = seen(self.targets, self._encoded)
        else:
            assert isinstance(self.preparation, ImagePreparation)
            self.pictures = Pictures(examples, self.preparation)
            self.lengths = np.ones(len(examples), dtype=np.int64)

    def prepared_for(self, backbone: Backbone) -> Feed:
        """The same examples as this backbone's preparation makes them."""
        own = backbone.preparation is self.preparation
        return self if own else Feed(self.name, self.examples, backbone, workers=self.workers)

    def __len__(self) -> int:
        return len(self.lengths)

    def _encode_in_parts(self, preparation: TextPreparation) -> Iterator[list[Encoded]]:
        """In parts, because a tokenizer's output is twenty times as large as the ids in it."""
        for start in range(0, len(self.examples), ENCODE):
            texts: Any = self.examples.inputs(np.arange(start, min(start + ENCODE, len(self.examples))))
            yield preparation.encode(texts)

    @cached_property
    def content(self) -> str:
        """Hash of the inputs and their preparation; the cache's key, because two feeds may share a name."""
        return f"{self.examples.content}:{json.dumps(self.preparation.to_json(), sort_keys=True)}"

    @property
    def costs(self) -> np.ndarray:
        """[n] tokens that each example counts against `batch_tokens`."""
        if isinstance(self.preparation, ImagePreparation):
            return self.lengths * self.preparation.tokens
        return self.lengths

    @property
    def units(self) -> np.ndarray:
        """[n] number of losses of each example: one, one for each word with a target or token of an answer, or two for
        the begin and end of a span."""
        if self.answers is not None:
            return self.answers
        return np.ones(len(self), dtype=np.int64) if self.words is None else (self.targets >= 0).sum(1).numpy()

    @cached_property
    def longest_answer(self) -> int:
        """Tokens of the longest last answer of a conversation; 0 without any."""
        return 0 if self.answers is None else int(self._encoded.last_answers().max(initial=0))

    @property
    def rows(self) -> np.ndarray:
        """[n] rows of features of each example for a solved head: one, or one for each word or place."""
        return np.ones(len(self), dtype=np.int64) if self.words is None else self.words

    @property
    def row_targets(self) -> Tensor:
        """[R, …] targets of all rows, in the order of the examples (`by_row`)."""
        return self.targets if self.words is None else by_row(self.targets, self._encoded)

    @property
    def blank(self) -> tuple[int, ...]:
        """Shape of the predictions without their last dimension: [n], or [n, L] for at most L words or signs."""
        if self.words is None:
            return (len(self),)
        signs = self._encoded.signs
        return (len(self), self.targets.shape[1] if signs is None else int(signs.values.max(initial=0)) + 1)

    @property
    def windowed(self) -> bool:
        """True if a passage has several windows, which are then several rows of a batch."""
        return self.words is not None and self._encoded.windowed

    def put_rows(self, out: Tensor, positions: np.ndarray, features: Tensor) -> None:
        """Copies features of a batch into those of all rows [R, D]."""
        if self.words is None:
            out[torch.from_numpy(positions)] = features
            return
        ends = np.cumsum(self.words)
        for position, each in zip(positions.tolist(), features):
            count = int(self.words[position])
            out[ends[position] - count : ends[position]] = each[:count]

    def seeded(self, seed: int) -> Feed:
        """This feed with the views of this seed; token ids and decoded images are shared."""
        other = copy.copy(self)
        other.augment = replace(self.augment, seed=seed)
        return other

    def none(self) -> Feed:
        """This feed without its examples."""
        empty = copy.copy(self)
        empty.examples = self.examples.take([])
        empty.__dict__.pop("content", None)
        empty.lengths, empty.targets = self.lengths[:0], self.targets[:0]
        empty.words = None if self.words is None else self.words[:0]
        empty.answers = None if self.answers is None else self.answers[:0]
        return empty

    def batch(self, positions: np.ndarray, view: int | None = None) -> Batch:
        """The examples at these positions; `view` numbers the augmented view, None is the plain one."""
        return self.moved(self._raw(positions, view), torch.device("cpu"))

    def moved(self, batch: Batch, device: torch.device) -> Batch:
        """A micro-batch's inputs on the device; pixels are normalised there, because bytes travel faster."""
        if device.type == "cuda":
            batch = _pinned(batch)
        batch = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
        if isinstance(self.preparation, ImagePreparation):
            batch["pixel_values"] = self.preparation.normalised(batch["pixel_values"])
        return batch

    def _raw(self, positions: np.ndarray, view: int | None) -> Batch:
        """The batch as it is kept: pixels are bytes."""
        view = view if self.fresh else None
        preparation = self.preparation
        if isinstance(preparation, ImagePreparation):
            return {"pixel_values": torch.stack(self._images(positions.tolist(), view))}
        assert isinstance(preparation, TextPreparation)
        if view is None:
            return preparation.collate([self._encoded[p] for p in positions])
        ids = self.examples.ids[positions]
        changed: Any = [self.augment.text(t, view, int(i)) for t, i in zip(self.examples.inputs(positions), ids)]
        return preparation.collate(preparation.encode(changed))

    def _images(self, positions: list[int], view: int | None) -> list[Tensor]:
        """Images at the model's size, uint8 [C, H, W] each."""
        assert self.pictures is not None
        pictures = self.pictures.at(positions)
        if view is None:
            return pictures
        ids = self.examples.ids[positions].tolist()
        return [self.augment.image(picture, view, example) for picture, example in zip(pictures, ids)]

    def micros(
        self, steps: Iterable[Sequence[np.ndarray]], view: int | None = None, early: bool = False
    ) -> Iterator[list[Micro]]:
        """The micro-batches of each step, made ahead if there are worker processes.

        Worker processes decode each image once if there is room to keep it, and make the views of every epoch.

        early: make them ahead in a thread too, except views of images.
        """
        steps = [list(step) for step in steps]
        flat = [positions for step in steps for positions in step]
        batches: Iterator[Batch]
        in_workers = False
        if self.workers > 0 and self.pictures is not None and flat:
            every = np.unique(np.concatenate(flat))
            self.pictures.decode_once(every, lambda parts: in_processes(self._raw, parts, None, self.workers))
            in_workers = self.fresh or not self.pictures.has(every)
        if in_workers:
            batches = in_processes(self._raw, flat, view, self.workers)
        elif early and not (self.fresh and self.pictures is not None):  # torchvision draws from the global one
            batches = ahead(lambda positions: _pinned(self._raw(positions, view)), flat)
        else:
            batches = (self._raw(positions, view) for positions in flat)
        units = self.units
        for step in steps:
            size = max(1, int(units[np.concatenate(step)].sum())) if step else 1
            yield [self._micro(p, next(batches), size) for p in step]

    def _micro(self, positions: np.ndarray, batch: Batch, size: int) -> Micro:
        """The targets of conversations are tokens of the batch itself."""
        return Micro(positions, batch, batch.get(ANSWER_IDS, self.targets[positions]), size)


def _pinned(batch: Batch) -> Batch:
    """In pinned memory, because other large copies to a GPU wait for it."""
    if not torch.cuda.is_available():
        return batch
    return {k: v.pin_memory() if v.nbytes > PIN and not v.is_pinned() else v for k, v in batch.items()}
