"""JSON: one object a line, or one array of objects."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from headstart.core.errors import DataError
from headstart.data.findings import Findings
from headstart.data.lines import lines
from headstart.data.table import SAMPLE, Chunk, Chunker, Column, Problem, mostly_bad


class JsonLines:
    """A file of JSON objects. Lines that are no object are left out and noted; where most are, `DataError`.

    A file that begins with `[` is read as one array, whole in memory; its places read `file.json[3]`.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        first = next((line for line in lines(path, Findings()) if line.strip()), None)
        if first is None:
            raise DataError(f'{path} is empty. It needs one JSON object a line, such as {{"text": …, "label": …}}.')
        self._array = first.lstrip().startswith("[")

    def _values(self, findings: Findings) -> Iterator[tuple[str, Any]]:
        if self._array:
            try:
                values = json.loads("".join(lines(self.path, findings)))
            except (ValueError, RecursionError) as error:
                raise DataError(f"{self.path} begins as a JSON array but can't be read: {error}.") from error
            yield from ((f"{self.name}[{at}]", value) for at, value in enumerate(values))
            return
        for line, text in enumerate(lines(self.path, findings), start=1):
            if text.strip():
                try:
                    yield f"{self.name}:{line}", json.loads(text)
                except (ValueError, RecursionError):
                    yield f"{self.name}:{line}", None

    def _records(self, findings: Findings) -> Iterator[tuple[str, dict[str, Any] | Problem]]:
        good, bad, wrong = 0, 0, Findings()
        for place, value in self._values(findings):
            if isinstance(value, dict):
                good += 1
                yield place, value
                continue
            bad += 1
            wrong.add("malformed", "error", "", [place])
            yield place, Problem("malformed", "that are no JSON object")
        mostly_bad(self.name, good, bad, "are not a JSON object", wrong.places("malformed"))

    def sample(self) -> list[Column]:
        records = (value for _, value in self._records(Findings()) if not isinstance(value, Problem))
        found = list(itertools.islice(records, SAMPLE))
        if not found:
            raise DataError(f"{self.path} holds no JSON object.")
        names = list(dict.fromkeys(name for value in found for name in value))
        return [Column(name, tuple(value.get(name) for value in found)) for name in names]

    def chunks(self, columns: Sequence[str], findings: Findings) -> Iterator[Chunk]:
        chunker = Chunker(columns)
        for place, value in self._records(findings):
            if chunker.add(place, value if isinstance(value, Problem) else [value.get(name) for name in columns]):
                yield chunker.take()
        yield chunker.take()
