"""Library: the documents of one folder, as methods ask for them: their passages and their fingerprint."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from headstart.core.disk.files import write_text
from headstart.core.errors import ArtifactError
from headstart.core.records.data import DocumentsRecord
from headstart.data.audit.findings import Findings
from headstart.data.documents.documents import Document, documents
from headstart.data.documents.passages import Passage, length, passages

PASSAGES = "passages.jsonl"
"file of an artifact with the passages that its model searches, one a line"


class Library:
    """place: the folder, as the user gave it."""

    def __init__(self, place: str, documents: Sequence[Document]) -> None:
        self.place, self.documents = place, tuple(documents)
        self._passages: dict[int, list[Passage]] = {}

    @classmethod
    def of(cls, place: str | os.PathLike[str], findings: Findings | None = None) -> Library:
        """Raises `DataError` if it holds no readable document."""
        return cls(str(place), documents(Path(place), findings))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all names and texts."""
        found = hashlib.blake2b(digest_size=16)
        for part in (part for one in self.documents for part in (one.name, one.text)):
            raw = part.encode(errors="surrogatepass")
            found.update(f"{len(raw)}:".encode() + raw)
        return found.hexdigest()

    def passages(self, words: int) -> list[Passage]:
        """Passages of at most so many words."""
        if words not in self._passages:
            self._passages[words] = passages(self.documents, words)
        return self._passages[words]

    def record(self) -> DocumentsRecord:
        count = sum(length(one.text) for one in self.documents)
        return DocumentsRecord(self.place, self.fingerprint, len(self.documents), count)


def write_passages(file: Path, passages: Sequence[Passage]) -> None:
    rows = ({"document": one.document, "headings": one.headings, "text": one.text} for one in passages)
    write_text(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_passages(file: Path) -> list[Passage]:
    """Raises `ArtifactError` for a file that is gone or damaged."""
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
        return [Passage(str(row["document"]), tuple(row["headings"]), str(row["text"])) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{file} holds no passages that can be searched ({error}); train again.") from error
