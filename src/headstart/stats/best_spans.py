"""The best answers of a passage by the chances of each sign to begin and to end one (n-best)."""

from __future__ import annotations

import numpy as np

LONGEST_ANSWER = 300
"characters; longer pieces of a passage are no answers"
BEGINS = 20
"most probable begins from which answers are made"


def best(row: np.ndarray, without: bool, most: int = 1) -> list[tuple[int, int, float]]:
    """The most probable answers as first sign, last sign and probability; signs 0, 0 are no answer.

    row: [C, 2] chances to begin and to end. without: there may be no answer.
    """
    begins = np.argsort(-row[1:, 0], kind="stable")[:BEGINS] + 1
    ends = np.flatnonzero(row[1:, 1] > 0) + 1
    joint = row[begins, 0][:, None].astype(np.float64) * row[ends, 1][None]  # [begins, ends]
    size = ends[None] - begins[:, None]
    joint[(size < 0) | (size >= LONGEST_ANSWER)] = 0.0
    order = np.argsort(-joint, axis=None, kind="stable")[:most]
    found = [(int(begins[at // len(ends)]), int(ends[at % len(ends)]), float(joint.flat[at])) for at in order]
    found = [one for one in found if one[2] > 0]
    if without or not found:
        found.append((0, 0, float(row[0, 0]) * float(row[0, 1])))
    return sorted(found, key=lambda one: -one[2])[:most]
