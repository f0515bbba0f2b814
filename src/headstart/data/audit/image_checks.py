"""Image checks before training: decodes every image and tests that a model can see it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from headstart.core.errors import DataError
from headstart.core.records.decoding import ALONE, Decoding
from headstart.data.audit.findings import Severity
from headstart.data.images.decoding import ALPHA, BLANK, is_deep, rgb, settled, spread, visible_on
from headstart.data.images.deep_colour import deep_levels
from headstart.data.images.files import why_unread
from headstart.data.images.formats import TooLarge, is_dicom
from headstart.data.images.image import raw, upright

NEAR_BITS = 3
"maximum number of differing bits, of 64, for near-duplicate candidates"
NEAR_VALUES = 6.0
"maximum mean difference of 8 x 8 thumbnails, of 255, for near duplicates"
FAINT = 32
"minimum contrast in grey levels, of 256; an image with less shows a model little"
SMALL = 32
"side in pixels for comparing images across classes, because small backbones see no more"
STRIP = 4
"aspect ratio from which a centre crop loses most of an image"
SAMPLED = 100_000
"maximum number of grey levels that are checked per image"


@dataclass(frozen=True, slots=True)
class Look:
    """Result of the check of one image."""

    digest: int
    "64 bits of BLAKE2b over the file's bytes"
    problem: str = ""
    "empty, `unreadable` or `too_large`"
    detail: str = ""
    bits: int = 0
    "difference hash (dHash): one bit per place of 8 x 8, set if it is brighter than its right neighbour"
    thumbnail: bytes = b""
    "8 x 8 RGB, 192 bytes"
    small: int = 0
    "64 bits of BLAKE2b over the image at `SMALL` x `SMALL` pixels"
    spread: int = 255
    "largest difference within a channel after decoding"
    levels: int = 256
    "number of grey levels after decoding, for an image with more levels in its file; 256 for others"
    integers: tuple[float, ...] = ()
    "lowest, highest, 0.1th and 99.9th percentile of integer grey levels of more than 8 bits"
    floats: tuple[float, ...] = ()
    "the same for floating-point grey levels"
    backgrounds: tuple[int, ...] = ()
    "for an image with transparent pixels: background grey levels on which it stays visible"
    frames: bool = False
    "True if there are several frames or pages, of which only the first is read"
    strip: bool = False

    @property
    def asks(self) -> bool:
        """True if the data set's decoding rule changes the model's input."""
        return bool(self.integers or self.floats or self.backgrounds)


def look(item: bytes | str, max_pixels: int, decoding: Decoding = ALONE) -> Look:
    """Checks one image given as bytes or as a path. Never raises for a bad image."""
    try:
        data = item if isinstance(item, bytes) else Path(item).read_bytes()
    except OSError as error:
        return Look(0, "unreadable", why_unread(item, error))  # type: ignore[arg-type]
    digest = _hashed(data)
    try:
        image = raw(data, max_pixels, decoding)
        shown = rgb(upright(image), decoding)
        found = _seen(data, image, shown)
    except TooLarge as error:
        return Look(digest, "too_large", str(error))
    except DataError as error:
        return Look(digest, "unreadable", str(error))
    except MemoryError:
        return Look(digest, "too_large", "the image does not fit into memory")
    grey = np.asarray(shown.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    return Look(
        digest,
        bits=int.from_bytes(np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes(), "big"),
        thumbnail=shown.resize((8, 8), Image.Resampling.BOX).tobytes(),
        small=_hashed(shown.resize((SMALL, SMALL), Image.Resampling.BOX).tobytes()),
        spread=spread(shown),
        **found,  # type: ignore[arg-type]
    )


def _hashed(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


def _seen(data: bytes, image: Image.Image, shown: Image.Image) -> dict[str, object]:
    """The fields of a `Look` about the storage of the image."""
    found: dict[str, object] = {"strip": max(image.size) >= STRIP * min(image.size)}
    with contextlib.suppress(Exception):  # ignored, because only the first frame is read
        found["frames"] = image.format != "MPO" and bool(getattr(image, "is_animated", False))
    deep = np.asarray(image) if is_deep(image) else None if is_dicom(data) else deep_levels(data)
    if deep is not None:
        deep = deep[..., : 1 if deep.shape[-1] == 2 else 3] if deep.ndim == 3 else deep
        values = deep.reshape(-1)[:: max(1, deep.size // SAMPLED)]
        values = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        if values.size:
            ends = [*(float(v) for v in (np.nanmin(deep), np.nanmax(deep))), *np.percentile(values, [0.1, 99.9])]
            found["floats" if deep.dtype.kind == "f" else "integers"] = tuple(map(float, ends))
            levels = len(np.unique(np.asarray(shown.convert("L"))))
            found["levels"] = levels if len(np.unique(values)) > 2 * levels else 256
    if image.mode in ALPHA or "transparency" in image.info:
        clear = image.convert("RGBA")
        if clear.getchannel("A").getextrema()[0] < 255:  # type: ignore[operator]
            found["backgrounds"] = visible_on(clear)
    return found


def looks(
    items: Iterable[Sequence[bytes | str]], max_pixels: int, workers: int, decoding: Decoding = ALONE
) -> Iterator[list[Look]]:
    """Checks batches of images, in order whatever `workers` is.

    workers: number of threads; 0 means the calling thread. Threads help, because decoding releases the GIL.
    """
    if workers <= 0:
        for batch in items:
            yield [look(item, max_pixels, decoding) for item in batch]
        return
    with ThreadPoolExecutor(workers) as pool:
        for batch in items:
            yield list(pool.map(lambda item: look(item, max_pixels, decoding), batch))


def rule(found: Sequence[Look]) -> Decoding:
    """The decoding rule of a data set, from the checks of its training images."""
    return settled(
        [look.integers for look in found if look.integers],
        [look.floats for look in found if look.floats],
        [look.backgrounds for look in found if look.backgrounds],
    )


def remarks(look: Look) -> Iterator[tuple[str, Severity, str]]:
    """(kind, severity, message) of problems that make a valid image hard to see for a model."""
    if look.spread < BLANK:
        yield "blank", "warning", "{rows} with an image that is one colour after decoding"
    elif look.spread < FAINT:
        message = f"{{rows}} with an image that spans fewer than {FAINT} of 256 levels: scale its values to 0 … 255"
        yield "faint", "warning", message
    if look.levels < FAINT:
        message = f"{{rows}} with an image of which fewer than {FAINT} grey levels are left after scaling to 8 bits"
        yield "faint", "warning", message
    if look.strip:
        message = f"{{rows}} with an image at least {STRIP} times as long as wide: most models see only its middle"
        yield "strip", "warning", message
    if look.frames:
        yield "frames", "note", "{rows} with an image of several frames or pages: only the first is read"


def near(bits: np.ndarray, thumbnails: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[pairs] bool: True if images `first[i]` and `second[i]` look alike.

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
