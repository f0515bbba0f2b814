"""Split names: recognises train, validation and test in names of files, folders, values and `datasets` splits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

WORDS = {
    "train": {"train", "training", "trn"},
    "validation": {"validation", "val", "valid", "validate", "dev", "development"},
    "test": {"test", "testing", "tst"},
    "other": {"eval", "evaluation", "holdout", "heldout"},
}
"""`other` is the test split, or validation beside another test split (Hugging Face's ImageFolder counts eval as test,
too)"""
SPLITS = ("train", "validation", "test")
_BESIDE = {"mask", "masks", "annotation", "annotations", "label", "labels"}
"words in names of files and folders beside a split that hold no examples"
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_SET = re.compile(r"[ _-]?(set|split|data)$")


def split_named(name: str) -> str | None:
    """A key of `WORDS` if the whole name means it (`val`, `dev`, `Test Set`, `hold-out`), else None."""
    word = _SET.sub("", name.strip().lower())
    return next((split for split, known in WORDS.items() if {word, word.replace("-", "")} & known), None)


def lies_beside(name: str) -> bool:
    """True if a name contains masks, annotations or labels, so that the folder or file holds no examples."""
    return not _BESIDE.isdisjoint(word.lower() for word in _WORD.findall(name))


def split_of_words(name: str) -> str | None:
    """A key of `WORDS` if one of several words in the name means it (`seg_test`, `PublicTest`), else None."""
    if lies_beside(name):
        return None
    words = [word.lower() for word in _WORD.findall(name)]
    words += [word.removesuffix(tail) for word in words for tail in ("set", "data", "images") if word.endswith(tail)]
    found = next((split for split, known in WORDS.items() if known & set(words)), None)
    return found or split_named(name)


def splits_of(names: Iterable[str], by: Callable[[str], str | None] = split_named) -> dict[str, str]:
    """`train`, `validation` or `test` for each name that means one."""
    found = {name: split for name in names if (split := by(name)) is not None}
    other = "validation" if "test" in found.values() else "test"
    return {name: other if split == "other" else split for name, split in found.items()}
