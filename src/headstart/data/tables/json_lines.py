"""JSON: one object per line, or one value that holds a table (`json_shapes`).

Not pyarrow's JSON reader, because it stops at a wrong line or at a key of two types, and gives no line numbers.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from headstart.core.errors import DataError
from headstart.data.audit.findings import Findings
from headstart.data.tables import json_shapes
from headstart.data.tables.encodings import in_words
from headstart.data.tables.lines import file_encoding, lines
from headstart.data.tables.other_kinds import COCO, is_coco
from headstart.data.tables.spread import Spread
from headstart.data.tables.table import Chunk, Chunker, Column, Problem, mostly_bad

TEXT = "text"
"column of texts that are written without an object"
_PYTHON = object()
"a line that Python printed"


class JsonLines:
    """A file of JSON objects. Lines that are no objects are problems; `DataError` if most are.

    A file with one value, or with objects over several lines, is read into memory as a whole; its places are
    `file.json[3]`.
    """

    lenient = False
    "as in `Delimited`"

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        self._texts = False
        self._whole = self._is_whole()
        self.encoding = in_words(file_encoding(path))

    @property
    def format(self) -> str:
        """`JSON lines, UTF-8`: how the file is read, for the user."""
        return f"{'JSON' if self._whole else 'JSON lines'}, {self.encoding}"

    def _is_whole(self) -> bool:
        """True if the file is one value, or values over several lines, instead of one object per line."""
        found = (line for line in lines(self.path, Findings()) if line.strip())
        first, second = next(found, None), next(found, None)
        if first is None:
            raise DataError(
                f'{self.path} is empty. It needs one JSON object per line, such as {{"text": …, "label": …}}.'
            )
        start = first.lstrip()
        try:
            value = json.loads(first, object_pairs_hook=self._once)
        except (ValueError, RecursionError):
            # a line that ends in a bracket, a brace or a comma continues in the next line; one line may hold several
            more = start.rstrip().endswith(("{", "[", ",")) or (second is None and start.rstrip().endswith("}"))
            return start.startswith("[") or (start.startswith("{") and more)
        self._texts = isinstance(value[0] if isinstance(value, list) and value else value, str)
        if isinstance(value, list):
            return not value or not all(isinstance(one, (str, int, float)) for one in value) or second is None
        return second is None and (json_shapes.is_table(value) or len(json_shapes.splits_in(value)) > 1)

    def _once(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """The first object. Raises `DataError` for a repeated key, because every line would lose a value."""
        names = [name for name, _ in pairs]
        if double := sorted({name for name in names if names.count(name) > 1}):
            raise DataError(f"{self.path} names {', '.join(double)} twice in one object. Give each its own name.")
        return dict(pairs)

    def _values(self, findings: Findings) -> Iterator[tuple[str, Any]]:
        if self._whole:
            yield from ((f"{self.name}[{at}]", value) for at, value in enumerate(self._table(findings)))
            return
        for line, text in enumerate(lines(self.path, findings), start=1):
            if text.strip():
                try:
                    yield f"{self.name}:{line}", json.loads(text)
                except (ValueError, RecursionError):
                    yield f"{self.name}:{line}", _PYTHON if text.lstrip().startswith("{'") else None

    def _table(self, findings: Findings) -> list[Any]:
        try:
            values = list(json_shapes.documents("".join(lines(self.path, findings))))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{self.path} begins as a JSON array or object but can't be read: {error}.") from error
        if len(values) > 1:  # several objects over several lines, or several arrays of them
            return list(itertools.chain(*values)) if all(isinstance(one, list) for one in values) else values
        found = json_shapes.rows(values[0])
        if found == []:
            raise DataError(f"{self.path} holds a table without rows.")
        if found is None and (named := json_shapes.splits_in(values[0])):
            if is_coco(named):
                raise DataError(f"{self.path} holds {COCO}.")
            raise DataError(
                f"{self.path} holds several tables ({', '.join(named)}). Write each to a separate file, such as "
                "train.jsonl and test.jsonl in one folder."
            )
        return values if found is None else found

    def _records(self, findings: Findings) -> Iterator[tuple[str, dict[str, Any] | Problem]]:
        good, bad, lists, dicts, wrong = 0, 0, 0, 0, Findings()
        for place, value in self._values(findings):
            if isinstance(value, str) and self._texts:
                value = {TEXT: value}
            if isinstance(value, dict):
                good += 1
                yield place, value
                continue
            bad += 1
            lists += isinstance(value, list)
            dicts += value is _PYTHON
            wrong.add("malformed", "error", "", [place])
            yield place, Problem("malformed", "without a JSON object")
        what = "lists without names of columns (pandas: orient='records')" if lists > bad / 2 else "not a JSON object"
        what = "dictionaries as Python prints them (write each row with json.dumps)" if dicts > bad / 2 else what
        mostly_bad(self.name, good, bad, f"are {what}", wrong.places("malformed"), self.lenient)

    def sample(self) -> list[Column]:
        return self._sample

    @cached_property
    def _sample(self) -> list[Column]:
        records = (value for _, value in self._records(Findings()) if not isinstance(value, Problem))
        found = Spread(map(json_shapes.flat, records)).rows
        if not found:
            raise DataError(f"{self.path} holds no JSON object.")
        names = list(dict.fromkeys(name for value in found for name in value))
        return [Column(name, tuple(value.get(name) for value in found)) for name in names]

    def chunks(self, columns: Sequence[str], findings: Findings) -> Iterator[Chunk]:
        chunker = Chunker(columns)
        for place, value in self._records(findings):
            if isinstance(value, dict) and any(isinstance(inner, dict) for inner in value.values()):
                value = {**value, **json_shapes.flat(value)}  # keeps an object where other rows hold a text
            if chunker.add(place, value if isinstance(value, Problem) else [value.get(name) for name in columns]):
                yield chunker.take()
        yield chunker.take()
