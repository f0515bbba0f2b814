"""History of runs, as an index of run folders in a small SQLite file of the user."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headstart.core.errors import ArtifactError, ResourceError
from headstart.core.progress import Progress
from headstart.core.records.comparison import Comparison
from headstart.core.records.curve import LearningCurve
from headstart.core.records.environment import EnvironmentRecord
from headstart.core.records.record import Record

TABLE = """CREATE TABLE IF NOT EXISTS runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, folder TEXT UNIQUE NOT NULL, started TEXT, entry TEXT NOT NULL
)"""


@dataclass(frozen=True)
class Entry(Record):
    """One run as an entry of the index."""

    folder: str
    started: str
    data: str
    model: str
    methods: tuple[str, ...]
    verdict: str | None
    "the recommended method"
    metric: str
    value: float | None
    "its value on the test split"
    low: float | None
    high: float | None
    status: str
    seconds: float | None
    configuration: dict[str, Any] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)
    number: int = 0
    "number of the run on the command line"
    verb: str = "compare"
    "verb of the run: compare (or fit), curve or pretrain"

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


def entry_of_curve(folder: Path, found: LearningCurve) -> Entry:
    """Entry of a learning curve, without a value because it recommends no method."""
    return _unvalued(
        folder, "curve", found.environment, data=found.data, model=found.model,
        methods=tuple(dict.fromkeys(one.method for one in found.readings)), metric=found.metric, status="complete",
        seconds=found.seconds, configuration=found.configuration,
    )  # fmt: skip


def entry_of_pretraining(folder: Path, sources: Sequence[str], report: Mapping[str, Any]) -> Entry:
    """Entry of a pretraining, from its `pretrained.json`."""
    found = _unvalued(
        folder, "pretrain", EnvironmentRecord.from_json(report["environment"]), data=", ".join(sources),
        model=report.get("base") or "from scratch", methods=(report["objective"],), metric=report["metric"],
        status=report.get("status", "ok"), seconds=report.get("seconds"), configuration=report["configuration"],
    )  # fmt: skip
    return replace(found, value=report["value"])


def _unvalued(folder: Path, verb: str, where: EnvironmentRecord, **facts: Any) -> Entry:
    libraries = {"headstart": where.headstart, **where.libraries}
    return Entry(
        str(folder.resolve()), where.started, verb=verb, verdict=None, value=None, low=None, high=None,
        libraries=libraries, **facts,
    )  # fmt: skip


def home() -> Path:
    """`$HEADSTART_HOME`, else `$XDG_DATA_HOME/headstart`, else `~/.local/share/headstart`."""
    if chosen := os.environ.get("HEADSTART_HOME"):
        return Path(chosen)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "headstart"


@contextlib.contextmanager
def _opened() -> Iterator[sqlite3.Connection]:
    """The index as a transaction; it is created if it does not exist."""
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


def remembered(entry: Entry, progress: Progress | None) -> None:
    """Adds a run to the index; an unwritable index only gives a message."""
    try:
        remember(entry)
    except ResourceError as error:
        if progress:
            progress.say(f"not in the history: {error}")


def remember(entry: Entry) -> None:
    """Adds a run to the index; a run in the same folder is replaced and keeps its number."""
    text = json.dumps(entry.to_json())
    with _opened() as index:
        index.execute(
            "INSERT INTO runs (folder, started, entry) VALUES (?, ?, ?) "
            "ON CONFLICT (folder) DO UPDATE SET started = excluded.started, entry = excluded.entry",
            (entry.folder, entry.started, text),
        )


def entries() -> list[Entry]:
    """All runs, the latest last."""
    with _opened() as index:
        rows = index.execute("SELECT number, entry FROM runs ORDER BY started, number").fetchall()
    return [Entry.from_json({**json.loads(text), "number": number}) for number, text in rows]


def entry(name: str) -> Entry:
    """The run with this number, or in this folder. Raises `ArtifactError` if there is none."""
    found = entries()
    for one in found:
        if name == str(one.number) or str(Path(name).resolve()) == one.folder:
            return one
    raise ArtifactError(f"there is no run {name!r}; `headstart runs` lists the {len(found)} that are known.")


def folder_of(run: str | Path) -> Path:
    """The folder of a run, given by its folder or by its number in the history."""
    if str(run).isdigit() and not Path(run).exists():
        return Path(entry(str(run)).folder)
    return Path(run)


def prune() -> list[Entry]:
    """Removes runs whose folders are gone from the index, and returns them."""
    gone = [one for one in entries() if not one.there]
    with _opened() as index:
        index.executemany("DELETE FROM runs WHERE number = ?", [(one.number,) for one in gone])
    return gone
