"""Feed: the examples of a split as batches for one backbone; tokenized and decoded once."""

from __future__ import annotations

import copy
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from headstart.backbones.backbone import Backbone, Batch
from headstart.backbones.inputs.preparation import Encoded, ImagePreparation, TextPreparation
from headstart.backbones.inputs.word_marks import WORD_STARTS
from headstart.data.examples import Examples
from headstart.data.images.image import decode
from headstart.engine.feed.ahead import ahead
from headstart.engine.feed.augment import Augment
from headstart.engine.feed.tokens import Tokens

KEEP_BYTES = 1 << 30
"decoded images are kept in memory up to this size"

ENCODE = 8192
"texts that are tokenized at once"

TOGETHER = 32
"images that a worker process decodes before it hands them over"

PIN = 1 << 16
"bytes from which an input is copied to a GPU out of pinned memory"


@dataclass(frozen=True)
class Micro:
    """A batch that goes through the model at once, when its feed has `moved` it.

    positions: places in the feed; step: examples of its whole step, or words where each has a target.
    """

    positions: np.ndarray
    batch: Batch
    targets: Tensor
    step: int
    source: int = 0
    "number of the source, where a job has several"
    whole: bool = False
    "the loss is of all examples together: they are not parted into steps of their own"
    pieces: int = 1
    "in how many pieces such a batch goes through the model"
    streams: Mapping[str, Micro] = field(default_factory=dict)
    "as many examples of each of the plan's further streams, by name"

    def split(self, parts: int) -> list[Micro]:
        """The same examples in at most so many pieces of like size, none padded further than its longest."""
        if self.whole:
            return [replace(self, pieces=self.pieces * parts)]
        return self.cut(parts)

    def cut(self, parts: int) -> list[Micro]:
        if parts == 1:
            return [self]
        bounds = np.linspace(0, len(self.positions), min(parts, len(self.positions)) + 1).round().astype(int)
        pieces, along = [], {name: micro.cut(parts) for name, micro in self.streams.items()}
        for number, (a, b) in enumerate(itertools.pairwise(bounds)):
            batch = {name: value[a:b] for name, value in self.batch.items()}
            if "attention_mask" in batch:
                width = int(batch["attention_mask"].sum(1).max())
                batch = {k: v[:, :width] if v.dim() > 1 and k != WORD_STARTS else v for k, v in batch.items()}
            streams = {name: cut[number] for name, cut in along.items()}
            pieces.append(
                replace(self, positions=self.positions[a:b], targets=self.targets[a:b], batch=batch, streams=streams)
            )
        return pieces


