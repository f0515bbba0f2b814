"""Prints: one pass over the stored inputs that gives each row a digest and what near duplicates are found by."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headstart.data import image_checks, near_duplicates
from headstart.data.findings import Findings
from headstart.data.task import Modality

_ROWS = 4_096
_IMAGES = 256

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class Prints:
    """digest: [n] uint64 of each input's bytes. usable: [n] bool. bands: [n, b] uint64. bits, thumbnails: of images."""

    digest: np.ndarray
    usable: np.ndarray
    bands: np.ndarray
    bits: np.ndarray | None = None
    thumbnails: np.ndarray | None = None


def take_prints(
    table: pa.Table,
    modality: Modality,
    max_pixels: int,
    workers: int,
    findings: Findings,
    progress: Progress | None,
) -> Prints:
    """Reads every input once; images that can't be decoded or are too large are noted and marked unusable."""
    if modality == "image":
        return _images(table, max_pixels, workers, findings, progress)
    digests, bands, done = [], [], 0
    for texts, both in _texts(table):
        hashed = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in both]
        digests.append(np.frombuffer(b"".join(hashed), dtype=">u8").astype(np.uint64))
        bands.append(near_duplicates.signatures(texts))
        done += len(both)
        if progress is not None:
            progress("checking", done)
    digest = np.concatenate(digests)
    return Prints(digest, np.ones(len(digest), dtype=bool), np.concatenate(bands))


def _texts(table: pa.Table) -> Iterator[tuple[list[str], list[str]]]:
    """(normalised texts, raw texts) by batch; the two of a pair are one text with a sign between."""
    pair = "input_b" in table.column_names
    for batch in table.select(["input", "input_b"] if pair else ["input"]).to_batches(max_chunksize=_ROWS):
        raw = batch.column(0).to_pylist()
        if pair:
            raw = [f"{first}\x1f{second}" for first, second in zip(raw, batch.column(1).to_pylist())]
        yield [near_duplicates.normal(text) for text in raw], raw


def _images(table: pa.Table, max_pixels: int, workers: int, findings: Findings, progress: Progress | None) -> Prints:
    batches = (batch.column(0).to_pylist() for batch in table.select(["input"]).to_batches(max_chunksize=_IMAGES))
    found: list[np.ndarray] = []
    done = 0
    # Pillow's warnings are suppressed here and not in the threads, where the filters would race.
    for looks in _quietly(image_checks.looks(batches, max_pixels, workers)):
        rows = np.zeros(len(looks), dtype=[("digest", "u8"), ("bits", "u8"), ("ok", "?"), ("thumbnail", "u1", 192)])
        for at, look in enumerate(looks):
            rows[at]["digest"], rows[at]["bits"], rows[at]["ok"] = look.digest, look.bits, not look.problem
            if look.thumbnail:
                rows[at]["thumbnail"] = np.frombuffer(look.thumbnail, dtype=np.uint8)
            if look.problem:
                _note(table, done + at, look, max_pixels, findings)
        done += len(looks)
        found.append(rows)
        if progress is not None:
            progress("checking", done)
    all_rows = np.concatenate(found)
    bits = np.ascontiguousarray(all_rows["bits"])
    return Prints(
        np.ascontiguousarray(all_rows["digest"]),
        np.ascontiguousarray(all_rows["ok"]),
        image_checks.bands(bits),
        bits,
        np.ascontiguousarray(all_rows["thumbnail"]),
    )


def _quietly(found: Iterator[list[image_checks.Look]]) -> Iterator[list[image_checks.Look]]:
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            batch = next(found, None)
        if batch is None:
            return
        yield batch


def _note(table: pa.Table, row: int, look: image_checks.Look, max_pixels: int, findings: Findings) -> None:
    place = table.column("place")[row].as_py()
    if look.problem == "too_large":
        message = f"{{rows}} with an image of more than {max_pixels:,} pixels, not decoded and left out"
    else:
        message = "{rows} with an image that can't be decoded, left out"
    findings.add(look.problem, "error", message, [f"{place}: {look.detail.rstrip('.')}"])
