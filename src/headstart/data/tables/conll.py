"""CoNLL files: a word and its tags a line, an empty line between sentences. CoNLL-U too."""

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
from headstart.data.tables.table import SAMPLE, Chunk, Chunker, Column, Problem, mostly_bad

WORDS, TAGS = "words", "tags"
UNIVERSAL = ("id", WORDS, "lemma", TAGS, "xpos", "feats", "head", "deprel", "deps", "misc")
"columns of CoNLL-U, whose tags are the universal parts of speech"
_COMMENT = re.compile(r"#\s*(newdoc|newpar|[\w.:-]+\s*=)")
_NUMBER = re.compile(r"\d+([-.]\d+)?")
DOCUMENT = "-DOCSTART-"
_TAG = re.compile(r"O|[BIESLU]-\S+")


def is_conll(path: Path, suffix: str) -> bool:
    """True for a text file that begins with lines of a word and its IOB tag, as CoNLL-2003's `train.txt`."""
    if suffix not in (".txt", ".text"):
        return False
    try:
        if not path.is_file():  # a pipe would wait
            return False
        with opened(path) as file:
            every = file.read(4_000).decode("utf-8", "replace").splitlines()[:-1]
    except (OSError, EOFError, zlib.error):
        return False
    cells = [line.split() for line in every if line.strip() and not line.startswith(DOCUMENT)]
    words = [row for row in cells if row[0] != "#"]
    tags = [row[-1] for row in words]
    return (
        len(words) > 1
        and len(words[0]) > 1
        and {len(row) for row in words} == {len(words[0])}
        and all(map(_TAG.fullmatch, tags))
        and any(tag != "O" for tag in tags)
    )


class Conll:
    """One row a sentence; its columns are lists of as many items as it has words.

    The first column of a line is the word, the last its tag; those between are called `column 2` and so on. Comments
    above a sentence (`# id = …`, or `#` and other than the usual cells) and lines of `-DOCSTART-` are passed over.
    """

    lenient = False
    "as in `Delimited`"

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        self.encoding = in_words(file_encoding(path))
        self._width = 0  # of its first line that is surely no comment
        every = (cells for _, rows in self._sentences(Findings()) for cells in rows)
        self._width = next((len(cells) for cells in every if not cells[0].startswith("#")), 0)
        found = next(self._sentences(Findings()), None)
        if found is None:
            raise DataError(f"{path} holds no word. A CoNLL file has a word and its tag a line.")
        first = found[1][0]
        universal = len(first) == len(UNIVERSAL) and bool(_NUMBER.fullmatch(first[0]))
        others = [f"column {at}" for at in range(2, len(first))]
        self.columns = list(UNIVERSAL) if universal else [WORDS, *others, TAGS][: max(1, len(first))]
        self._universal = universal

    @property
    def format(self) -> str:
        return f"{'CoNLL-U' if self._universal else 'CoNLL'}, {self.encoding}"

    def _sentences(self, findings: Findings) -> Iterator[tuple[str, list[list[str]]]]:
        """Place of the first word, and the cells of each line."""
        place, rows = "", list[list[str]]()
        for number, line in enumerate(lines(self.path, findings), start=1):
            if not line.strip() or line.startswith(DOCUMENT):
                if rows:
                    yield place, rows
                rows = []
                continue
            cells = [cell.strip() for cell in line.strip("\r\n").split("\t")] if "\t" in line else line.split()
            if (
                not rows
                and line.startswith("#")
                and (_COMMENT.match(line) or len(cells) != (self._width or len(cells)))
            ):
                continue
            place = place if rows else f"{self.name}:{number}"
            rows.append(cells)
        if rows:
            yield place, rows

    def _records(self, findings: Findings) -> Iterator[tuple[str, dict[str, list[str]] | Problem]]:
        good = bad = 0
        wrong = Findings()
        for place, rows in self._sentences(findings):
            if self._universal:  # 1-2 joins the words 1 and 2, and 1.1 is not written
                rows = [row for row in rows if row[0].isdecimal()]
            if any(len(row) != len(self.columns) for row in rows):
                bad += 1
                wrong.add("malformed", "error", "", [place])
                yield place, Problem("malformed", f"with lines of other than {len(self.columns)} columns")
                continue
            good += 1
            yield place, {name: [row[at] for row in rows] for at, name in enumerate(self.columns)}
        mostly_bad(self.name, good, bad, "have lines of other lengths", wrong.places("malformed"), self.lenient)

    def sample(self) -> list[Column]:
        return self._sample

    @cached_property
    def _sample(self) -> list[Column]:
        found: list[dict[str, list[str]]] = []
        for _, record in self._records(Findings()):
            if isinstance(record, dict):
                found.append(record)
            if len(found) >= SAMPLE:
                break
        return [Column(name, tuple(record[name] for record in found)) for name in self.columns]

    def chunks(self, columns: Sequence[str], findings: Findings) -> Iterator[Chunk]:
        chunker = Chunker(columns)
        for place, record in self._records(findings):
            values: Any = record if isinstance(record, Problem) else [record.get(name) for name in columns]
            if chunker.add(place, values):
                yield chunker.take()
        yield chunker.take()
