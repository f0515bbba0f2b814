"""Files of word vectors: text and binary format of word2vec, text format of GloVe, each also as .gz.

Not by gensim's KeyedVectors, because loading a backbone would then need gensim, which reads no faster
(`benchmarks/cases/libraries.py`) and does not name the line where a file breaks off.
"""

from __future__ import annotations

import contextlib
import gzip
import mmap
import re
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from headstart.backbones.networks.word_vectors import WordVectors
from headstart.core.disk.files import replacing
from headstart.core.errors import ConfigurationError, ModelError, unknown

FORMATS = ("text", "binary", "glove")
"formats: word2vec's text with a header of words and dimensions, its binary, GloVe's text without a header"
SUFFIXES = (".txt", ".vec", ".bin", ".glove", ".w2v")
HEADER = re.compile(rb"\s*(\d+)\s+(\d+)\s*")
LONGEST_WORD = 4096
"bytes"


def is_vector_file(path: Path) -> bool:
    """True if the name has a suffix of word-vector files."""
    return path.is_file() and path.name.lower().removesuffix(".gz").endswith(SUFFIXES)


def read_file(path: str | Path) -> WordVectors:
    """The vectors of a file; the format is detected from its start.

    Repeated words are ignored and counted. Raises `ModelError` with the line or word of an error.
    """
    place = Path(path)
    try:
        with _opened(place) as file:
            first = file.readline(1 << 20)
            header = HEADER.fullmatch(first)
            if header is None:
                file.seek(0)
                return _Reader(place).text(file, 1, None, None)
            count, dimension = int(header[1]), int(header[2])
            start = file.tell()
            beginning = file.read(1 << 16)
            file.seek(start)
            if _is_text(beginning):
                return _Reader(place).text(file, 2, dimension, count)
            return _Reader(place).binary(file, dimension, count)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ModelError(f"{place} can't be unpacked ({error}); is it cut short? Copy or download it again.") from error


def _opened(path: Path) -> IO[bytes]:
    if not path.is_file():
        raise ModelError(f"there is no file {path}; give a file of word vectors ({', '.join(SUFFIXES)}, also .gz).")
    packed: Any = gzip.GzipFile(path) if path.suffix == ".gz" else None
    return packed or path.open("rb")


def _is_text(beginning: bytes) -> bool:
    """True if the first word is followed by numbers."""
    numbers = beginning.partition(b"\n")[0].strip().partition(b" ")[2]
    return any(48 <= byte < 58 for byte in numbers) and all(32 <= byte < 127 for byte in numbers)


class _Reader:
    """Collects the rows of a file."""

    def __init__(self, path: Path) -> None:
        self.path, self.rows, self.repeated = path, dict[str, int](), 0
        self.numbers = bytearray()

    def add(self, word: bytes, vector: np.ndarray) -> None:
        name = word.decode("utf-8", errors="replace")
        if name in self.rows:
            self.repeated += 1
            return
        self.rows[name] = len(self.rows)
        self.numbers += vector.tobytes()

    def done(self, dimension: int | None) -> WordVectors:
        if not self.rows or not dimension:
            raise ModelError(f"{self.path} holds no word vectors.")
        matrix = np.frombuffer(self.numbers, dtype=np.float32).reshape(-1, dimension)
        return WordVectors(list(self.rows), matrix, self.repeated)

    def text(self, file: IO[bytes], number: int, dimension: int | None, count: int | None) -> WordVectors:
        """number: of the first line, starting at 1."""
        seen = 0
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # raised by numpy for text after the numbers
            for at, line in enumerate(file, number):
                line = line.rstrip()
                if not line:
                    continue
                if dimension is None:
                    dimension = line.count(b" ")
                parts = line.rsplit(b" ", dimension)  # because words of GloVe may contain spaces
                vector = _numbers(parts[1:])
                if vector is None or len(parts) != dimension + 1 or not dimension or not np.isfinite(vector).all():
                    raise ModelError(
                        f"{self.path}, line {at}: not a word and {dimension or 'some'} numbers: "
                        f"{line[:60].decode('utf-8', errors='replace')!r}. Give word vectors in word2vec's text or "
                        "binary format or in GloVe's."
                    )
                self.add(parts[0], vector)
                seen += 1
        if count is not None and seen != count:
            raise ModelError(f"{self.path} says that it holds {count:,} words, but has {seen:,}; is it cut short?")
        return self.done(dimension)

    def binary(self, file: IO[bytes], dimension: int, count: int) -> WordVectors:
        start, size = file.tell(), 4 * dimension
        with contextlib.ExitStack() as stack:
            if isinstance(file, gzip.GzipFile):
                data: Any = file.read()
                start = 0
            else:
                data = stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            for number in range(count):
                end = data.find(b" ", start, start + LONGEST_WORD)
                numbers = data[end + 1 : end + 1 + size] if end >= 0 else b""
                vector = np.frombuffer(numbers, dtype="<f4") if len(numbers) == size else None
                if vector is None or not np.isfinite(vector).all():
                    raise ModelError(
                        f"{self.path} breaks off at word {number + 1:,} of {count:,}; is it cut short, or in another "
                        "format? Of word vectors word2vec's formats and GloVe's are read; of fastText its .vec files."
                    )
                self.add(data[start:end].lstrip(b"\n"), vector)
                start = end + 1 + size
            if data[start : start + LONGEST_WORD].strip(b"\n"):
                raise ModelError(f"{self.path} continues after its {count:,} words; is it in another format?")
        return self.done(dimension)


def _numbers(parts: list[bytes]) -> np.ndarray | None:
    try:
        return np.fromstring(b" ".join(parts), dtype=np.float32, sep=" ") if len(parts) else None  # type: ignore[call-overload,no-any-return]
    except (ValueError, DeprecationWarning):
        return None


def write_file(vectors: WordVectors, path: str | Path, form: str) -> None:
    """Writes `text`, `binary` or `glove`, compressed if the name ends in .gz; numbers are exact to the last bit.

    Raises `ConfigurationError` for words with white space, because other programs can't read them.
    """
    if form not in FORMATS:
        raise unknown("format of word vectors", form, FORMATS)
    broken = next((word for word in vectors.words if not word or any(c.isspace() for c in word)), None)
    if broken is not None:
        raise ConfigurationError(
            f"{broken!r} holds white space, which separates a word from its numbers in these formats; write a folder."
        )
    place = Path(path)
    line: Callable[[str, np.ndarray], bytes] = _binary_line if form == "binary" else _text_line
    with replacing(place) as temporary, _writing(temporary, place.suffix == ".gz") as file:
        if form != "glove":
            file.write(b"%d %d\n" % vectors.matrix.shape)
        for word, vector in zip(vectors.words, vectors.matrix):
            file.write(line(word, vector))


@contextlib.contextmanager
def _writing(path: Path, packed: bool) -> Iterator[IO[bytes]]:
    with path.open("wb") as file:
        if packed:
            with gzip.GzipFile(path.name, "wb", fileobj=file, mtime=0) as inner:
                yield inner  # type: ignore[misc]
        else:
            yield file


def _text_line(word: str, vector: np.ndarray) -> bytes:
    return f"{word} {' '.join(f'{number:.9g}' for number in vector.tolist())}\n".encode()


def _binary_line(word: str, vector: np.ndarray) -> bytes:
    return word.encode() + b" " + vector.astype("<f4").tobytes() + b"\n"
