"""Every image is decoded once before training: is it whole, and what does it look like in a few bits?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from headstart.core.errors import DataError
from headstart.data.images import TooLarge, decode

NEAR_BITS = 3
"differing bits of 64 up to which two images may be one picture"
NEAR_VALUES = 6.0
"mean difference of 8 x 8 thumbnails, of 255, up to which they are"


@dataclass(frozen=True)
class Look:
    """What one image's check found."""

    digest: int
    "64 bits of BLAKE2b over the file's bytes"
    problem: str = ""
    "empty, `unreadable` or `too_large`"
    detail: str = ""
    bits: int = 0
    "difference hash: is each of 8 x 8 places brighter than its right neighbour"
    thumbnail: bytes = b""
    "8 x 8 RGB, 192 bytes"


def look(item: bytes | str, max_pixels: int) -> Look:
    """Checks one image given as bytes or as a path. Never raises for a bad image."""
    try:
        data = item if isinstance(item, bytes) else Path(item).read_bytes()
    except OSError as error:
        return Look(0, "unreadable", error.strerror or str(error))
    digest = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
    try:
        image = decode(data, max_pixels)
    except TooLarge as error:
        return Look(digest, "too_large", str(error))
    except DataError as error:
        return Look(digest, "unreadable", str(error))
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = int.from_bytes(np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes(), "big")
    small = image.resize((8, 8), Image.Resampling.BOX)
    return Look(digest, bits=bits, thumbnail=small.tobytes())


def looks(items: Iterable[list[bytes | str]], max_pixels: int, workers: int) -> Iterator[list[Look]]:
    """Checks batches of images, in order whatever `workers` is.

    workers: threads (decoding releases the interpreter's lock); 0: in this one.
    """
    if workers <= 0:
        for batch in items:
            yield [look(item, max_pixels) for item in batch]
        return
    with ThreadPoolExecutor(workers) as pool:
        for batch in items:
            yield list(pool.map(lambda item: look(item, max_pixels), batch))


def near(bits: np.ndarray, thumbnails: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[pairs] bool: whether images `first[i]` and `second[i]` look alike.

    bits: [n] uint64. thumbnails: [n, 192] uint8. first, second: [pairs] indices.
    """
    close = np.bitwise_count(bits[first] ^ bits[second]) <= NEAR_BITS
    at = np.flatnonzero(close)
    apart = np.abs(thumbnails[first[at]].astype(np.int16) - thumbnails[second[at]]).mean(axis=1)
    close[at] = apart <= NEAR_VALUES
    return close


def bands(bits: np.ndarray) -> np.ndarray:
    """[n, 4] uint64: four 16-bit pieces; hashes within 3 bits of each other share at least one piece."""
    return np.stack([(bits >> np.uint64(16 * k)) & np.uint64(0xFFFF) for k in range(4)], axis=1)
