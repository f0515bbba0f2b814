"""Sources: turns the user's files, folders and hub names into tables by split."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from headstart.core.errors import DataError
from headstart.data.audit.findings import Findings
from headstart.data.images.annotations import refuse_annotations
from headstart.data.images.files import any_image, shown, subfolders
from headstart.data.images.folder import ImageFolder
from headstart.data.images.layout import image_splits, table_of_one_folder
from headstart.data.images.paths import with_images
from headstart.data.images.unlisted import METADATA
from headstart.data.ingest.split_names import SPLITS, split_named, split_of_words, splits_of
from headstart.data.tables import hub
from headstart.data.tables.formats import ADVICE, FORMATS, NO_PIPES, READABLE, format_of, reader_of, table_of
from headstart.data.tables.near import at_home, did_you_mean
from headstart.data.tables.partitions import partitions
from headstart.data.tables.table import Table
from headstart.data.tables.unread_folders import seen

_SHARD = re.compile(r"(?P<split>[a-z]+)-\d+-of-\d+(-[0-9a-f]+)?$", re.IGNORECASE)
_PART = re.compile(r"part-?\d+")
"a part of one table, as Spark writes it"

Splits = dict[str, list[Table]]


def split_of(name: str) -> str | None:
    """The split that a file name without suffix means, also for shards: `test-00000-of-00002`."""
    return splits_of([_unsharded(name)]).get(_unsharded(name))


def _unsharded(name: str) -> str:
    shard = _SHARD.fullmatch(name)
    return shard["split"] if shard else name


def resolve(source: Any, validation: Any = None, test: Any = None, findings: Findings | None = None) -> Splits:
    """Tables by split; `validation` and `test` name further sources, or splits of a data set that has several.

    A list of sources is one split of all their rows. findings: gets a note on ignored tables.

    Raises `DataError` if a source does not exist, can't be read or holds no examples.
    """
    source, validation, test = at_home(source), _at_home(validation), _at_home(test)
    loaded = _loaded(source)
    if loaded is not None:
        found: Splits = {}
        named = splits_of(loaded) if len(loaded) > 1 else dict.fromkeys(loaded, "train")
        for name, split in named.items():
            if split not in found:
                found[split] = [hub.HubTable(loaded[name], name)]
    else:
        found = _local(Path(source))
    for split, other in (("validation", validation), ("test", test)):
        if other is not None:
            if isinstance(other, (list, tuple)):
                found[split] = [_called(table) for one in other for table in _other(split, one, loaded)]
            else:
                found[split] = _other(split, other, loaded)
    found = {split: found[split] for split in SPLITS if split in found}
    _tell_apart([table for tables in found.values() for table in tables])
    if "train" not in found:
        has = ", ".join(found or loaded or ()) or "none"
        name = type(source).__name__ if loaded is not None and hub.is_dataset(source) else source
        raise DataError(f"{name} has no training examples; its splits: {has}. Give one named train.")
    if findings is not None and (passed := _passed_over(source, loaded, found)):
        message = "passed over beside the training examples: name it with --validation or --test to judge by it, or "
        message += "as the data to learn from it"
        findings.add("split", "note", message, passed)
    return {split: [with_images(table) for table in tables] for split, tables in found.items()}


def _at_home(other: Any) -> Any:
    return [at_home(one) for one in other] if isinstance(other, (list, tuple)) else at_home(other)


def _passed_over(source: Any, loaded: dict[str, Any] | None, found: Splits) -> list[str]:
    """Names of splits, or of tables beside the training file, that are not used."""
    tables: list[Any] = [table for split in found.values() for table in split]
    if loaded is not None:
        return sorted(set(loaded) - {table.name for table in tables})
    used = {table.path.resolve() for table in tables if hasattr(table, "path")}
    folders = {getattr(table, "path", Path(source) / "-").parent for table in found["train"]}
    every = (file for folder in folders for file in folder.iterdir()) if Path(source).is_dir() else ()
    files = (file for file in every if not file.name.startswith("."))
    return sorted(f.name for f in files if f.is_file() and f.resolve() not in used and _may_hold_examples(f))


def _may_hold_examples(file: Path) -> bool:
    """True for a table, and for `test.xlsx` or `val.zip`, which would be one elsewhere."""
    return reader_of(file) is not None or (format_of(file) in ADVICE and split_named(_stem(file)) is not None)


def _tell_apart(tables: Sequence[Table]) -> None:
    """Unique names for files with equal names, by adding parent folders, because places name their rows by file.

    Folders of images use hyphens instead of slashes, because their places start after the first slash.
    """
    alike: dict[str, list[Any]] = {}
    for table in tables:
        if not isinstance(table, hub.HubTable):
            alike.setdefault(table.name, []).append(table)
    for same in alike.values():
        parts = [(table.root if isinstance(table, ImageFolder) else table.path).resolve().parts for table in same]
        different, taken = len(set(parts)), 1
        while len({part[-taken:] for part in parts}) < different:
            taken += 1
        for table, part in zip(same, parts) if taken > 1 else ():
            table.name = ("-" if isinstance(table, ImageFolder) else "/").join(part[-taken:])


def _called(table: Table) -> Table:
    """If there are other sources, the places of an image folder start with its name."""
    return ImageFolder(table.root, table.name) if isinstance(table, ImageFolder) else table


def _loaded(source: Any) -> dict[str, Any] | None:
    """Splits by name if `source` is a data set of the `datasets` library; None for files and other folders."""
    if hub.is_dataset(source):
        return hub.splits(source)
    if not isinstance(source, (str, os.PathLike)):
        how = f"Give {READABLE}."
        if hasattr(source, "to_csv"):  # data frames of pandas and similar libraries
            how = "Save it with .to_csv('examples.csv', index=False) and give that file."
        raise DataError(f"can't read examples from a {type(source).__name__}. {how}")
    path = _path(source)
    try:
        if path.is_dir():
            return hub.saved(path) if hub.is_saved(path) else None
        if path.is_file():
            return None
        if str(source) == "-" or path.exists():
            raise DataError(f"{source}: {NO_PIPES}; write the examples into a file, and give that.")
    except OSError as error:
        raise DataError(f"can't read {source}: {error.strerror}.") from error
    if isinstance(source, str) and hub.looks_like_name(source) and not did_you_mean(path):
        return hub.named(source)
    if "://" in str(source):
        raise DataError(f"addresses are not read: download {source}, and give the file.")
    parent = "" if path.parent.is_dir() else f" The folder {path.parent} does not exist either."
    raise DataError(f"there is no file or folder {source}.{parent}{did_you_mean(path)} Give {READABLE}.")


def _path(source: str | os.PathLike[str]) -> Path:
    """The path that names the data. Raises `DataError` for an empty one, which would be the working directory."""
    if not os.fspath(source):
        raise DataError(f"the name of the data is empty. Give {READABLE}.")
    if (name := shown(os.fspath(source))) != os.fspath(source):  # records and pages, which are UTF-8, hold it
        raise DataError(f"the path {name} is not UTF-8; rename the file or folder.")
    return Path(source)


def _other(split: str, source: Any, loaded: dict[str, Any] | None) -> list[Table]:
    if loaded is not None and isinstance(source, str) and not Path(source).exists():
        return [hub.HubTable(hub.chosen(loaded, source), source)]
    inner = _loaded(source)
    if inner is not None:
        name = next((name for name, meant in splits_of(inner).items() if meant == split), None)
        if name is None and len(inner) > 1:
            raise DataError(f"{source} has the splits {', '.join(inner)}; none of them is the {split} split.")
        chosen = name or next(iter(inner))
        return [hub.HubTable(inner[chosen], chosen)]
    found = _local(Path(source), split)
    if split not in found and len(found) > 1:
        raise DataError(f"{source} has the splits {', '.join(found)}; give the file that holds the {split} split.")
    return found.get(split) or next(iter(found.values()))


def _local(path: Path, needed: str = "train") -> Splits:
    try:
        return _folder(path, needed) if path.is_dir() else {"train": [table_of(path)]}
    except OSError as error:
        raise DataError(f"can't read {path}: {error.strerror or error}. Check that you may read it.") from error


def _folder(root: Path, needed: str = "train") -> Splits:
    """The tables of a folder by split. Raises `DataError` if it has splits, but neither `needed` nor train."""
    entries = sorted(entry for entry in root.iterdir() if not entry.name.startswith("."))
    files = [entry for entry in entries if entry.is_file() and reader_of(entry)]
    found = _split_files(root, files, needed=needed)
    if found:
        return found
    described = _described(root)
    if described:
        return described
    if (root / "data").is_dir() and not any_image(root / "data"):
        return _folder(root / "data", needed)  # the layout of data sets cloned from the hub
    images = image_splits(root)
    if images is not None:
        if listed := table_of_one_folder(images, map(table_of, files)):
            return listed
        refuse_annotations(root, images)
        return images
    if len(files) == 1 or (files and all(_PART.match(file.name) for file in files)):
        return {"train": list(map(table_of, files))}
    if "train" in splits_of(map(_stem, files), split_of_words).values():
        return _split_files(root, files, split_of_words)
    if not files and any("=" in entry.name for entry in entries) and (parts := partitions(root)):
        return {"train": [*parts]}
    inside = [str(entry) for entry in entries if entry.is_dir() and _holds_examples(entry)]
    hint = f" Did you mean {' or '.join(inside[:3])}?" if inside else ""
    raise DataError(
        f"{root} holds nothing that can be read as examples: {seen(root, entries, files)}.{hint} Give {READABLE}."
    )


def _described(root: Path) -> Splits:
    """Hugging Face's ImageFolder with metadata: a table with file names beside the images, or one per split."""
    for name in METADATA:
        if (root / name).is_file():
            return {"train": [table_of(root / name)]}
    inside = ((folder, name) for folder in subfolders(root) for name in reversed(METADATA))
    files = {folder: root / folder / name for folder, name in inside if (root / folder / name).is_file()}
    found: Splits = {}
    for folder, split in splits_of(files, split_of_words).items():
        found.setdefault(split, []).append(table_of(files[folder]))
    return found if "train" in found else {}


