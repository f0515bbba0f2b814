"""Data sets of the `datasets` library: objects in memory, saved folders, and names on the hub."""

from __future__ import annotations

import contextlib
import re
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from headstart.core.errors import DataError, suggestion
from headstart.data.audit.findings import Findings
from headstart.data.tables.parquet import columns_of, unnested, values
from headstart.data.tables.spread import positions
from headstart.data.tables.table import Chunk, Column

_NAME = re.compile(r"[\w][\w.-]*(/[\w][\w.-]*)?")
_BATCH = 1_024


class HubTable:
    """One split: a `datasets.Dataset`, read as Arrow batches with encoded images."""

    def __init__(self, dataset: Any, name: str) -> None:
        self.name = name
        if len(dataset) == 0:
            raise DataError(f"the split {name} has no rows.")
        self.class_names: dict[str, tuple[str, ...]] = {}
        for column, feature in dataset.features.items():
            inner = getattr(feature, "feature", feature)
            inner = inner[0] if isinstance(inner, list) and inner else inner
            if type(inner).__name__ == "ClassLabel" and inner.names:
                self.class_names[column] = tuple(str(label) for label in inner.names)
        self.fingerprint: str = (
            dataset._fingerprint
        )  # fingerprint of the rows and their processing, taken first because with_format changes it
        self._transformed = dataset.format["type"] == "custom"
        # with_format("arrow") gives the raw storage: ClassLabel as integers, Image as {bytes, path}, undecoded
        self._dataset = dataset.with_format("arrow")

    format = "Arrow"

    def sample(self) -> list[Column]:
        table: pa.Table = self._dataset[positions(len(self._dataset))]
        return columns_of(unnested(table), self.class_names)

    def chunks(self, columns: Sequence[str], findings: Findings) -> Iterator[Chunk]:
        if self._transformed:
            message = "the data set's transform is not applied: what it stores is read (`map` stores its results)"
            findings.add("transform", "warning", message, [self.name])
        at = 0
        outer = [one for one in self._dataset.column_names if any(f"{name}.".startswith(f"{one}.") for name in columns)]
        for batch in self._dataset.select_columns(outer).iter(batch_size=_BATCH):
            table = unnested(batch)
            places = [f"{self.name}:{at + row}" for row in range(1, batch.num_rows + 1)]
            at += batch.num_rows
            yield Chunk(places, {name: values(table.column(name), None) for name in columns})


def is_dataset(source: object) -> bool:
    """True if `source` is a loaded `Dataset` or `DatasetDict`."""
    return type(source).__module__.split(".")[0] == "datasets"


def is_saved(folder: Path) -> bool:
    """True if `save_to_disk` wrote this folder."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def looks_like_name(source: str) -> bool:
    return bool(_NAME.fullmatch(source)) and not Path(source).suffix


def saved(folder: Path) -> dict[str, Any]:
    """The splits of a folder written by `save_to_disk`."""
    import datasets

    try:
        return splits(datasets.load_from_disk(str(folder)))
    except DataError:
        raise
    except Exception as error:  # because the library raises many kinds of errors
        raise DataError(f"can't load the data set saved in {folder}: {_reason(error)}") from error


def named(name: str) -> dict[str, Any]:
    """The splits of a data set on the hub. Raises `DataError` if it does not exist or can't be reached."""
    import datasets

    try:
        with _offline_where_unreachable():
            return splits(datasets.load_dataset(name))
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"{name!r} is no file or folder here, and loading it as a data set from the hub failed: {_reason(error)} "
            "Offline, give a local file (.csv, .tsv, .jsonl, .parquet), a folder of class folders of images, or a "
            "folder written by datasets' save_to_disk."
        ) from error


@contextlib.contextmanager
def _offline_where_unreachable() -> Iterator[None]:
    """Offline mode if the hub's host name does not resolve, because the library would retry for 25 s."""
    import datasets
    from huggingface_hub import constants

    host = urllib.parse.urlsplit(constants.ENDPOINT).hostname or ""
    try:
        if not urllib.request.getproxies():
            socket.getaddrinfo(host, 443)
        reachable = True
    except OSError:
        reachable = False
    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    if not reachable:
        constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


def splits(loaded: Any) -> dict[str, Any]:
    """Data sets by split name; a single one is `train`. Raises `DataError` for streamed data sets."""
    if type(loaded).__name__ not in {"Dataset", "DatasetDict"}:
        raise DataError(f"data of the type {type(loaded).__name__} can't be read; load the data set without streaming.")
    return dict(loaded) if type(loaded).__name__ == "DatasetDict" else {"train": loaded}


def chosen(found: dict[str, Any], name: str) -> Any:
    """The named split. Raises `DataError` with the existing ones."""
    if name not in found:
        raise DataError(f"no split {name!r}.{suggestion(name, found)} There are: {', '.join(found)}.")
    return found[name]


def _reason(error: BaseException) -> str:
    text = (str(error).splitlines() or [""])[0].strip() or type(error).__name__
    return text[:300].rstrip(".") + "."
