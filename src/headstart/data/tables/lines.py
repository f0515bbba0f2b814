"""Lines of a text file: handles encodings, byte-order marks, compression, and files that are no text."""

from __future__ import annotations

import codecs
import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from headstart.core.errors import DataError
from headstart.data.audit.findings import Findings
from headstart.data.tables.encodings import HEAD, encoding_of, opened

WINDOWS = (
    "{rows} with bytes that are not UTF-8, read as Windows-1252 (Western European): if letters are wrong, save the "
    "file as UTF-8"
)
_WINDOWS = "".join(bytes([at]).decode("cp1252", "ignore") or chr(at) for at in range(256))
"""the signs of Windows-1252; the five bytes that it leaves undefined are control signs, as in browsers"""


def lines(path: Path, findings: Findings, longest: int | None = None) -> Iterator[str]:
    """Lines with their line ends (LF, CRLF or CR), decoded as UTF-8, UTF-16 or UTF-32, and decompressed.

    A line that is not UTF-8 is read as Windows-1252, unless it also holds valid UTF-8 signs; then its broken bytes
    become U+FFFD. Null bytes are removed. Each such line is counted in `findings`. longest: maximum line length in
    bytes; a longer line is split, at a blank if possible, and counted too. Raises `DataError` for binary files and
    unreadable ones.
    """
    try:
        with opened(path) as file:
            head = file.peek(HEAD)[:HEAD]  # type: ignore[attr-defined]
            encoding = encoding_of(path, head)
            narrow = encoding.startswith("utf-8")
            text = None if narrow else io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="")
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


def file_encoding(path: Path) -> str:
    """Python's name of the encoding that `lines` uses for the file."""
    try:
        with opened(path) as file:
            return encoding_of(path, file.peek(HEAD)[:HEAD])  # type: ignore[attr-defined]
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"can't read {path}: {getattr(error, 'strerror', None) or error}.") from error


def _pieces(path: Path, readline: Callable[[int], bytes], findings: Findings, longest: int) -> Iterator[bytes]:
    """Raw lines; parts of overlong lines."""
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
    """Offset of the last UTF-8 character, which may continue in the next piece."""
    at = len(raw) - 1
    while at > 0 and raw[at] & 0xC0 == 0x80:
        at -= 1
    return at or len(raw)


def _decoded(path: Path, file: Iterable[bytes], findings: Findings) -> Iterator[str]:
    count = 0
    for number, raw in enumerate(file):
        if number == 0:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        for part in raw.splitlines(keepends=True) if b"\r" in raw else [raw]:  # each may have another encoding
            count += 1
            place = f"{path.name}:{count}"
            try:
                line = part.decode("utf-8")
            except UnicodeDecodeError:
                line = _mended(part, place, findings)
            if "\0" in line:
                line = line.replace("\0", "")
                findings.add("encoding", "warning", "{rows} with null bytes, which were removed", [place])
            yield line


def _mended(raw: bytes, place: str, findings: Findings) -> str:
    """Decodes a line that is not UTF-8: as damaged UTF-8 if most of its signs are valid there, else by Windows-1252.

    In GBK or Shift-JIS some bytes are valid by chance. Windows-1252 keeps all bytes apart, so that no two names become
    one.
    """
    replaced = raw.decode("utf-8", "replace")
    lost = replaced.count("\ufffd")
    if sum(not sign.isascii() for sign in replaced) < 2 * lost:
        findings.add("encoding", "warning", WINDOWS, [place])
        return codecs.charmap_decode(raw, "strict", _WINDOWS)[0]
    message = "{rows} with bytes that are not UTF-8: each became the sign U+FFFD; save the file as UTF-8"
    findings.add("encoding", "warning", message, [place])
    return replaced
