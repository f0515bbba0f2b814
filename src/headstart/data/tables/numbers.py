"""Parsing numbers in text, and natural sorting of names with numbers."""

from __future__ import annotations

import math
import re
from collections import Counter
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
ODD = 0.1
"maximum share of texts that are no number among those with units or signs for thousands"

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
    """Numbers of the texts, and a note on the format; `""` for plain numbers. None where one is no number.

    If most are not plain, the currency sign or `%` that most have is removed; then a comma is the decimal sign if every
    text fits that, unless every one also fits a comma between thousands. Up to a tenth may be odd (`on request`, `<1%`,
    another unit) without a change in how the others are read.
    """
    plain = [number(text) for text in texts]
    if None not in plain or not texts:
        return plain, ""
    parts = [_UNIT.fullmatch(text.strip()) for text in texts]
    units = [found and (found[1] or found[3]) for found in parts]
    bare = [found and _plain_minus(found[2]) for found in parts]
    figures = [unit for unit, text in zip(units, bare) if unit is not None and text and text[-1].isdigit()]
    unit = Counter(figures).most_common(1)[0][0] if figures else ""
    ways: tuple[tuple[str, re.Pattern[str], Callable[[str], str]], ...] = (
        (".", _NUMBER, str),
        (".", _THOUSANDS, lambda text: re.sub("[^0-9.+-]", "", text)),
        (",", _DECIMAL_COMMA, lambda text: re.sub("[^0-9,+-]", "", text).replace(",", ".")),
    )
    read: list[tuple[int, list[float | None], list[str], str]] = []
    for point, pattern, canonical in ways:
        fits = [text if own == unit and text and pattern.fullmatch(text) else None for own, text in zip(units, bare)]
        values = [None if text is None else float(canonical(text)) for text in fits]
        good = [text for text in fits if text is not None]
        read.append((len(good), values, good, point))
    most, values, good, point = max(read, key=lambda found: found[0])
    some = sum(value is not None for value in plain)
    if most <= some or len(texts) - most > ODD * len(texts):
        return plain, ""
    note = f"{unit} taken off" if unit else ""
    return values, ", ".join(filter(None, (note, *_signs(good, point))))


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
