"""Packed corpus: token ids on disk, and pieces in random batches; memory is independent of its size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash

from headstart.core.disk.files import replacing_folder
from headstart.core.seeds import derive
from headstart.data.corpus import held_out

BLOCK = 1 << 16
"number of units that are shuffled together, which bounds the memory"
FEW = 200
"with fewer paragraphs, windows are held out by position, because one paragraph may be a whole book"


@dataclass(frozen=True)
class Pieces:
    """Stretches of the stream. starts, lengths: [n]"""

    starts: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, places: np.ndarray) -> Pieces:
        return Pieces(self.starts[places], self.lengths[places])


class Packed:
    """The ids of all paragraphs one after the other, each followed by a separator.

    length: maximum number of ids in a piece.
    joined: True if pieces are windows of the stream between held-out paragraphs; else each is a paragraph or a part of
        a longer one.

    A unit is a window or a paragraph. Units are dealt to blocks in turn, so that each block is a fair sample; an epoch
    takes the blocks in random order, and the pieces of a block in random batches of similar length.
    """

    def __init__(self, folder: Path, length: int, joined: bool) -> None:
        self.ids = packed_ids(folder)
        self.ends, self.marks = _array(folder, "ends"), _array(folder, "marks")
        self.length, self.joined = length, joined
        self._held = held_out.chosen(self.marks)
        self._by_place = joined and len(self.ends) < FEW
        self._runs = self._between() if joined else None
        self.units = self._runs.count if self._runs else len(self.ends)
        self.blocks = max(1, -(-self.units // BLOCK))

    def _between(self) -> held_out.Runs:
        """Windows of the stream, including held-out ones if these are chosen by position."""
        if self._by_place:
            return held_out.Runs(np.array([0]), np.array([len(self.ids)]), self.length)
        held = self._held_numbers()
        starts = np.where(held > 0, self.ends[np.maximum(held, 1) - 1], 0)
        return held_out.Runs(np.append(0, self.ends[held]), np.append(starts, len(self.ids)), self.length)

    def _held_numbers(self) -> np.ndarray:
        """Numbers of the held-out paragraphs, computed in chunks."""
        parts = [
            at + np.flatnonzero(held_out.is_among(self.marks[at : at + BLOCK], self._held))
            for at in range(0, len(self.marks), BLOCK)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def is_held(self, paragraphs: np.ndarray) -> np.ndarray:
        """[n] True for held-out paragraphs."""
        return held_out.is_among(self.marks[paragraphs], self._held)

    def _pieces(self, units: np.ndarray) -> Pieces:
        if self._runs:
            return Pieces(*self._runs.windows(units))
        return self._parts(self.paragraphs(units))

    def _parts(self, whole: Pieces) -> Pieces:
        """Cuts stretches into pieces of at most `length`."""
        parts = -(-whole.lengths // self.length)
        which = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
        starts = np.repeat(whole.starts, parts) + which * self.length
        return Pieces(starts, np.minimum(np.repeat(whole.lengths, parts) - which * self.length, self.length))

    def paragraphs(self, numbers: np.ndarray) -> Pieces:
        """Whole paragraphs."""
        starts = np.where(numbers > 0, self.ends[np.maximum(numbers, 1) - 1], 0)
        return Pieces(starts, self.ends[numbers] - 1 - starts)

    def following(self, starts: np.ndarray) -> np.ndarray:
        """Numbers of the paragraphs after those of these stretches; the first follows the last."""
        return (np.searchsorted(self.ends, starts, side="right") + 1) % len(self.ends)

    @property
    def held_out(self) -> Pieces:
        """The held-out pieces."""
        if self._by_place:
            return self._pieces(np.flatnonzero(self._at_held_place(np.arange(self.units))))
        whole = self.paragraphs(self._held_numbers())
        # plus one, because in a stream the separator is predicted too
        return self._parts(Pieces(whole.starts, whole.lengths + 1) if self.joined else whole)

    def _at_held_place(self, units: np.ndarray) -> np.ndarray:
        every = max(2, self.units // min(held_out.AT_MOST, max(held_out.AT_LEAST, self.units // held_out.SHARE)))
        return units % every == every - 1

    def _block(self, block: int) -> Pieces:
        units = np.arange(block, self.units, self.blocks)
        if self._by_place:
            units = units[~self._at_held_place(units)]
        elif not self.joined:
            units = units[~self.is_held(units)]
        return self._pieces(units)

    def batches(self, tokens: int, extra: int, seed: int, epoch: int) -> Iterator[Pieces]:
        """Batches of one epoch, of similar lengths and at most `tokens` ids after padding, plus `extra` per piece.

        All epochs have the same number of batches.
        """
        rng = np.random.default_rng(derive(seed, "pieces", epoch))
        for block in rng.permutation(self.blocks):
            pieces = self._block(int(block))
            order = np.lexsort((rng.random(len(pieces)), pieces.lengths))[::-1]  # random order among equal lengths
            parts = _cut(pieces.lengths[order] + extra, tokens)
            for part in rng.permutation(len(parts) - 1):
                yield pieces.take(order[parts[part] : parts[part + 1]])

    def count(self, tokens: int, extra: int) -> int:
        """Number of batches of an epoch."""
        lengths = (np.sort(self._block(block).lengths)[::-1] + extra for block in range(self.blocks))
        return sum(len(_cut(found, tokens)) - 1 for found in lengths)


def packed_ids(folder: Path) -> np.ndarray:
    """The ids of a packed corpus, memory-mapped."""
    return _array(folder, "ids")


def _array(folder: Path, name: str) -> np.ndarray:
    (path,) = folder.glob(f"{name}.*")
    return np.memmap(path, dtype=path.suffix[1:], mode="r").view(np.ndarray)


def _cut(lengths: np.ndarray, tokens: int) -> list[int]:
    """Bounds of consecutive parts of falling `lengths` whose padded size, longest times count, fits `tokens`."""
    bounds = [0]
    while bounds[-1] < len(lengths):
        bounds.append(min(len(lengths), bounds[-1] + max(1, tokens // int(lengths[bounds[-1]]))))
    return bounds


def pack(folder: Path, encoded: Iterable[list[list[int]]], separator: int, vocabulary: int) -> int:
    """Streams lists of ids, one per paragraph, to disk; returns the number of ids.

    Also writes a hash of each paragraph. Ids take two bytes if the vocabulary allows; the file names end in the type.
    """
    dtype = np.dtype(np.uint16 if vocabulary <= 1 << 16 else np.uint32)
    at = paragraphs = 0
    with (
        replacing_folder(folder) as place,
        (place / f"ids.{dtype.name}").open("wb") as ids,
        (place / "ends.int64").open("wb") as ends,
        (place / "marks.uint64").open("wb") as marks,
    ):
        for texts in encoded:
            ids.write(np.array([i for text in texts for i in (*text, separator)], dtype=dtype).tobytes())
            rows = [np.array(text, dtype=dtype).tobytes() for text in texts]
            marks.write(np.array([xxhash.xxh3_64_intdigest(row) for row in rows], dtype=np.uint64).tobytes())
            bounds = at + np.cumsum([len(text) + 1 for text in texts], dtype=np.int64)
            ends.write(bounds.tobytes())
            at, paragraphs = int(bounds[-1]), paragraphs + len(texts)
    return at - paragraphs
