"""Parts (slices) of a test set, by file or by the values of a column, such as the language."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from headstart.core.errors import ConfigurationError
from headstart.data.examples import Examples

MOST = 50
"maximum number of parts; a column with more values identifies examples, not parts"

_ROW = re.compile(r"(?P<file>.+)(:\d+|\[\d+\])")

Parts = dict[str, np.ndarray]
"positions of the examples in the test set, by the name of the part"


def by_file(test: Examples) -> Parts:
    """Parts by file."""
    return grouped([_file(place) for place in _places(test)])


def by_column(test: Examples, held: Mapping[str, str], name: str) -> Parts:
    """Parts by the values of the column `name`. held: its values by place (`reviews.csv:17`).

    Raises `ConfigurationError` if there are more values than `MOST`.
    """
    found = grouped([held.get(place) or "(empty)" for place in _places(test)])
    if len(found) > MOST:
        raise ConfigurationError(
            f"the column {name!r} holds {len(found)} values in the test set; a report has room for {MOST}. "
            "Choose one such as the language or the source."
        )
    return found


def grouped(names: Sequence[str] | np.ndarray) -> Parts:
    """Positions by name; names in the order of their first occurrence."""
    array = np.asarray(names)
    return {str(name): np.flatnonzero(array == name) for name in dict.fromkeys(array.tolist())}


def _file(place: str) -> str:
    """File of a place: `a.csv` of `a.csv:17` and of `a.csv[3]`; the folder of an image."""
    row = _ROW.fullmatch(place)
    return row["file"] if row else place.partition("/")[0]


def _places(test: Examples) -> list[str]:
    return test.places(np.arange(len(test)))
