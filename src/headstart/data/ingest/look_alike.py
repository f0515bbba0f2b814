"""Look-alike names: equal by Unicode (NFC, NFD, invisible signs), or confusable (Cyrillic а, Latin a)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

_TWINS = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеорсухіјѕԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧο‐‑‒–—’‘“”",
    "ABESIJKMHOPCTYXaeopcyxijsdqwABEZHIKMNOPTYXo-----''\"\"",
)
"confusables: Cyrillic and Greek letters, dashes and quotes, with the Latin signs that look the same"


def canonical(name: str) -> str:
    """The name in NFC, without invisible signs (zero-width blanks and joiners, soft hyphens), single blanks."""
    composed = unicodedata.normalize("NFC", name)
    if not composed.isascii():
        composed = "".join(sign for sign in composed if unicodedata.category(sign) != "Cf")
    return " ".join(composed.split()) or name


def appearance(name: str) -> str:
    """Skeleton of a name, equal for names that look alike in other scripts, widths, case or quotes around them."""
    folded = canonical(unicodedata.normalize("NFKC", name.translate(_TWINS))).casefold()
    return folded.strip("'\"") or folded


def merged(counts: Mapping[str, int]) -> dict[str, str]:
    """The most frequent spelling for each name with several spellings of one canonical form."""
    found: dict[str, list[str]] = {}
    for name in counts:
        found.setdefault(canonical(name), []).append(name)
    return {
        name: max(same, key=lambda one: (counts[one], one == canonical(one)))
        for same in found.values()
        if len(same) > 1
        for name in same
    }


def alike(names: Iterable[str]) -> list[list[str]]:
    """Groups of at least two names with the same skeleton."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(appearance(name), []).append(name)
    return [same for same in found.values() if len(same) > 1]


def spelled(name: str) -> str:
    """The name in quotes, with the code points of its non-ASCII signs: `'é' (U+00E9)`."""
    odd = " ".join(f"U+{ord(sign):04X}" for sign in name if not sign.isascii())
    return f"{name!r} ({odd})" if odd else repr(name)