class Feed:
    """lengths: [n] tokens an example, 1 for images; what the batches are planned by."""

    def __init__(
        self, name: str, examples: Examples, backbone: Backbone, augment: Augment | None = None, workers: int = 0
    ) -> None:
        self.name, self.examples, self.preparation = name, examples, backbone.preparation
        self.modality, self.augment, self.workers = backbone.modality, augment or Augment(), workers
        self.fresh = self.augment.fresh(self.modality)
        self.targets = torch.from_numpy(examples.targets)
        self._kept: dict[int, Tensor] = {}
        self.words: np.ndarray | None = None
        if isinstance(self.preparation, TextPreparation):
            self._encoded = Tokens(self._encode_in_parts(self.preparation))
            self.lengths, self.words = self._encoded.lengths, self._encoded.words
            if self.words is not None and self.targets.dim() == 2:
                self.targets = _seen(self.targets, self._encoded)
        else:
            self.lengths = np.ones(len(examples), dtype=np.int64)

    def __len__(self) -> int:
        return len(self.lengths)

    def _encode_in_parts(self, preparation: TextPreparation) -> Iterator[list[Encoded]]:
        """What a tokenizer returns takes twenty times the room of the ids in it."""
        for start in range(0, len(self.examples), ENCODE):
            texts: Any = self.examples.inputs(np.arange(start, min(start + ENCODE, len(self.examples))))
            yield preparation.encode(texts)

    @cached_property
    def content(self) -> str:
        """Hash of the inputs and of how they are prepared: the name of a feed says nothing of what is in it."""
        return f"{self.examples.content}:{json.dumps(self.preparation.to_json(), sort_keys=True)}"

    @property
    def costs(self) -> np.ndarray:
        """[n] what each example counts against `batch_tokens`."""
        if isinstance(self.preparation, ImagePreparation):
            return self.lengths * self.preparation.tokens
        return self.lengths

    @property
    def units(self) -> np.ndarray:
        """[n] by how many losses each example counts: one, or one for each of its words that has a target."""
        return np.ones(len(self), dtype=np.int64) if self.words is None else (self.targets >= 0).sum(1).numpy()

    @property
    def rows(self) -> np.ndarray:
        """[n] rows that a solved head gets of each example: one, or one for each word."""
        return np.ones(len(self), dtype=np.int64) if self.words is None else self.words

    @property
    def row_targets(self) -> Tensor:
        """[R, …] targets of all rows, in the order of the examples; -1 for words that the model does not see."""
        if self.words is None:
            return self.targets
        return self.targets[torch.arange(self.targets.shape[1]) < torch.from_numpy(self.words)[:, None]]

    @property
    def blank(self) -> tuple[int, ...]:
        """Shape of what is predicted for it, but for the scores: [n], or [n, L] of at most L words."""
        return (len(self),) if self.words is None else tuple(self.targets.shape[:2])

    def put_rows(self, out: Tensor, positions: np.ndarray, features: Tensor) -> None:
        """Features of a batch into those of all rows [R, D]."""
        if self.words is None:
            out[torch.from_numpy(positions)] = features
            return
        ends = np.cumsum(self.words)
        for position, each in zip(positions.tolist(), features):
            count = int(self.words[position])
            out[ends[position] - count : ends[position]] = each[:count]

    def seeded(self, seed: int) -> Feed:
        """This feed with the views that this seed draws; what was tokenized and decoded is shared."""
        other = copy.copy(self)
        other.augment = replace(self.augment, seed=seed)
        return other

    def none(self) -> Feed:
        """This feed without any example."""
        empty = copy.copy(self)
        empty.examples = self.examples.take([])
        empty.__dict__.pop("content", None)
        empty.lengths, empty.targets = self.lengths[:0], self.targets[:0]
        empty.words = None if self.words is None else self.words[:0]
        return empty

    def batch(self, positions: np.ndarray, view: int | None = None) -> Batch:
        """The examples at these positions; `view` numbers the augmented view, None is the plain one."""
        return self.moved(self._raw(positions, view), torch.device("cpu"))

    def moved(self, batch: Batch, device: torch.device) -> Batch:
        """A micro-batch's inputs on the device, where pixels become what the model takes: bytes travel faster."""
        if device.type == "cuda":
            batch = _pinned(batch)
        batch = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
        if isinstance(self.preparation, ImagePreparation):
            batch["pixel_values"] = self.preparation.normalised(batch["pixel_values"])
        return batch

    def _raw(self, positions: np.ndarray, view: int | None) -> Batch:
        """As it lies in memory: pixels are bytes."""
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
        """The images at the model's size, uint8 [C, H, W] each, decoded once where there is room to keep them."""
        new = [p for p in positions if p not in self._kept]
        pictures = {p: self._kept[p] for p in positions if p in self._kept}
        if new:
            with ThreadPoolExecutor(torch.get_num_threads()) as threads:  # Pillow works without the interpreter's lock
                pictures |= zip(new, threads.map(self._decoded, new))
        for p in new:
            self._keep(p, pictures[p])
        if view is None:
            return [pictures[p] for p in positions]
        return [self.augment.image(pictures[p], view, int(self.examples.ids[p])) for p in positions]

    def _keep(self, position: int, pixels: Tensor) -> bool:
        """Whether there is still room."""
        if self._kept_bytes + pixels.numel() > KEEP_BYTES:
            return False
        self._kept[position] = pixels
        return True

    @property
    def _kept_bytes(self) -> int:
        """Of pictures that all have one size; feeds under other seeds share them."""
        return len(self._kept) * next(iter(self._kept.values())).numel() if self._kept else 0

    def _decode_once(self, positions: np.ndarray) -> None:
        """Decodes in the workers what is not kept yet: what they keep themselves ends with them after an epoch."""
        new = np.array([p for p in positions.tolist() if p not in self._kept], dtype=np.int64)
        parts = [new[at : at + TOGETHER] for at in range(0, len(new), TOGETHER)]
        assert isinstance(self.preparation, ImagePreparation)
        if not parts or self._kept_bytes + self.preparation.channels * math.prod(self.preparation.size) > KEEP_BYTES:
            return
        for part, batch in zip(parts, self._loader(parts, None)):
            # copies: the workers' tensors lie in shared memory, of which each holds a file open
            if not all(self._keep(p, pixels.clone()) for p, pixels in zip(part.tolist(), batch["pixel_values"])):
                return

    def _loader(self, positions: list[np.ndarray], view: int | None) -> Iterator[Batch]:
        loader: Any = DataLoader(
            _Batches(self, positions, view), batch_size=None, shuffle=False, num_workers=self.workers
        )
        return iter(loader)

    def _decoded(self, position: int) -> Tensor:
        assert isinstance(self.preparation, ImagePreparation)
        encoded: Any = self.examples.inputs([position])[0]
        image = self.preparation.resize_and_crop(decode(encoded))
        return torch.from_numpy(np.array(image).reshape(image.height, image.width, -1)).permute(2, 0, 1)

    def micros(
        self, steps: Iterable[Sequence[np.ndarray]], view: int | None = None, early: bool = False
    ) -> Iterator[list[Micro]]:
        """Loads the micro-batches of each step, before they are asked for where there are worker processes.

        Worker processes decode each image once where there is room to keep it, and make the views of every epoch.

        early: in a thread too, but for views of images.
        """
        steps = [list(step) for step in steps]
        flat = [positions for step in steps for positions in step]
        batches: Iterator[Batch]
        in_workers = self.workers > 0 and self.modality == "image" and bool(flat)
        if in_workers:
            self._decode_once(np.unique(np.concatenate(flat)))
            in_workers = self.fresh or any(p not in self._kept for positions in flat for p in positions.tolist())
        if in_workers:
            batches = self._loader(flat, view)
        elif early and not (self.fresh and self.modality == "image"):  # torchvision draws from the one generator
            batches = ahead(lambda positions: _pinned(self._raw(positions, view)), flat)
        else:
            batches = (self._raw(positions, view) for positions in flat)
        units = self.units
        for step in steps:
            size = max(1, int(units[np.concatenate(step)].sum())) if step else 1
            yield [Micro(p, next(batches), self.targets[p], size) for p in step]


def _seen(targets: Tensor, tokens: Tokens) -> Tensor:
    """[n, L] without the targets of words that were cut off."""
    assert tokens.words is not None
    example = np.repeat(np.arange(len(tokens.words)), tokens.words)
    word = np.arange(len(tokens.starts)) - np.repeat(np.cumsum(tokens.words) - tokens.words, tokens.words)
    cut = torch.from_numpy(tokens.starts < 0)
    found = targets.clone()
    found[torch.from_numpy(example)[cut], torch.from_numpy(word)[cut]] = -1
    return found


def _pinned(batch: Batch) -> Batch:
    """A large copy to a GPU waits for it unless it starts from pinned memory."""
    if not torch.cuda.is_available():
        return batch
    return {k: v.pin_memory() if v.nbytes > PIN and not v.is_pinned() else v for k, v in batch.items()}


class _Batches(Dataset[Batch]):
    """The batches of a feed as a dataset, so that PyTorch's loader can make them in worker processes."""

    def __init__(self, feed: Feed, positions: list[np.ndarray], view: int | None) -> None:
        self.feed, self.positions, self.view = feed, positions, view

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int) -> Batch:
        return self.feed._raw(self.positions[index], self.view)
