"""A folder whose subfolders are the classes and hold the images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from headstart.core.errors import DataError
from headstart.data.findings import Findings
from headstart.data.numbers import natural
from headstart.data.table import SAMPLE, Chunk, Chunker, Column, ImagePath

SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm"}


class ImageFolder:
    """`root/class/…/image.png`. Columns: `file` (the path; read only when used) and `folder` (the class).

    name: what places begin with, such as `train` for `train/cat/1.png`; empty for none.
    """

    def __init__(self, root: Path, name: str = "") -> None:
        self.root, self.name = root, name or root.name
        self.called = bool(name)
        self.classes = class_folders(root)

    def _files(self, findings: Findings) -> Iterator[tuple[str, str, str]]:
        """(place, path, class), in an order that does not depend on the file system."""
        for label in self.classes:
            found = False
            for folder, inner, files in os.walk(self.root / label):
                inner[:] = sorted(name for name in inner if not name.startswith("."))
                for file in natural([name for name in files if not name.startswith(".")]):
                    path = os.path.join(folder, file)
                    inside = os.path.relpath(path, self.root)
                    place = f"{self.name}/{inside}" if self.called else inside
                    if os.path.splitext(file)[1].lower() not in SUFFIXES:
                        findings.add("skipped", "note", "files without an image's extension were passed over", [place])
                        continue
                    found = True
                    yield place, path, label
            if not found:
                findings.add("skipped", "warning", "class folders without images were passed over", [label])

    def sample(self) -> list[Column]:
        found = []
        for label in self.classes:  # a few of each, so that all classes are seen
            files = images_in(self.root / label, SAMPLE // len(self.classes) + 1)
            found += [(ImagePath(path), label) for path in files]
        if not found:
            raise DataError(
                f"{self.root} holds no images in its class folders. Readable: {' '.join(sorted(SUFFIXES))}."
            )
        return [Column("file", tuple(p for p, _ in found)), Column("folder", tuple(label for _, label in found))]

    def chunks(self, columns: Sequence[str], findings: Findings) -> Iterator[Chunk]:
        chunker = Chunker(columns)
        for place, path, label in self._files(findings):
            row = {"file": ImagePath(path), "folder": label}
            if chunker.add(place, [row[name] for name in columns]):
                yield chunker.take()
        yield chunker.take()


def class_folders(root: Path) -> list[str]:
    """Names of the subfolders, naturally sorted, hidden ones left out."""
    return natural([entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith(".")])


def images_in(folder: Path, limit: int) -> list[str]:
    """Up to `limit` paths of images below `folder`."""
    found: list[str] = []
    for inside, inner, files in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        found += [os.path.join(inside, file) for file in sorted(files) if os.path.splitext(file)[1].lower() in SUFFIXES]
        if len(found) >= limit:
            break
    return found[:limit]
