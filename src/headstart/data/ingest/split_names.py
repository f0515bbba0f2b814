"""Names of splits: what in the name of a file, a folder, a column's value or a `datasets` split says train or test."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

WORDS = {
    "train": {"train", "training", "trn"},
    "validation": {"validation", "val", "valid", "validate", "dev", "development"},
    "test": {"test", "testing", "tst"},
    "other": {"eval", "evaluation", "holdout", "heldout"},
}
"""`other` is the test split, or validation where there is a test split besides (Hugging Face's ImageFolder counts eval
to test, too)"""
SPLITS = ("train", "validation", "test")
_BESIDE = {"mask", "masks", "annotation", "annotations", "label", "labels"}
"words in the names of what lies beside a split and holds something else than its examples"
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_SET = re.compile(r"[ _-]?(set|split|data)$")


def split_named(name: str) -> str | None:
    """A key of `WORDS` for a name that means it as a whole (`val`, `dev`, `Test Set`, `hold-out`), else None."""
    word = _SET.sub("", name.strip().lower())
    return next((split for split, known in WORDS.items() if {word, word.replace("-", "")} & known), None)


def lies_beside(name: str) -> bool:
    """Whether a folder or file is called after masks, annotations or labels, and so holds no examples."""
    return not _BESIDE.isdisjoint(word.lower() for word in _WORD.findall(name))


def split_of_words(name: str) -> str | None:
    """A key of `WORDS` for a name of several words of which one says so (`seg_test`, `PublicTest`), else None."""
    if lies_beside(name):
        return None
    words = [word.lower() for word in _WORD.findall(name)]
    words += [word.removesuffix(tail) for word in words for tail in ("set", "data", "images") if word.endswith(tail)]
    found = next((split for split, known in WORDS.items() if known & set(words)), None)
    return found or split_named(name)


def splits_of(names: Iterable[str], by: Callable[[str], str | None] = split_named) -> dict[str, str]:
    """`train`, `validation` or `test` by name, for those of the names that mean one."""
    found = {name: split for name in names if (split := by(name)) is not None}
    other = "validation" if "test" in found.values() else "test"
    return {name: other if split == "other" else split for name, split in found.items()}
