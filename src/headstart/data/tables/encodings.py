"""Encoding detection: byte-order marks, UTF-16 without one, and files that are no text in spite of their names."""

from __future__ import annotations

import gzip
import unicodedata
from pathlib import Path
from typing import IO

from headstart.core.errors import DataError

HEAD = 8_192
"bytes that are inspected"

_MARKS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"\xef\xbb\xbf": "utf-8-sig",
}
_MAGIC = {
    b"PK\x03\x04": "a zip archive or an Excel sheet: export it as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel sheet: export it as CSV",
    b"PAR1": "a Parquet file: give it the extension .parquet",
    b"ARROW1": "an Arrow (Feather) file: save it as Parquet",
    b"SQLite format 3": "an SQLite database: export the table as CSV",
    b"BZh": "a bz2 archive: unpack it, or pack it with gzip",
    b"\xfd7zXZ": "an xz archive: unpack it, or pack it with gzip",
    b"\x28\xb5\x2f\xfd": "a zstd archive: unpack it, or pack it with gzip",
    b"%PDF": "a PDF",
    b"{\\rtf": "a document in RTF: save it as plain text",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"version https://git-lfs.github.com/spec": "a git-lfs pointer, not the data themselves: run `git lfs pull` there",
}
FEWEST = 3
"signs of ASCII that a file in UTF-16 holds at least: fewer are null bytes in a small file of another encoding"
_ASCII = frozenset(b"\t\n\r" + bytes(range(32, 127)))
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<?xml")


def opened(path: Path) -> IO[bytes]:
    """The file's bytes, decompressed if they start like gzip's, whatever its name."""
    file = path.open("rb")
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if not packed:
        return file
    file.close()
    return gzip.open(path, "rb")  # type: ignore[return-value]


def encoding_of(path: Path, head: bytes) -> str:
    """Python's name of the encoding in which the file begins: UTF-8 unless a mark or its zero bytes say otherwise.

    Raises `DataError` for files that are no text: other formats, web pages, pointers to the data, binary data.
    """
    marked = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    found = marked or _wide_without_mark(head) or "utf-8"
    what = next((text for magic, text in _MAGIC.items() if head.startswith(magic)), None)
    if what is None and found.startswith("utf-8"):
        start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:20].lower()
        odd = sum(byte < 9 or 13 < byte < 32 for byte in head)
        if start.startswith(_PAGES):
            what = "a web page (HTML or XML), maybe the page about the file in place of the file itself"
        elif head.count(0) > 1 + len(head) // 500 or odd > len(head) // 10:
            what = "binary data"
    if what is not None:
        raise DataError(
            f"{path} can't be read as text: it is {what}. Readable are texts in UTF-8 or UTF-16, with or without .gz, "
            "and Parquet files that are named .parquet."
        )
    return found


def _wide_without_mark(head: bytes) -> str | None:
    """UTF-16 by its signs of ASCII: of blanks, line ends and such letters the other byte is zero.

    Zero bytes alone tell less: those of U+0100 and U+E000 are on the other side.
    """
    pairs = [(head[at], head[at + 1]) for at in range(0, len(head) - 1, 2)]
    big = sum(first == 0 and second in _ASCII for first, second in pairs)
    little = sum(second == 0 and first in _ASCII for first, second in pairs)
    if max(big, little) < max(FEWEST, len(pairs) // 50) or min(big, little) > max(big, little) // 2:
        return None
    name = "utf-16-le" if little > big else "utf-16-be"
    text = head[: 2 * len(pairs)].decode(name, "replace").rstrip("\ufffd")
    plain = sum(sign.isspace() or unicodedata.category(sign) not in ("Cc", "Cn", "Cs") for sign in text)
    return name if plain > 0.9 * len(text) and "\ufffd" not in text else None


WORDS = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16", "utf-32": "UTF-32"}


def in_words(name: str) -> str:
    """`utf-16-le` as `UTF-16`."""
    return WORDS.get(name) or WORDS[name[:6]]
