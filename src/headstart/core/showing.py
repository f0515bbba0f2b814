"""Renderers of records. `report` fills these tables, because records must not import it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TEXT: dict[str, Callable[[Any], str]] = {}
"plain text of a record, by the name of its class"
HTML: dict[str, Callable[[Any], str]] = {}
"a fragment of HTML for notebooks"


class Showing:
    """Mix-in: `str` uses the renderer in `TEXT`."""

    def __str__(self) -> str:
        return TEXT[type(self).__name__](self)


class ShowingHTML(Showing):
    """Mix-in: notebooks use the renderer in `HTML`."""

    def _repr_html_(self) -> str:
        return HTML[type(self).__name__](self)
