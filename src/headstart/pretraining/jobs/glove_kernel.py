"""Compiled inner loop of GloVe; importing this file imports numba."""

from __future__ import annotations

import numpy as np
from numba import njit

LONGEST = np.float32(100.0)
"maximum absolute component of a step, as in the authors' program"


@njit(nogil=True, fastmath=True, cache=True, error_model="numpy")
def descend(entries, vectors, squares, rate, x_max, alpha):  # type: ignore[no-untyped-def]
    """One pass of AdaGrad over the entries, one at a time; returns the sum of their costs, each before its step.

    entries: records of row, column and count. vectors, squares: [2 V, D + 1] float32, words and then contexts, the
    bias last; squares holds 1 plus the squared steps so far. Both are changed in place, without locks.
    """
    vocabulary, size = len(vectors) // 2, vectors.shape[1] - 1
    cost = 0.0
    for n in range(len(entries)):
        a, b = np.int64(entries[n].row), np.int64(entries[n].column) + vocabulary
        word, context, square, other = vectors[a], vectors[b], squares[a], squares[b]
        count = entries[n].count
        error = word[size] + context[size] - np.log(count)
        for d in range(size):
            error += word[d] * context[d]
        weight = np.float32(1.0) if count > x_max else (count / x_max) ** alpha
        cost += 0.5 * weight * error * error
        step = rate * weight * error
        for d in range(size):
            mine = min(max(step * context[d], -LONGEST), LONGEST)
            its = min(max(step * word[d], -LONGEST), LONGEST)
            word[d] -= mine / np.sqrt(square[d])
            context[d] -= its / np.sqrt(other[d])
            square[d] += mine * mine
            other[d] += its * its
        word[size] -= step / np.sqrt(square[size])
        context[size] -= step / np.sqrt(other[size])
        square[size] += step * step
        other[size] += step * step
    return cost
