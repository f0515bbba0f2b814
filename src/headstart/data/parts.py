"""Parts of a test set: by the file that its examples come from, or by what a column holds, such as the language."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from headstart.core.errors import ConfigurationError
from headstart.data.examples import Examples

MOST = 50
"parts; a column that holds more values tells examples apart, not parts"

_ROW = re.compile(r"(?P<file>.+)(:\d+|\[\d+\])")

Parts = dict[str, np.ndarray]
"name of a part to the positions of its examples in the test set"


def by_file(test: Examples) -> Parts:
    """The examples of each file."""
    return grouped([_file(place) for place in _places(test)])


def by_column(test: Examples, held: Mapping[str, str], name: str) -> Parts:
    """The examples of each value of a column. held: place (`reviews.csv:17`) to what the column `name` holds there.

    Raises `ConfigurationError` where it holds more values than `MOST`.
    """
    found = grouped([held.get(place) or "(empty)" for place in _places(test)])
    if len(found) > MOST:
        raise ConfigurationError(
            f"the column {name!r} holds {len(found)} values in the test set; a report has room for {MOST}. "
            "Choose one that names a language, a source or the like."
        )
    return found


def grouped(names: Sequence[str] | np.ndarray) -> Parts:
    """Positions by name, in the order in which the names first come."""
    array = np.asarray(names)
    return {str(name): np.flatnonzero(array == name) for name in dict.fromkeys(array.tolist())}


def _file(place: str) -> str:
    """`a.csv` of `a.csv:17` and of `a.csv[3]`, the folder of an image."""
    row = _ROW.fullmatch(place)
    return row["file"] if row else place.partition("/")[0]


def _places(test: Examples) -> list[str]:
    return test.places(np.arange(len(test)))
