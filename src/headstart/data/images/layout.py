"""Layout of an image folder: detects which subfolders are splits and which are classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from headstart.core.errors import DataError
from headstart.data.images.annotations import annotations_in
from headstart.data.images.files import any_image, subfolders
from headstart.data.images.folder import ImageFolder
from headstart.data.images.paths import with_images
from headstart.data.ingest.split_names import lies_beside, split_of_words, splits_of
from headstart.data.tables.table import Table

MAKE = "Make such subfolders, or list the images in a table of their names and labels"


def image_splits(root: Path) -> dict[str, list[Table]] | None:
    """Image folders by split; None if `root` has no folders of images.

    Layouts: root/class, root/split/class and root/class/split. A folder counts as a split if its name says so
    (`training_set`, `Val`, `seg_test`) and its subfolders are classes, so that a class may be called `train`.
    A single folder around all others is entered.
    Raises `DataError` if the folders of splits hold images without classes.
    """
    top, root = root, _entered(root)
    folders = {name: root / name for name in subfolders(root) if any_image(root / name)}
    if not folders:
        return None
    inner = {name: _classes(folder) for name, folder in folders.items()}
    named = splits_of(folders, split_of_words)
    others = sorted(set(folders) - set(named))
    if "train" in named.values() and all(inner[name] for name in named) and not (others and _apart(named, inner)):
        told = ", ".join(f"{name} as {split}" for name, split in named.items())
        told = f"folders read as splits: {told}" + (f"; passed over: {', '.join(others)}" if others else "")
        plain = not others and all(name.lower() == split for name, split in named.items())
        found: dict[str, list[Table]] = {}
        for name, split in named.items():
            folder = ImageFolder(_entered(folders[name]), name, understood="" if plain else told)
            found.setdefault(split, []).append(folder)
        return found
    if "train" in named.values() and named.keys() == folders.keys():
        flat = ", ".join(name for name in named if not inner[name])
        train = next((name for name, split in named.items() if split == "train" and inner[name]), None)
        alone = f"Give {root / train} alone to have the other splits made from it" if train else MAKE
        advice = annotations_in(top) or f" {alone}.{_tables(root, named)}"
        raise DataError(
            f"{root} has the folders {', '.join(named)}, but not each holds one subfolder of images per class. "
            f"Without classes: {flat}.{advice}"
        )
    below = [splits_of(classes, split_of_words) for classes in inner.values()]
    if all("train" in one.values() and one.keys() == classes.keys() for one, classes in zip(below, inner.values())):
        return _classes_first(root, inner)
    return {"train": [ImageFolder(root, understood=_doubt(inner))]}


def table_of_one_folder(images: Mapping[str, list[Table]], tables: Iterable[Table]) -> dict[str, list[Table]]:
    """The table that lists the images of a single folder, which can't be the only class; {} if there is none.

    Folders of masks and annotations do not count. Raises `DataError` if several do.
    """
    folders = [pair for table in images["train"] for pair in table.folders.items()]  # type: ignore[attr-defined]
    if len(images) > 1 or sum(any_image(folder) for name, folder in folders if not lies_beside(name)) > 1:
        return {}
    found = [one for one in tables if any(column.kind == "image" for column in with_images(one).sample())]
    if len(found) > 1:
        raise DataError(f"several tables list these images: {', '.join(one.name for one in found)}. Name one of them.")
    return {"train": found} if found else {}


def _apart(named: Mapping[str, str], inner: Mapping[str, Mapping[str, Path]]) -> bool:
    """True if a folder shares no class with training, so that the folders are no splits."""
    known = {label.casefold() for name, split in named.items() if split == "train" for label in inner[name]}
    return any(known.isdisjoint(label.casefold() for label in inner[name]) for name in named)


def _classes(folder: Path) -> dict[str, Path]:
    """Subfolders with images, also inside a single outer folder."""
    folder = _entered(folder)
    return {name: folder / name for name in subfolders(folder) if any_image(folder / name)}


def _entered(root: Path) -> Path:
    """The folder, or the only folder in it, as in unpacked archives."""
    inside = root
    while len(names := [name for name in subfolders(inside) if any_image(inside / name)]) == 1:
        inside /= names[0]
    return inside if names else root


def _tables(root: Path, names: Iterable[str]) -> str:
    """Advice where the folders of the splits hold tables, which may say the class of each image."""
    found = [f"{name}/{file.name}" for name in names for file in sorted((root / name).glob("[!.]*.csv"))]
    return f" They hold tables ({', '.join(found)}): if these list the images, name each as its split." if found else ""


def _classes_first(root: Path, inner: Mapping[str, Mapping[str, Path]]) -> dict[str, list[Table]]:
    """The layout root/class/split."""
    found: dict[str, dict[str, Path]] = {}
    for label, folders in inner.items():
        for name, split in splits_of(folders, split_of_words).items():
            found.setdefault(split, {})[label] = folders[name]
    told = f"the splits {', '.join(found)} were found within each class folder"
    return {split: [ImageFolder(root, classes=classes, understood=told)] for split, classes in found.items()}


def _doubt(inner: Mapping[str, Mapping[str, Path]]) -> str:
    """A note if all folders hold subfolders of the same names, because the classes may be one level deeper."""
    names = {tuple(classes) for classes in inner.values()}
    if len(inner) < 2 or len(names) > 1 or len(next(iter(names))) < 2:
        return ""
    same = ", ".join(next(iter(names))[:5])
    return (
        f"the folders {', '.join(list(inner)[:5])} were read as classes; each holds subfolders of the same names "
        f"({same}): if these are the classes, name the outer folders train and test"
    )
