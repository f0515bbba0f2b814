"""History: which runs there were, in a small SQLite file of the user's. It only points at run folders."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.core.comparison import Comparison
from headstart.core.errors import ArtifactError, ResourceError
from headstart.core.record import Record

TABLE = """CREATE TABLE IF NOT EXISTS runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, folder TEXT UNIQUE NOT NULL, started TEXT, entry TEXT NOT NULL
)"""


@dataclass(frozen=True)
class Entry(Record):
    """One run, in a line."""

    folder: str
    started: str
    data: str
    model: str
    methods: tuple[str, ...]
    verdict: str | None
    "the method to use"
    metric: str
    value: float | None
    "of that method on test"
    low: float | None
    high: float | None
    status: str
    seconds: float | None
    configuration: dict[str, Any] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)
    number: int = 0
    "by which the command line calls it"

    @property
    def there(self) -> bool:
        return Path(self.folder).is_dir()


def entry_of(folder: Path, found: Comparison) -> Entry:
    value = low = high = None
    if found.verdict.method:
        row = found.row(found.verdict.method)
        value, low, high = row.value, row.low, row.high
    return Entry(
        str(folder.resolve()), found.environment.started, found.data.source, found.model.source,
        tuple(one.method for one in found.rows), found.verdict.method, found.task.metric, value, low, high,
        found.status, found.seconds, found.configuration,
        {"headstart": found.environment.headstart, **found.environment.libraries},
    )  # fmt: skip


def home() -> Path:
    """`$HEADSTART_HOME`, else `$XDG_DATA_HOME/headstart`, else `~/.local/share/headstart`."""
    if chosen := os.environ.get("HEADSTART_HOME"):
        return Path(chosen)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "headstart"


@contextlib.contextmanager
def _opened() -> Iterator[sqlite3.Connection]:
    """The index, made where there is none; what is done to it is done wholly or not at all."""
    place = home() / "runs.sqlite"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(place, timeout=30)) as connection, connection:
            connection.execute(TABLE)
            yield connection
    except (OSError, sqlite3.Error) as error:
        raise ResourceError(
            f"can't use the index of runs {place} ({error}); set HEADSTART_HOME to a folder that can be written."
        ) from error


def remember(entry: Entry) -> None:
    """Notes a run; one that is in the same folder takes the place of an earlier one."""
    text = json.dumps(entry.to_json())
    with _opened() as index:
        index.execute("DELETE FROM runs WHERE folder = ?", (entry.folder,))
        index.execute("INSERT INTO runs (folder, started, entry) VALUES (?, ?, ?)", (entry.folder, entry.started, text))


def entries() -> list[Entry]:
    """All runs, the latest last."""
    with _opened() as index:
        rows = index.execute("SELECT number, entry FROM runs ORDER BY number").fetchall()
    return [Entry.from_json({**json.loads(text), "number": number}) for number, text in rows]


def entry(name: str) -> Entry:
    """The run with this number, or in this folder. Raises `ArtifactError` where there is none."""
    found = entries()
    for one in found:
        if name == str(one.number) or str(Path(name).resolve()) == one.folder:
            return one
    raise ArtifactError(f"there is no run {name!r}; `headstart runs` lists the {len(found)} that are known.")


def prune() -> list[Entry]:
    """Forgets the runs whose folders are gone, and returns them."""
    gone = [one for one in entries() if not one.there]
    with _opened() as index:
        index.executemany("DELETE FROM runs WHERE number = ?", [(one.number,) for one in gone])
    return gone
