"""Parquet in folders called `column=value`, as Spark, Hive and pyarrow write partitions: each name is a column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from headstart.data.audit.findings import Findings
from headstart.data.tables.parquet import Parquet
from headstart.data.tables.table import Chunk, Column

_MISSING = "__HIVE_DEFAULT_PARTITION__"


class Partition(Parquet):
    """One file. every: the values of each column over all files, which the sample of one file must show."""

    def __init__(self, path: Path, own: dict[str, str | None], every: dict[str, list[str | None]]) -> None:
        super().__init__(path)
        self._own, self._every = own, every

    def sample(self) -> list[Column]:
        inner = [column for column in super().sample() if column.name not in self._own]
        count = len(inner[0].values) if inner else 0
        shown = {name: tuple(values[at % len(values)] for at in range(count)) for name, values in self._every.items()}
        return [*inner, *(Column(name, values) for name, values in shown.items())]

    def chunks(self, columns: Sequence[str], findings: Findings) -> Iterator[Chunk]:
        for chunk in super().chunks([name for name in columns if name not in self._own], findings):
            for name in self._own:
                chunk.columns[name] = [self._own[name]] * len(chunk.places)
            yield chunk


def partitions(root: Path) -> list[Partition]:
    """The files below folders `column=value`, if all files of Parquet below the folder are in such."""
    files = sorted(file for file in root.rglob("*.parquet") if not file.name.startswith("."))
    own = [_values(file.relative_to(root).parts[:-1]) for file in files]
    if not files or not own[0] or any([*one] != [*own[0]] for one in own):
        return []
    every = {name: list(dict.fromkeys(one[name] for one in own)) for name in own[0]}
    return [Partition(file, one, every) for file, one in zip(files, own)]


def _values(folders: Sequence[str]) -> dict[str, str | None]:
    """Values by column; {} if a folder has no such name."""
    pairs = [folder.partition("=") for folder in folders]
    if not all(name and sign for name, sign, _ in pairs):
        return {}
    return {unquote(name): None if value == _MISSING else unquote(value) for name, _, value in pairs}
