"""Co-occurrence matrix (GloVe), counted in limited memory and stored on disk in random order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from headstart.core.disk.files import replacing_folder
from headstart.core.progress import Progress
from headstart.core.seeds import derive

ENTRY = np.dtype([("row", np.uint32), ("column", np.uint32), ("count", np.float32)])
"X[row, column]"
PAIR = np.dtype([("key", np.uint64), ("count", np.float64)])
"a pair of words in either order: key - 1 = smaller id * vocabulary + larger id"
LOAD = 0.7
"maximum load of the hash table, as a share of its slots"
BLOCK = 1 << 23
"number of entries that are shuffled and used together"
AT_ONCE = 1 << 20
"number of words, and of pairs per run, that are processed at once if memory allows"
MERGING = 96
"bytes per pair while runs are merged"


@dataclass(frozen=True)
class Cooccurrence:
    """The entries X_ij > 0 of a symmetric matrix, in blocks; each is a fair sample of all, in random order."""

    folder: Path

    @cached_property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("block-*"))

    def __len__(self) -> int:
        return sum(file.stat().st_size for file in self.files) // ENTRY.itemsize

    def block(self, number: int) -> np.ndarray:
        """Entries of `ENTRY`'s type, [n]."""
        return np.fromfile(self.files[number], dtype=ENTRY)


def count(
    ids: np.ndarray, vocabulary: int, window: int, folder: Path, memory: float, seed: int, progress: Progress
) -> Cooccurrence:
    """Sums 1/distance over all pairs of words at most `window` apart, in both directions, and writes a folder.

    ids: words of a packed corpus; the id `vocabulary` separates paragraphs, and no pair crosses it.
    memory: size of the hash table of pairs, in gibibytes. A full table is sorted and written as a run; the runs are
    merged at the end.
    """
    with replacing_folder(folder) as place:
        runs = list(_runs(ids, vocabulary, window, place, memory, progress))
        blocks = max(1, -(-2 * sum(map(len, runs)) // BLOCK))
        places = [place / f"block-{number:06d}" for number in range(blocks)]
        for path in places:
            path.touch()
        at_once = max(1, min(AT_ONCE, int(memory * (1 << 30) / (MERGING * len(runs)))))
        for turn, pairs in enumerate(merged(runs, at_once)):
            entries = _both_ways(pairs, vocabulary)
            # opened one by one, because there may be more than a process may have open
            for number, path in enumerate(places):
                with path.open("ab") as file:
                    file.write(entries[(number + turn) % blocks :: blocks].tobytes())
        for number, path in enumerate(places):
            entries = np.fromfile(path, dtype=ENTRY)
            order = np.random.default_rng(derive(seed, "entries", number)).permutation(len(entries))
            path.write_bytes(entries[order].tobytes())
        for path in place.glob("run-*"):
            path.unlink()
    return Cooccurrence(folder)


def _runs(
    ids: np.ndarray, vocabulary: int, window: int, place: Path, memory: float, progress: Progress
) -> Iterator[np.ndarray]:
    """Runs of sorted, distinct pairs; on disk unless there is only one."""
    from headstart.data.corpus.cooccurrence_kernel import gather

    needed = 2 * max(1, min(len(ids) * window, vocabulary * (vocabulary + 1) // 2))
    room = memory * (1 << 30) / PAIR.itemsize
    slots = 1 << max(4 + window.bit_length(), int(np.log2(min(needed, room))))
    table, at, filled, written = np.zeros(slots, dtype=PAIR), 0, 0, 0
    while at < len(ids):
        part = ids[max(0, at - window) : at + AT_ONCE]
        start = min(window, at)
        stopped, filled = gather(part, start, vocabulary, window, table, filled, int(LOAD * slots))
        progress.advance(stopped - start)
        at += stopped - start
        if stopped < len(part):
            path = place / f"run-{written:06d}"
            path.write_bytes(_sorted(table).tobytes())
            yield np.memmap(path, dtype=PAIR, mode="r")
            table["key"] = table["count"] = 0
            filled, written = 0, written + 1
    yield _sorted(table)


def _sorted(table: np.ndarray) -> np.ndarray:
    pairs = table[table["key"] > 0]
    return pairs[np.argsort(pairs["key"])]


def merged(runs: Sequence[np.ndarray], at_once: int) -> Iterator[np.ndarray]:
    """Merges the sorted runs, summing counts of equal keys, with at most `at_once` pairs of each run in memory."""
    at = [0] * len(runs)
    while any(a < len(run) for a, run in zip(at, runs)):
        last = min(int(run["key"][min(a + at_once, len(run)) - 1]) for a, run in zip(at, runs) if a < len(run))
        parts = []
        for number, run in enumerate(runs):
            part = run[at[number] : at[number] + at_once]
            part = part[: np.searchsorted(part["key"], np.uint64(last), side="right")]
            at[number] += len(part)
            parts.append(part)
        pairs = np.concatenate(parts)
        if len(runs) > 1:
            pairs = pairs[np.argsort(pairs["key"], kind="stable")]
            first = np.flatnonzero(np.diff(pairs["key"], prepend=np.uint64(0)))
            sums = np.add.reduceat(pairs["count"], first)
            pairs = pairs[first]
            pairs["count"] = sums
        yield pairs


def _both_ways(pairs: np.ndarray, vocabulary: int) -> np.ndarray:
    """X_ij and X_ji of each pair; a word with itself counts twice, because each is in the other's window."""
    first, second = np.divmod(pairs["key"] - np.uint64(1), np.uint64(vocabulary))
    other = first != second
    entries = np.empty(len(pairs) + int(other.sum()), dtype=ENTRY)
    entries["row"] = np.concatenate([first, second[other]])
    entries["column"] = np.concatenate([second, first[other]])
    entries["count"] = np.concatenate([pairs["count"] * np.where(other, 1, 2), pairs["count"][other]])
    return entries
