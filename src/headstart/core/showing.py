"""How records show themselves. `report` places its renderers in these tables, because records must not know it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TEXT: dict[str, Callable[[Any], str]] = {}
"plain text of a record, by the name of its class"
HTML: dict[str, Callable[[Any], str]] = {}
"a fragment of HTML for notebooks"


class Showing:
    """Prints as `report` renders it."""

    def __str__(self) -> str:
        return TEXT[type(self).__name__](self)


class ShowingHTML(Showing):
    """Shows itself in notebooks too."""

    def _repr_html_(self) -> str:
        return HTML[type(self).__name__](self)
