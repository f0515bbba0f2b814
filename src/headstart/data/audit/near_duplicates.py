"""Near duplicates between two splits in linear time: MinHash over shingles, and LSH bands for candidates.

A. Broder, On the resemblance and containment of documents (1997); Leskovec, Rajaraman, Ullman, Mining of Massive
Datasets, 3.4: with `BANDS` bands of `ROWS` hashes two texts of resemblance s meet with 1 - (1 - s^4)^5, which is 93 %
at 0.8 and 99.5 % at 0.9. What meets is then compared exactly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

SHINGLE = 5
"characters"
BANDS, ROWS = 5, 4
NEAR = 0.8
"minimum Jaccard similarity of the shingles of near duplicates"
TEXT_READ = 20_000
"maximum number of characters of a text that are compared"
CANDIDATES = 8
"maximum number of candidates per row and band"
MOST_CHECKS = 50_000
"maximum number of comparisons, because data from one template would take too long"

_SPACES = re.compile(r"[\W_]+")
_ODD = np.random.default_rng(20_240_501).integers(1, 2**63, BANDS * ROWS, dtype=np.uint64) | np.uint64(1)
_MIX = np.uint64(0x9E3779B97F4A7C15)

Same = Callable[[np.ndarray, np.ndarray], np.ndarray]


def normal(text: str) -> str:
    """The text in lower case with only letters, digits and single spaces; a text without letters is unchanged."""
    text = text[:TEXT_READ]
    return _SPACES.sub(" ", text.casefold()).strip() or text


def signatures(texts: Sequence[str]) -> np.ndarray:
    """[n, BANDS] uint64 MinHash bands: equal texts (after `normal`) share all bands, similar ones some.

    Texts must not be empty.
    """
    gap = "\0" * (SHINGLE - 1)
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    joined = np.frombuffer((gap.join(texts) + gap).encode("utf-32-le", "replace"), dtype=np.uint32)  # [characters]
    windows = len(joined) - SHINGLE + 1
    hashes = np.zeros(windows, dtype=np.uint64)
    for k in range(SHINGLE):
        hashes = (hashes ^ joined[k : k + windows]) * _MIX
        hashes ^= hashes >> np.uint64(29)
    starts = np.concatenate([[0], np.cumsum(lengths + SHINGLE - 1)[:-1]])
    # windows that start between two texts belong to none
    edges = np.stack([starts, starts + lengths], axis=1).reshape(-1)
    edges = edges[edges < windows]
    found = np.empty((len(texts), BANDS), dtype=np.uint64)
    for band in range(BANDS):
        key = np.zeros(len(texts), dtype=np.uint64)
        for odd in _ODD[band * ROWS : (band + 1) * ROWS]:
            smallest = np.minimum.reduceat((hashes * odd) >> np.uint64(20), edges)[::2]  # [n]
            key = (key ^ smallest) * _MIX
            key ^= key >> np.uint64(31)
        found[:, band] = key
    return found


def resemblance(first: str, second: str) -> float:
    """Jaccard similarity of the two texts' shingles, after `normal`."""
    a, b = _shingles(normal(first)), _shingles(normal(second))
    return len(a & b) / len(a | b)


def _shingles(text: str) -> set[str]:
    return {text[at : at + SHINGLE] for at in range(len(text))}


def crossing(bands: np.ndarray, held: np.ndarray, others: np.ndarray, same: Same) -> list[tuple[int, int]]:
    """(row of `held`, row of `others`) pairs that are near duplicates, at most one a row of `held`.

    bands: [n, bands] uint64 of all rows. held, others: row indices. same: compares two index arrays pairwise.
    """
    partner: dict[int, int] = {}
    checks = 0
    for band in range(bands.shape[1]):
        order = others[np.argsort(bands[others, band], kind="stable")]
        keys = bands[order, band]
        open_rows = np.array([row for row in held.tolist() if row not in partner], dtype=np.int64)
        left = np.searchsorted(keys, bands[open_rows, band], side="left")
        right = np.searchsorted(keys, bands[open_rows, band], side="right")
        for step in range(CANDIDATES):
            meets = np.flatnonzero(left + step < right)[: max(0, MOST_CHECKS - checks)]
            if not len(meets):
                break
            rows, candidates = open_rows[meets], order[left[meets] + step]
            checks += len(meets)
            alike = same(rows, candidates)
            partner.update(zip(rows[alike].tolist(), candidates[alike].tolist()))
            left, right = left.copy(), right.copy()
            right[meets[alike]] = 0  # found: no further candidates
    return sorted(partner.items())