def _holds_examples(folder: Path) -> bool:
    try:
        return bool(_folder(folder))
    except (DataError, OSError, RecursionError):
        return False


def _stem(file: Path) -> str:
    """The file name without suffixes and shard number."""
    name = file.name.removesuffix(".gz")
    return _unsharded(name[: len(name) - len(format_of(file))] if format_of(file) in (*FORMATS, *ADVICE) else name)


def _split_files(
    root: Path, files: Sequence[Path], by: Callable[[str], str | None] = split_named, needed: str = "train"
) -> Splits:
    """`train.csv`, `dev.jsonl`, `test-00000-of-00002.parquet`, … by split; {} if no name means one."""
    found: dict[str, list[Path]] = {}
    named = splits_of(map(_stem, files), by)
    for file in files:
        if split := named.get(_stem(file)):
            found.setdefault(split, []).append(file)
    for split, paths in found.items():
        if len(paths) > 1 and not all(_SHARD.fullmatch(path.stem) for path in paths):
            names = ", ".join(path.name for path in paths)
            raise DataError(
                f"{root} holds several files for the {split} split: {names}. Put their rows into one, or name one."
            )
    if found and not {"train", needed} & {*found}:
        raise DataError(f"{root} has files for {', '.join(found)}, but none for training, such as train.csv.")
    return {split: [table_of(path) for path in paths] for split, paths in found.items()}
