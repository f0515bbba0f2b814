"""Corpus: running text for pretraining, streamed by paragraph."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.core.errors import DataError
from headstart.core.progress import Progress
from headstart.data.audit.findings import Findings
from headstart.data.tables import hub
from headstart.data.tables.columns import find_inputs
from headstart.data.tables.formats import FORMATS, format_of
from headstart.data.tables.lines import lines
from headstart.data.tables.sources import split_of
from headstart.data.tables.table import Table, readable

PLAIN = (".txt", ".text", ".md", ".rst")
"formats of plain text, where each line is a paragraph"
LONGEST = 1 << 20
"bytes of a line that are read at once, because a file may have no line ends"
AT_ONCE, CHARACTERS = 4_096, 1 << 24
"maximum number of paragraphs, and of characters, that are processed together"
READABLE = (
    f"a text file ({', '.join(PLAIN)}, also .gz) with a paragraph a line, a table with a column of texts "
    f"({', '.join(FORMATS)}), a folder of these, or the name of a data set on the hub"
)


@dataclass(frozen=True)
class Corpus:
    """A source of text; each call of `paragraphs` reads it from the start.

    text: text column of tables [default: detected]. all_splits: read validation and test splits too, even beside a
    training split.
    """

    sources: tuple[str, ...]
    text: str | None = None
    all_splits: bool = False

    def paragraphs(self, findings: Findings | None = None) -> Iterator[str]:
        """All paragraphs in order, stripped and without empty ones.

        Raises `DataError` for sources that do not exist, can't be read or hold no text.
        """
        findings = findings or Findings()
        for source in self.sources:
            for file in _files(source, self.all_splits, findings):
                empty = True
                for text in _texts(file, self.text, findings):
                    if text := text.strip():
                        empty = False
                        yield text
                if empty:
                    findings.add("empty", "warning", "files without any text were passed over", [file.name])

    def stamp(self, progress: Progress) -> list[list[Any]]:
        """Names and digests of the files, to recognise an unchanged corpus even after a move.

        Raises `DataError` for an unreadable file, and if `text` is given but no file has columns.
        """
        files = [file for source in self.sources for file in _files(source, self.all_splits, Findings())]
        if self.text is not None and all(isinstance(f, Path) and format_of(f) in PLAIN for f in files):
            raise DataError(
                f"{', '.join(self.sources)}: plain text has no columns, so there is no {self.text!r}. Leave --text out."
            )
        sizes = [file.stat().st_size >> 20 for file in files if isinstance(file, Path)]
        progress.stage("read the corpus, MB", sum(sizes))
        return [[f.name, _digest(f, progress) if isinstance(f, Path) else f.fingerprint] for f in files]


def together(paragraphs: Iterable[str]) -> Iterator[list[str]]:
    """Paragraphs in lists of limited size."""
    gathered: list[str] = []
    characters = 0
    for text in paragraphs:
        gathered.append(text)
        characters += len(text)
        if len(gathered) == AT_ONCE or characters >= CHARACTERS:
            yield gathered
            gathered, characters = [], 0
    if gathered:
        yield gathered


def _files(source: str, all_splits: bool, findings: Findings) -> list[Path | hub.HubTable]:
    """The files of a source, or the tables of a data set of the `datasets` library."""
    path = Path(source)
    if path.is_dir():
        if hub.is_saved(path):
            return _training(hub.saved(path))
        found = sorted(p for p in path.rglob("*") if p.is_file() and _known(p))
        if not found:
            raise DataError(f"the folder {source} holds no text. Give {READABLE}.")
        return list(found if all_splits else _without_judging(found, path, findings))
    if path.is_file():
        if not _known(path):
            raise DataError(f"can't read {source} as text to train on. Give {READABLE}.")
        return [path]
    if hub.looks_like_name(source):
        return _training(hub.named(source))
    raise DataError(f"there is no file or folder {source}. Give {READABLE}.")


def _without_judging(files: list[Path], root: Path, findings: Findings) -> list[Path]:
    """The files without validation and test splits, by file or folder name, if there is a training split.

    A model that has learned the text of a test split has seen its evaluation, even without the labels.
    """
    named = {
        file: [
            (one.parent, split)
            for one in (file, *file.parents[: len(file.relative_to(root).parts) - 1])
            if (split := split_of(one.name.partition(".")[0]))
        ]
        for file in files
    }
    trained = {place for levels in named.values() for place, split in levels if split == "train"}
    judging = {
        file: split
        for file, levels in named.items()
        for place, split in levels
        if split != "train" and place in trained
    }
    for split in sorted(set(judging.values())):
        message = f"the {split} split was left out, since it judges; to learn from it too, name its files or its folder"
        findings.add("split", "note", message, [file.name for file in files if judging.get(file) == split])
    return [file for file in files if file not in judging]


def _digest(file: Path, progress: Progress) -> str:
    found, seen = hashlib.blake2b(digest_size=16), 0
    try:
        with file.open("rb") as opened:
            while part := opened.read(1 << 22):
                found.update(part)
                progress.advance((seen + len(part) >> 20) - (seen >> 20))
                seen += len(part)
    except OSError as error:
        raise DataError(f"can't read {file}: {error.strerror or error}.") from error
    return found.hexdigest()


def _training(splits: dict[str, Any]) -> list[Path | hub.HubTable]:
    name = "train" if "train" in splits else next(iter(splits))
    return [hub.HubTable(splits[name], name)]


def _known(path: Path) -> bool:
    return not path.name.startswith(".") and format_of(path) in (*PLAIN, *FORMATS)


def _texts(file: Path | Table, text: str | None, findings: Findings) -> Iterator[str]:
    if isinstance(file, Path) and format_of(file) in PLAIN:
        yield from lines(file, findings, LONGEST)
        return
    table = FORMATS[format_of(file)](file) if isinstance(file, Path) else file
    (name,) = _column(table, text)
    for chunk in readable(table, [name], findings):
        yield from (str(value) for value in chunk.columns[name] if value is not None)


def _column(table: Table, text: str | None) -> Sequence[str]:
    columns = table.sample()
    if text is None and (pictures := [one.name for one in columns if one.kind == "image"]):
        raise DataError(
            f"{table.name} holds images ({pictures[0]}), and running text is read here. If a column of texts is meant, "
            "name it with --text."
        )
    return find_inputs(columns, table.name, "text", text, [])[:1]
