"""Image folder: subfolders are the classes and hold the images."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from headstart.core.errors import DataError
from headstart.data.audit.findings import Findings
from headstart.data.images.files import Passed, image_files, is_hidden, shown, subfolders
from headstart.data.images.formats import SUFFIXES
from headstart.data.tables.table import SAMPLE, Chunk, Chunker, Column, ImagePath


class ImageFolder:
    """`root/class/…/image.png`. Columns: `file` (the path; read only when used) and `folder` (the class).

    name: prefix of places, such as `train` for `train/cat/1.png`; may be empty.
    classes: folder of each class, if these are not the subfolders of `root`.
    understood: how the layout was read, as a sentence for the findings; empty if it is obvious.
    """

    def __init__(
        self, root: Path, name: str = "", classes: Mapping[str, Path] | None = None, understood: str = ""
    ) -> None:
        self.root, self.name = root, name or root.name
        self.called = bool(name)
        self.folders = {label: root / label for label in subfolders(root)} if classes is None else dict(classes)
        self.understood = understood

    def _files(self, findings: Findings) -> Iterator[tuple[str, str, str]]:
        """(place, path, class), in an order independent of the file system."""
        passed, inner = Passed(), dict[str, None]()
        for label, folder in self.folders.items():
            found = False
            for path in image_files(folder, passed):
                found = True
                if os.path.dirname(path) != str(folder):
                    deeper = os.path.relpath(path, folder).split(os.sep)[0]
                    inner.setdefault(f"{shown(label)}/{shown(deeper)}", None)
                yield self._place(shown(os.path.relpath(path, self.root))), path, shown(label)
            if not found:
                findings.add("skipped", "warning", "class folders without images were passed over", [label])
        is_plain = {folder.parent for folder in self.folders.values()} == {self.root}
        for name in sorted(os.listdir(self.root)) if is_plain else ():
            if not is_hidden(name) and os.path.splitext(name)[1].lower() in SUFFIXES:
                passed.add("images outside of class folders, passed over", self._place(shown(name)))
        passed.note(findings)
        if inner and not self.understood:
            message = "subfolders of class folders count to the class above them"
            findings.add("layout", "note", message, [*inner])
        if self.understood:
            findings.add("layout", "note", self.understood, count=1)

    def _place(self, inside: str) -> str:
        return f"{self.name}/{inside}" if self.called else inside

    def sample(self) -> list[Column]:
        each = SAMPLE // max(1, len(self.folders)) + 1  # a few per class, so that the sample has all classes
        found = [
            (ImagePath(path), label)
            for label, folder in self.folders.items()
            for path in itertools.islice(image_files(folder), each)
        ]
        if not found:
            raise DataError(
                f"{self.root} holds no images in its class folders. Readable: {' '.join(sorted(SUFFIXES))}."
            )
        return [Column("file", tuple(p for p, _ in found)), Column("folder", tuple(shown(label) for _, label in found))]

    def chunks(self, columns: Sequence[str], findings: Findings) -> Iterator[Chunk]:
        chunker = Chunker(columns)
        for place, path, label in self._files(findings):
            row = {"file": ImagePath(path), "folder": label}
            if chunker.add(place, [row[name] for name in columns]):
                yield chunker.take()
        yield chunker.take()
