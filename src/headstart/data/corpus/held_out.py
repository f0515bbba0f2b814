"""Held-out paragraphs of a corpus, chosen by a hash of the text, so that no copy of one is trained on."""

from __future__ import annotations

import numpy as np

SHARE, AT_LEAST, AT_MOST = 50, 10, 2_000
"every 50th paragraph is held out for evaluation, but about 10 at least and 2,000 at most"
LOOKED_AT = 1 << 22
"number of paragraphs, spread over the corpus, from which the held-out ones are chosen"
FREQUENT = 20
"a text that every 20th paragraph repeats is not held out, if there are others"


def chosen(marks: np.ndarray) -> np.ndarray:
    """Sorted marks of the held-out paragraphs. marks: [n] hash of each paragraph's text.

    The choice is random like the hashes, and independent of the order of the paragraphs.
    """
    wanted = min(AT_MOST, max(AT_LEAST, len(marks) // SHARE))
    sample = marks[:: -(-len(marks) // LOOKED_AT) or 1]
    values, counts = np.unique(sample, return_counts=True)
    if len(values) < 2:
        return values[:0]
    rare = values[counts <= max(1, len(sample) // FREQUENT)]
    if not len(rare):
        return values[np.argmin(counts)][None]
    enough = np.cumsum(counts[np.isin(values, rare)]) >= wanted
    most = min(len(rare) - (len(rare) == len(values)), int(enough.argmax()) + 1 if enough.any() else len(rare))
    found: np.ndarray = rare[:most]
    return found


def is_among(marks: np.ndarray, held: np.ndarray) -> np.ndarray:
    """[n] True for marks among the sorted held-out ones."""
    at = np.searchsorted(held, marks)
    found: np.ndarray = held[np.minimum(at, len(held) - 1)] == marks if len(held) else np.zeros(len(marks), dtype=bool)
    return found


class Runs:
    """Windows of a stream without held-out paragraphs.

    starts, ends: [r] of the runs between them. length: ids per window; the last of a run has at least two.
    """

    def __init__(self, starts: np.ndarray, ends: np.ndarray, length: int) -> None:
        long = ends - starts >= 2
        self.starts, self.ends, self.length = starts[long], ends[long], length
        sizes = self.ends - self.starts
        counts = sizes // length + (sizes % length >= 2)
        self._before = np.cumsum(counts) - counts
        self.count = int(counts.sum())

    def windows(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Starts and lengths of these windows."""
        run = np.searchsorted(self._before, numbers, side="right") - 1
        starts = self.starts[run] + (numbers - self._before[run]) * self.length
        return starts, np.minimum(self.ends[run] - starts, self.length)
