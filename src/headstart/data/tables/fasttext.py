"""fastText's training files: `__label__food __label__cheap soup of the day`, one text a line."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from headstart.core.errors import DataError
from headstart.data.audit.findings import Findings
from headstart.data.tables.encodings import in_words, opened
from headstart.data.tables.lines import file_encoding, lines
from headstart.data.tables.spread import Spread
from headstart.data.tables.table import Chunk, Chunker, Column

SUFFIXES = ("", ".txt", ".text", ".ft", ".train", ".valid", ".test", ".data", ".dat", ".csv", ".tsv")
"suffixes of files that may hold such lines; what they begin with decides"
TEXT, LABEL = "text", "label"
_LABEL = re.compile(r"__label__(\S+)\s*")
_BEGINS = re.compile(rb"(\xef\xbb\xbf)?\s*__label__[^\s,;]+[ \t]")


def is_fasttext(path: Path, suffix: str) -> bool:
    """True if the first line begins with a label of fastText."""
    if suffix not in SUFFIXES:
        return False
    try:
        if not path.is_file():  # a pipe would wait
            return False
        with opened(path) as file:
            return bool(_BEGINS.match(file.read(1_000)))
    except (OSError, EOFError, zlib.error):
        return False


class FastText:
    """Columns `text` and `label`; the labels are lists in every row if one row has several."""

    typed = False
    "a label is a text, even a number"

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        self.encoding = in_words(file_encoding(path))
        self._several = any(len(labels) > 1 for _, _, labels in self._records(Findings()))

    @property
    def format(self) -> str:
        return f"fastText, {self.encoding}"

    def _records(self, findings: Findings) -> Iterator[tuple[int, str, list[str]]]:
        """(line, text, labels) of each line."""
        for number, line in enumerate(lines(self.path, findings), start=1):
            if line.strip():
                labels = [label.rstrip(",") for label in _LABEL.findall(line)]
                # some write a comma between the labels and the text
                yield number, _LABEL.sub("", line).strip().removeprefix(",").strip(), labels

    def _row(self, text: str, labels: list[str]) -> dict[str, Any]:
        return {TEXT: text, LABEL: labels if self._several else next(iter(labels), None)}

    def sample(self) -> list[Column]:
        return self._sample

    @cached_property
    def _sample(self) -> list[Column]:
        rows = Spread(self._row(text, labels) for _, text, labels in self._records(Findings())).rows
        if not rows:
            raise DataError(f"{self.path} is empty.")
        return [Column(name, tuple(row[name] for row in rows)) for name in (TEXT, LABEL)]

    def chunks(self, columns: Sequence[str], findings: Findings) -> Iterator[Chunk]:
        chunker = Chunker(columns)
        for number, text, labels in self._records(findings):
            row = self._row(text, labels)
            if chunker.add(f"{self.name}:{number}", [row[name] for name in columns]):
                yield chunker.take()
        yield chunker.take()
