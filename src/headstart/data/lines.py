"""Lines of a text file as the user meant them: encodings, byte-order marks, compression, and files that are no text."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from headstart.core.errors import DataError
from headstart.data.findings import Findings

_MAGIC = {
    b"PK\x03\x04": "a zip archive or an Excel sheet: export it as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel sheet: export it as CSV",
    b"PAR1": "a Parquet file: give it the extension .parquet",
    b"%PDF": "a PDF",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
}
_WIDE = (b"\xff\xfe", b"\xfe\xff")
"marks of UTF-16"


def lines(path: Path, findings: Findings, longest: int | None = None) -> Iterator[str]:
    """Lines with their line ends, decoded as UTF-8 (or UTF-16 where a mark says so), `.gz` unpacked.

    Bytes that are not UTF-8 become U+FFFD, and the line is counted in `findings`.
    longest: bytes; a longer line, and a file may be one endless line, comes in pieces, cut at a blank where it has one,
    and is counted too.
    Raises `DataError` for binary files and unreadable ones.
    """
    try:
        with _opened(path) as file:
            head = file.peek(8_192)[:8_192] if isinstance(file, (io.BufferedReader, gzip.GzipFile)) else b""
            _refuse_binary(path, head)
            wide = head[:2] in _WIDE
            text = io.TextIOWrapper(file, encoding="utf-16", errors="replace", newline="") if wide else None
            if longest is not None:
                readline = file.readline if text is None else lambda most: text.readline(most).encode()
                yield from _decoded(path, _pieces(path, readline, findings, longest), findings)
            else:
                yield from _decoded(path, file, findings) if text is None else text
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"can't read {path}: {reason}. Check that the file is whole and that you may read it."
        ) from error


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def _pieces(path: Path, readline: Callable[[int], bytes], findings: Findings, longest: int) -> Iterator[bytes]:
    """Raw lines, or parts of a line that is too long."""
    number, rest, cut = 1, b"", False
    while raw := rest + readline(longest):
        rest = b""
        if len(raw) >= longest and not raw.endswith(b"\n"):
            at = raw.rfind(b" ") + 1 or _last_character(raw)
            raw, rest = raw[:at], raw[at:]
            if not cut:
                message = f"{{rows}} longer than {longest:,} bytes: taken in pieces"
                findings.add("long", "warning", message, [f"{path.name}:{number}"])
        cut = not raw.endswith(b"\n")
        number += not cut
        yield raw


def _last_character(raw: bytes) -> int:
    """Where the last character in UTF-8 begins, which may go on in the next piece."""
    at = len(raw) - 1
    while at > 0 and raw[at] & 0xC0 == 0x80:
        at -= 1
    return at or len(raw)


def _decoded(path: Path, file: Iterable[bytes], findings: Findings) -> Iterator[str]:
    for count, raw in enumerate(file, start=1):
        if count == 1:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError:
            line = raw.decode("utf-8", "replace")
            findings.add(
                "encoding",
                "warning",
                "{rows} with bytes that are not UTF-8: each became the sign U+FFFD; save the file as UTF-8",
                [f"{path.name}:{count}"],
            )
        yield line


def _refuse_binary(path: Path, head: bytes) -> None:
    what = next((text for magic, text in _MAGIC.items() if head.startswith(magic)), None)
    if what is None and head[:2] not in _WIDE:
        odd = sum(byte < 9 or 13 < byte < 32 for byte in head)
        if b"\x00" in head or odd > len(head) // 10:
            what = "binary data"
        elif b"\r" in head and b"\n" not in head:
            what = "a text with old Macintosh line ends (CR): convert them to LF"
    if what is not None:
        raise DataError(
            f"{path} can't be read as text: it is {what}. Readable are texts in UTF-8 or UTF-16, with or without .gz, "
            "and Parquet files that are named .parquet."
        )
