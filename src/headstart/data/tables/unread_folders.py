"""What a folder holds that can't be read as examples, for a message."""

from __future__ import annotations

import collections
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

from headstart.data.images.files import is_hidden
from headstart.data.images.formats import SUFFIXES
from headstart.data.tables.formats import FORMATS

LOOKED_AT = 2_000
"maximum number of files that are counted"
_OTHERS = (
    (
        {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"},
        "videos, which are not read: save some frames of each as images, in a folder named after its class",
    ),
    (
        {".wav", ".mp3", ".flac", ".ogg", ".m4a", ".aac", ".opus"},
        "sounds, which are not read: write their transcripts into a table",
    ),
    (
        {".svg", ".eps", ".psd", ".cr2", ".nef", ".arw", ".dng", ".npy", ".npz"},
        "pictures in formats that are not read: save them as PNG",
    ),
    (
        {".txt", ".text", ".md", ".html", ".htm", ".xml", ".pdf", ".doc", ".docx", ".eml"},
        "documents: write their texts into a table (.csv, .jsonl), each with its label",
    ),
)
"suffixes of other files, and what they are"


def seen(root: Path, entries: Sequence[Path], tables: Sequence[Path]) -> str:
    """`it has a, b`, and what most of its files are and what to do with them."""
    if not entries:
        return "it is empty"
    if any(entry.suffix.lower() in SUFFIXES for entry in entries):
        advice = "put each into a folder named after its class, or write a table of their names and labels"
        return f"its images lie outside of class folders ({advice})"
    if tables:
        names = ", ".join(table.name for table in tables[:8])
        return f"none of its tables ({names}) is called train: name the one to read, or write all rows into one"
    shown = ", ".join(entry.name for entry in entries[:8]) + (f" and {len(entries) - 8} more" if entries[8:] else "")
    kinds = collections.Counter(os.path.splitext(name)[1].lower() for name in _below(root))
    for suffixes, what in _OTHERS:
        if sum(kinds[suffix] for suffix in suffixes) > sum(kinds.values()) / 2:
            return f"it has {shown}; most of its files are {what}"
    often = next((suffix for suffix, _ in kinds.most_common(1) if suffix not in (*FORMATS, *SUFFIXES)), "")
    return f"it has {shown}" + (f"; most of its files are {often}, which is not read" if often else "")


def _below(root: Path) -> list[str]:
    """Names of the first files below the folder."""
    every = (name for _, _, files in os.walk(root) for name in files if not is_hidden(name))
    return list(itertools.islice(every, LOOKED_AT))
