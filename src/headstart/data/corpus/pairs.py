"""Pairs of images and captions, read from tables into a store on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from headstart.core.errors import DataError, suggestion
from headstart.core.seeds import derive
from headstart.data.audit.findings import Findings
from headstart.data.examples import Examples
from headstart.data.images.image import decode
from headstart.data.ingest.store import Store
from headstart.data.tables.sources import resolve
from headstart.data.tables.table import Column, ImagePath, Table, readable

CAPTIONS = ("caption", "captions", "text", "description", "alt", "title")
"default caption columns; the first existing one is used"
VALIDATION, AT_LEAST, AT_MOST = 0.05, 2, 1_000
"held-out share of the pairs, with its minimum (two, because retrieval needs another pair) and maximum"


@dataclass(frozen=True)
class Pairs:
    """images, texts: pairs row by row. columns, splits: their origin."""

    images: Examples
    texts: Examples
    columns: tuple[str, ...] = ()
    splits: tuple[str, ...] = ("train",)

    def __len__(self) -> int:
        return len(self.images)

    def take(self, positions: np.ndarray) -> Pairs:
        return Pairs(self.images.take(positions), self.texts.take(positions), self.columns, self.splits)


def read_pairs(sources: Sequence[str], caption: str | None, findings: Findings, split: str = "train") -> Pairs:
    """All pairs of this split of the sources with a caption and a readable image.

    split: sources without this split give their training tables. caption: a column, or several separated by commas,
    whose texts are joined by commas (`folder new, action`).

    Raises `DataError` if a table has no column of images, or none of captions.
    """
    kind = pa.schema([("image", pa.large_binary()), ("caption", pa.large_string()), ("place", pa.large_string())])
    captions_of: dict[str, None] = {}
    splits: dict[str, None] = {}
    with Store(kind) as store:
        for source in sources:
            found = resolve(source)
            here = split if split in found else "train"
            splits[here] = None
            for table in found[here]:
                names = _columns(table, caption)
                captions_of.update(dict.fromkeys(names[1:]))
                for chunk in readable(table, list(names), findings):
                    rows = zip(chunk.places, chunk.columns[names[0]], zip(*(chunk.columns[name] for name in names[1:])))
                    kept = [row for place, image, told in rows if (row := _row(place, image, told, findings))]
                    if kept:
                        images, captions, places = (list(column) for column in zip(*kept))
                        store.write({"image": images, "caption": captions, "place": places})
        table = store.open()
    if not len(table):
        raise DataError(f"{', '.join(sources)} holds no pair of an image and a text.")
    every = np.arange(len(table))
    none = np.zeros(len(table), dtype=np.int64)
    pictures, said = (
        Examples(table.select([name, "place"]).rename_columns(["input", "place"]), every, every, none)
        for name in ("image", "caption")
    )
    return Pairs(pictures, said, tuple(captions_of), tuple(splits))


def held_out(pairs: Pairs, seed: int) -> tuple[Pairs, Pairs]:
    """Training and held-out pairs; all captions of an image stay on one side."""
    key = derive(seed, "pairs").to_bytes(8, "big")
    digests = [
        hashlib.blake2b(data, digest_size=8, key=key).digest()
        for at in range(len(pairs))
        for data in pairs.images.inputs(np.array([at]))
        if isinstance(data, bytes)
    ]
    order = sorted(range(len(pairs)), key=lambda at: (digests[at], at))
    count = min(AT_MOST, max(AT_LEAST, round(VALIDATION * len(pairs))))
    while count < len(order) and digests[order[count]] == digests[order[count - 1]]:
        count += 1
    return pairs.take(np.sort(order[count:])), pairs.take(np.sort(order[:count]))


def _columns(table: Table, caption: str | None) -> tuple[str, ...]:
    columns = table.sample()
    listed = f"Columns: {', '.join(f'{one.name} ({one.kind})' for one in columns)}."
    images = [one.name for one in columns if one.kind == "image"]
    if len(images) != 1:
        raise DataError(f"{table.name} has {len(images)} columns of images; pairs need one. {listed}")
    if caption is not None and caption not in [one.name for one in columns]:
        named = [name.strip() for name in caption.split(",")]
        return images[0], *(_caption(table.name, columns, name, listed) for name in named)
    return images[0], _caption(table.name, columns, caption, listed)


def _caption(name: str, columns: Sequence[Column], caption: str | None, listed: str) -> str:
    known = [one.name for one in columns]
    if caption is not None:
        if caption not in known:
            raise DataError(f"{name} has no column {caption!r}.{suggestion(caption, known)} {listed}")
        return caption
    found = next((one for wanted in CAPTIONS for one in known if one.lower() == wanted), None)
    if found is None:
        raise DataError(f"{name}: no column looks like captions. Name it with --text. {listed}")
    return found


def _row(place: str, image: object, said: Sequence[object], findings: Findings) -> tuple[bytes, str, str] | None:
    data = image.get("bytes") if isinstance(image, dict) else image
    text = ", ".join(told for part in said if part is not None and (told := str(part).strip()))
    if not text:
        findings.leave_out("empty", "{rows} without a caption, left out", place)
        return None
    try:
        data = Path(data).read_bytes() if isinstance(data, ImagePath) else data
        if not isinstance(data, bytes):
            raise DataError("no image")
        decode(data)
    except (OSError, DataError):
        findings.leave_out("unreadable", "{rows} without a readable image, left out", place)
        return None
    return data, text, place
