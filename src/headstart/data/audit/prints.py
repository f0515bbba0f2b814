"""Fingerprints of rows: one pass over the inputs gives digests, and bands for near duplicates."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headstart.core.chat import SYSTEM, Chat
from headstart.core.inputs import INPUT_KINDS
from headstart.core.records.decoding import ALONE, Decoding
from headstart.data.audit import image_checks, near_duplicates
from headstart.data.audit.findings import Findings
from headstart.data.audit.image_checks import Look
from headstart.data.images.decoding import BLANK
from headstart.data.ingest.store import gather
from headstart.tasks.task import Modality

_ROWS = 4_096
_IMAGES = 256

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class Prints:
    """digest: [n] uint64 of each input's bytes. usable: [n] bool. bands: [n, b] uint64.

    Images only: bits, thumbnails as in `image_checks`; small: [n] uint64 hash of the image at a few pixels, 0 if blank;
    decoding: the rule for all images.
    """

    digest: np.ndarray
    usable: np.ndarray
    bands: np.ndarray
    bits: np.ndarray | None = None
    thumbnails: np.ndarray | None = None
    small: np.ndarray | None = None
    decoding: Decoding = ALONE
    whole: np.ndarray | None = None
    "conversations only: [n] uint64 of all messages; `digest` and `bands` are then of the question"
    answers: np.ndarray | None = None
    "conversations only: [n] uint64 of the last answer, apart from case and signs"


def take_prints(
    table: pa.Table,
    modality: Modality,
    max_pixels: int,
    workers: int,
    findings: Findings,
    progress: Progress | None,
) -> Prints:
    """Reads every input once; undecodable and oversized images give findings and are marked unusable."""
    if INPUT_KINDS[modality].is_image:
        return _images(table, max_pixels, workers, findings, progress)
    digests, bands, done = [], [], 0
    wholes, answers = list[np.ndarray](), list[np.ndarray]()
    for texts, both in _texts(table):
        if INPUT_KINDS[modality].chat:
            chats = list(map(Chat, both))
            wholes.append(_hashes(both))
            answers.append(_hashes([near_duplicates.normal(chat.answer or "") for chat in chats]))
            texts = [near_duplicates.normal(asked(chat)) for chat in chats]
            both = [chat.question for chat in chats]
        digests.append(_hashes(both))
        bands.append(near_duplicates.signatures(texts))
        done += len(both)
        if progress is not None:
            progress("checking", done)
    digest = np.concatenate(digests)
    whole, answer = (np.concatenate(each) if each else None for each in (wholes, answers))
    usable = np.ones(len(digest), dtype=bool)
    return Prints(digest, usable, np.concatenate(bands), whole=whole, answers=answer)


def asked(chat: Chat) -> str:
    """The text of the question, without the system turn, which many conversations share; near duplicates are by it."""
    words = [str(message.get("content") or "") for message in chat.prompt if message["role"] != SYSTEM]
    return "\n".join(filter(None, words)) or chat


def _hashes(texts: Sequence[str]) -> np.ndarray:
    found = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts]
    return np.frombuffer(b"".join(found), dtype=">u8").astype(np.uint64)


def _texts(table: pa.Table) -> Iterator[tuple[list[str], list[str]]]:
    """(normalised texts, raw texts) by batch; a pair is one text with a separator."""
    pair = "input_b" in table.column_names
    for batch in table.select(["input", "input_b"] if pair else ["input"]).to_batches(max_chunksize=_ROWS):
        raw = batch.column(0).to_pylist()
        if pair:
            raw = [f"{first}\x1f{second}" for first, second in zip(raw, batch.column(1).to_pylist())]
        yield [near_duplicates.normal(text) for text in raw], raw


def _images(table: pa.Table, max_pixels: int, workers: int, findings: Findings, progress: Progress | None) -> Prints:
    def looked(at: np.ndarray, decoding: Decoding = ALONE) -> Iterator[Look]:
        parts = (gather(table, "input", at[k : k + _IMAGES]) for k in range(0, len(at), _IMAGES))
        for batch in _quietly(image_checks.looks(parts, max_pixels, workers, decoding)):
            yield from batch

    found = list(_counted(looked(np.arange(len(table))), progress))
    train = table.column("split").to_numpy() == 0
    decoding = image_checks.rule([look for look, learned in zip(found, train) if learned])
    again = np.array([at for at, look in enumerate(found) if look.asks], dtype=np.int64)
    if decoding != ALONE:
        for at, look in zip(again, looked(again, decoding)):
            found[at] = look
    rows = np.zeros(len(found), dtype=[("digest", "u8"), ("bits", "u8"), ("small", "u8"), ("ok", "?")])
    thumbnails = np.zeros((len(found), 192), dtype=np.uint8)
    for at, look in enumerate(found):
        rows[at] = look.digest, look.bits, 0 if look.spread < BLANK else look.small, not look.problem
        if look.problem:
            _note(table, at, look, max_pixels, findings)
            continue
        thumbnails[at] = np.frombuffer(look.thumbnail, dtype=np.uint8)
        for kind, severity, message in image_checks.remarks(look):
            findings.add(kind, severity, message, [table.column("place")[at].as_py()])
    digest, bits, small, usable = (np.ascontiguousarray(rows[name]) for name in ("digest", "bits", "small", "ok"))
    for note in decoding.notes:
        findings.add("decoding", "note", f"this data set's rule for images, kept with its models: {note}", count=1)
    return Prints(digest, usable, image_checks.bands(bits), bits, thumbnails, small, decoding)


def _counted(found: Iterator[Look], progress: Progress | None) -> Iterator[Look]:
    done = 0
    for done, look in enumerate(found, start=1):
        if progress is not None and done % _IMAGES == 0:
            progress("checking", done)
        yield look
    if progress is not None and done % _IMAGES:
        progress("checking", done)


def _quietly(found: Iterator[list[Look]]) -> Iterator[list[Look]]:
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            batch = next(found, None)
        if batch is None:
            return
        yield batch


def _note(table: pa.Table, row: int, look: Look, max_pixels: int, findings: Findings) -> None:
    place = table.column("place")[row].as_py()
    if look.problem == "too_large":
        message = f"{{rows}} with an image of more than {max_pixels:,} pixels, not decoded and left out"
    else:
        message = "{rows} with an image that can't be decoded, left out"
    findings.add(look.problem, "error", message, [f"{place}: {look.detail.rstrip('.')}"])
