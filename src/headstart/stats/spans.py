"""Entities as spans of words, read off tags of the schemes IOB1, IOB2 (BIO), IOBES and BILOU.

A span begins at `B` or `S` (`U`), where the type changes, and at a word inside (`I`, `E`) that no span leads to; it
ends at `E` or `S`, and before whatever does not go on with it. So are the spans of conlleval (Tjong Kim Sang & Buchholz
2000) and of seqeval in its default mode. A span counts as found where its type, its first and its last word agree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PREFIXES = {"B": 1, "I": 2, "E": 3, "S": 4, "L": 3, "U": 4}
"codes of the place in a span; 0 is outside. BILOU's last and unit are IOBES' end and single"
OUTSIDE, BEGIN, INSIDE, END, SINGLE = range(5)
_TAG = re.compile(r"([BIESLU])-(.+)")


@dataclass(frozen=True)
class Scheme:
    """places: [C + 1] code of each tag's place in a span; types: [C + 1] number of its type, -1 outside.

    The last entry is that of a word without any tag, index -1.
    """

    names: tuple[str, ...]
    places: np.ndarray
    types: np.ndarray

    @classmethod
    def of(cls, tags: Sequence[str]) -> Scheme | None:
        """The scheme of these tags; None where they are no spans, such as parts of speech."""
        found = [None if tag == "O" else _TAG.fullmatch(tag) for tag in tags]
        if not any(found) or any(match is None for tag, match in zip(tags, found) if tag != "O"):
            return None
        names = tuple(sorted({match[2] for match in found if match}))
        places = [PREFIXES[match[1]] if match else OUTSIDE for match in found]
        types = [names.index(match[2]) if match else -1 for match in found]
        return cls(names, np.array([*places, OUTSIDE]), np.array([*types, -1]))


@dataclass(frozen=True)
class Spans:
    """kind: [n, L] type of the span that begins at a word, -1 for none; last: [n, L] where that span ends."""

    kind: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, tags: np.ndarray, scheme: Scheme) -> Spans:
        """tags: [n, L] indices, -1 for words without a tag and behind the end."""
        after = np.pad(tags, ((0, 0), (0, 1)), constant_values=-1)  # [n, L + 1]
        before = np.pad(tags, ((0, 0), (1, 0)), constant_values=-1)
        place, was = scheme.places[after], scheme.places[before]
        kind, had = scheme.types[after], scheme.types[before]
        into = (place == INSIDE) | (place == END)
        alone = (was == OUTSIDE) | (was == END) | (was == SINGLE)
        begins = (place == BEGIN) | (place == SINGLE) | (into & (alone | (kind != had)))
        ends = (was != OUTSIDE) & (~into | alone | (kind != had))  # before this word
        size = tags.shape[1]
        where = np.where(ends[:, 1:], np.arange(size), size)  # [n, L] the word itself where a span ends with it
        last = np.minimum.accumulate(where[:, ::-1], axis=1)[:, ::-1]
        return cls(np.where(begins[:, :size], kind[:, :size], -1), last)


def span_counts(true: np.ndarray, predicted: np.ndarray, scheme: Scheme) -> np.ndarray:
    """[n, 3, types] found, predicted and true spans of each type in each sentence. true, predicted: [n, L] tags."""
    truth, guess = Spans.of(true, scheme), Spans.of(predicted, scheme)
    hit = (truth.kind >= 0) & (truth.kind == guess.kind) & (truth.last == guess.last)
    kinds = np.arange(len(scheme.names))
    counts = [
        ((one.kind[..., None] == kinds) & mask[..., None]).sum(1)
        for one, mask in ((truth, hit), (guess, guess.kind >= 0), (truth, truth.kind >= 0))
    ]
    return np.stack(counts, 1).astype(np.float64)
