"""Annotations of objects in images (YOLO, COCO, Pascal VOC, masks), which give an image no class."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from headstart.core.errors import DataError
from headstart.data.images.files import any_image, subfolders
from headstart.data.ingest.split_names import lies_beside
from headstart.data.tables.table import Table

ADVICE = (
    "say what lies where in an image, and one answer for a whole image is learned here: put each image into a folder "
    "named after its class, or write a table of its path and its label"
)
_COCO = re.compile(r"(instances|captions|person_keypoints|annotations?)_?\w*\.json|_annotations.*\.json", re.IGNORECASE)
_KINDS = (
    ("YOLO's annotations", re.compile(r"(.+/)?labels(/.+)?"), re.compile(r".+\.txt")),
    ("COCO's annotations", re.compile(r".*"), _COCO),
    ("Pascal VOC's annotations", re.compile(r".*"), re.compile(r".+\.xml")),
    ("masks", re.compile(r".*mask.*", re.IGNORECASE), re.compile(r".+\.(png|tiff?|gif|bmp|jpe?g)")),
)
"what they are called, their folder, their files"


def annotations_in(root: Path) -> str:
    """` labels/train holds YOLO's annotations, which say …`, or `""`."""
    below = [root / one for one in subfolders(root)]
    for folder in [root, *below, *(one / inner for one in below for inner in subfolders(one))]:
        for kind, called, name in _KINDS:
            place = folder.relative_to(root).as_posix()
            if called.fullmatch(place) and any(name.fullmatch(file) for file in os.listdir(folder)):
                return f" {root.name if folder == root else place} holds {kind}, which {ADVICE}."
    return ""


def refuse_annotations(root: Path, images: Mapping[str, Sequence[Table]]) -> None:
    """Raises `DataError` if the images have a single folder in place of classes, and annotations beside it."""
    folders = [pair for table in images["train"] for pair in table.folders.items()]  # type: ignore[attr-defined]
    holding = [name for name, folder in folders if not lies_beside(name) and any_image(folder)]
    if len(holding) < 2 and (found := annotations_in(root)):
        inner = [folder for name, folder in folders if name in holding and len(subfolders(folder)) > 1]
        advice = f" If the folders in {inner[0]} are the classes, name it alone." if inner else ""
        raise DataError(f"{root} has no folder of images per class.{advice}{found}")
