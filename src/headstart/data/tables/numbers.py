"""Parsing numbers in text, and natural sorting of names with numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence

# Stricter than float(): no "nan", no "1_000", no letters of other scripts.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DIGITS = re.compile(r"(\d+)", re.ASCII)
_UNIT = re.compile(r"([$€£¥]?)\s*(.*?)\s*([$€£¥%]?)")
_DECIMAL_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}([. \u00a0\u202f']\d{3})+)(,\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?(\d{1,3}([, \u00a0\u202f'’]\d{3})+|\d+)(\.\d+)?", re.ASCII)

_NAMES = {
    ",": "a comma", ".": "a point", " ": "a blank", "\u00a0": "a blank", "\u202f": "a blank", "'": "an apostrophe",
    "’": "an apostrophe",
}  # fmt: skip
"signs within numbers, as findings call them"

MISSING = frozenset({
    "n/a", "#n/a", "na", "nan", "none", "null", "-", "--", "?", "missing", "unknown", "tbd", ".", "#ref!", "#value!",
    "#name?", "#div/0!", "#num!", "unlabeled", "unlabelled",
})  # fmt: skip
"words, in lower case, that stand for a missing value among numbers"


def number(text: str) -> float | None:
    """The finite number that `text` writes, or None."""
    stripped = _plain_minus(text.strip())
    if not _NUMBER.fullmatch(stripped):
        return None
    value = float(stripped)
    return value if math.isfinite(value) else None


def _plain_minus(text: str) -> str:
    return text.replace("\u2212", "-")  # the minus of typography, as spreadsheets and LaTeX write it


def numbers(texts: Sequence[str]) -> tuple[list[float | None], str]:
    """Numbers of the texts, and a note on the format; `""` for plain numbers.

    If not all are plain, one currency sign or `%` is removed from each; then a comma is the decimal sign if every text
    fits that, unless every one also fits a comma between thousands.
    """
    plain = [number(text) for text in texts]
    if None not in plain or not texts:
        return plain, ""
    units, bare = set(), []
    for text in texts:
        found = _UNIT.fullmatch(text.strip())
        if found is None:
            return plain, ""
        units.add(found[1] or found[3])
        bare.append(_plain_minus(found[2]))
    if len(units) > 1:
        return plain, ""
    note = f"{units.pop()} taken off" if units != {""} else ""
    ways: tuple[tuple[str, re.Pattern[str], Callable[[str], str]], ...] = (
        (".", _NUMBER, str),
        (".", _THOUSANDS, lambda text: re.sub("[^0-9.+-]", "", text)),
        (",", _DECIMAL_COMMA, lambda text: re.sub("[^0-9,+-]", "", text).replace(",", ".")),
    )
    for point, pattern, canonical in ways:
        if all(pattern.fullmatch(text) for text in bare):
            how = ", ".join(filter(None, (note, *_signs(bare, point))))
            return [float(canonical(text)) for text in bare], how
    return plain, ""


def _signs(texts: Sequence[str], point: str) -> Iterator[str]:
    """Which signs stand where in numbers whose decimals begin with `point`."""
    used = {sign for text in texts for sign in text}
    if point in used - {"."}:
        yield f"{_NAMES[point]} before decimals"
    if between := dict.fromkeys(name for sign, name in _NAMES.items() if sign in used - {point}):
        yield f"{' or '.join(between)} between thousands"


def natural(names: list[str]) -> list[str]:
    """Natural sort: by value if all are numbers, else with digits compared as numbers (`a2` before `a10`)."""
    values = {name: number(name) for name in names}
    if all(value is not None for value in values.values()):
        return sorted(names, key=lambda name: (values[name], name))
    return sorted(names, key=_pieces)


def _pieces(name: str) -> tuple[list[tuple[int, int, str]], str]:
    pieces = [(0, int(p), "") if p.isdigit() and p.isascii() else (1, 0, p) for p in _DIGITS.split(name) if p]
    return pieces, name
