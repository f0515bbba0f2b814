"""Packed: a corpus as token ids on disk, and its pieces in random batches; memory does not grow with the corpus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.core.files import replacing_folder
from headstart.core.seeds import derive

BLOCK = 1 << 16
"units that are shuffled together: what lies in memory of an epoch's order"
HELD_OUT, AT_LEAST, AT_MOST = 50, 10, 2_000
"every 50th unit is held out to judge by, but about 10 at least and 2,000 at most"


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

    length: most ids of a piece. joined: pieces are windows of the whole stream, all of that length; otherwise each is
    a paragraph, or a part of a longer one.
    A unit is a window or a paragraph. Units are dealt to blocks in turn, so that each block is a fair sample of the
    corpus; an epoch takes the blocks in random order, and each block's pieces in random batches of like length.
    """

    def __init__(self, folder: Path, length: int, joined: bool) -> None:
        self.ids, self.ends = packed_ids(folder), _array(folder, "ends")
        self.length, self.joined = length, joined
        self.units = len(self.ids) // length if joined else len(self.ends)
        self.every = max(2, self.units // min(AT_MOST, max(AT_LEAST, self.units // HELD_OUT)))
        self.blocks = max(1, -(-self.units // BLOCK))

    def _pieces(self, units: np.ndarray) -> Pieces:
        if self.joined:
            return Pieces(units * self.length, np.full(len(units), self.length))
        whole = self.paragraphs(units)
        parts = -(-whole.lengths // self.length)  # of a long paragraph
        which = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
        starts = np.repeat(whole.starts, parts) + which * self.length
        return Pieces(starts, np.minimum(np.repeat(whole.lengths, parts) - which * self.length, self.length))

    def paragraphs(self, numbers: np.ndarray) -> Pieces:
        """Whole paragraphs, uncut."""
        starts = np.where(numbers > 0, self.ends[np.maximum(numbers, 1) - 1], 0)
        return Pieces(starts, self.ends[numbers] - 1 - starts)

    def following(self, starts: np.ndarray) -> np.ndarray:
        """Numbers of the paragraphs behind those in which these stretches begin; behind the last is the first."""
        return (np.searchsorted(self.ends, starts, side="right") + 1) % len(self.ends)

    @property
    def held_out(self) -> Pieces:
        """The pieces that are never trained on."""
        return self._pieces(np.arange(self.every - 1, self.units, self.every))

    def _block(self, block: int) -> Pieces:
        units = np.arange(block, self.units, self.blocks)
        return self._pieces(units[units % self.every != self.every - 1])

    def batches(self, tokens: int, extra: int, seed: int, epoch: int) -> Iterator[Pieces]:
        """One epoch's batches: each of like lengths, at most `tokens` ids when padded, `extra` a piece counted.

        Every epoch has as many.
        """
        rng = np.random.default_rng(derive(seed, "pieces", epoch))
        for block in rng.permutation(self.blocks):
            pieces = self._block(int(block))
            order = np.lexsort((rng.random(len(pieces)), pieces.lengths))[::-1]  # random among equals
            parts = _cut(pieces.lengths[order] + extra, tokens)
            for part in rng.permutation(len(parts) - 1):
                yield pieces.take(order[parts[part] : parts[part + 1]])

    def count(self, tokens: int, extra: int) -> int:
        """Batches of an epoch."""
        lengths = (np.sort(self._block(block).lengths)[::-1] + extra for block in range(self.blocks))
        return sum(len(_cut(found, tokens)) - 1 for found in lengths)


def packed_ids(folder: Path) -> np.ndarray:
    """The ids of a packed corpus, read from the disk as they are looked at."""
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
    """Writes lists of ids, a paragraph each, as they come, and returns how many ids of text there were.

    Two bytes an id where the vocabulary allows; the files' names end in the type of what they hold.
    """
    dtype = np.dtype(np.uint16 if vocabulary <= 1 << 16 else np.uint32)
    at = paragraphs = 0
    with (
        replacing_folder(folder) as place,
        (place / f"ids.{dtype.name}").open("wb") as ids,
        (place / "ends.int64").open("wb") as ends,
    ):
        for texts in encoded:
            ids.write(np.array([i for text in texts for i in (*text, separator)], dtype=dtype).tobytes())
            bounds = at + np.cumsum([len(text) + 1 for text in texts], dtype=np.int64)
            ends.write(bounds.tobytes())
            at, paragraphs = int(bounds[-1]), paragraphs + len(texts)
    return at - paragraphs
