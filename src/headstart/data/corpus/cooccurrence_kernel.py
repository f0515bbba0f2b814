"""Compiled inner loop of co-occurrence counting; importing this file imports numba."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def gather(ids, start, vocabulary, window, table, filled, most):  # type: ignore[no-untyped-def]
    """Adds 1/distance for each pair of words in a window to a hash table with linear probing.

    table: a power of two of records with key and count; key 0 is a free slot. Stops before a word that might fill more
    than `most` slots; returns the position where it stopped and the number of filled slots.
    """
    mask = np.uint64(len(table) - 1)
    for at in range(start, len(ids)):
        word = np.uint64(ids[at])
        if word == vocabulary:
            continue
        if filled + window > most:
            return at, filled
        for distance in range(1, min(window, at) + 1):
            other = np.uint64(ids[at - distance])
            if other == vocabulary:  # a paragraph ends here
                break
            key = min(word, other) * np.uint64(vocabulary) + max(word, other) + np.uint64(1)
            slot = (key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20) & mask
            while table[slot].key != 0 and table[slot].key != key:
                slot = (slot + np.uint64(1)) & mask
            if table[slot].key == 0:
                table[slot].key = key
                filled += 1
            table[slot].count += 1.0 / distance
    return len(ids), filled
