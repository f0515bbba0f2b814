"""Images that lie beside those of a table, and that no table lists."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from headstart.data.audit.findings import Findings
from headstart.data.images.files import image_files, is_hidden, shown
from headstart.data.images.formats import SUFFIXES
from headstart.data.images.paths import ImageTable
from headstart.data.tables.table import Table

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"names of tables about the images beside them (Hugging Face's ImageFolder)"


def note_unlisted(source: Any, tables: Iterable[Table], findings: Findings) -> None:
    """A finding on images that are left out because no table lists them. Call it when all tables were read.

    Looked through are the folders of listed images; of Hugging Face's metadata files, all of the source's.
    """
    own = [one for one in tables if isinstance(one, ImageTable) and one.listed and hasattr(one, "path")]
    listed = {path for table in own for path in table.listed}
    tops = {_top(source, table) for table in own if table.path.name in METADATA}
    flat = {os.path.dirname(path) for path in listed} if len(tops) < len(own) else set()
    found = [*(path for top in sorted(tops) for path in map(os.path.abspath, image_files(top))), *_images_in(flat)]
    if left := [path for path in dict.fromkeys(found) if path not in listed]:
        names = ", ".join(sorted({table.name for table in own}))
        places = [shown(os.path.relpath(path, own[0].path.parent)) for path in left]
        findings.add("skipped", "note", f"images beside the listed ones that {names} does not list, left out", places)


def _top(source: Any, table: ImageTable) -> Path:
    folder: Path = table.path.parent
    given = Path(source) if isinstance(source, (str, os.PathLike)) else folder
    return given if given.is_dir() and folder.resolve().is_relative_to(given.resolve()) else folder


def _images_in(folders: Iterable[str]) -> Iterator[str]:
    """Images that lie in these folders themselves."""
    for folder in sorted(folders):
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            if not is_hidden(name) and os.path.splitext(name)[1].lower() in SUFFIXES:
                yield os.path.join(folder, name)
