"""Material: the data of the target task and other sets, for the checks of an evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from headstart.core.errors import ConfigurationError, DataError
from headstart.core.records.decoding import Decoding
from headstart.data.examples import Data, Examples


def within(place: Path, source: str) -> str:
    """Resolves a path of a suite: relative to its folder if it exists there, else unchanged."""
    return str(place / source) if (place / source).exists() else source


def _no_columns(name: str) -> dict[str, str]:
    raise ConfigurationError(f"a slice by the column {name!r} needs the file that the data come from; give it as data.")


def _no_labelled(source: str) -> Examples:
    raise ConfigurationError(f"{source} can't be read as test examples beside examples that Python handed over.")


@dataclass(eq=False)
class Material:
    """The data of the target task, and other sets, each read once."""

    data: Data
    read: Callable[[str, str | None, str | None], Data]
    "examples by source, text column and label column"
    place: Path = Path()
    "base folder of paths in the suite"
    column: Callable[[str], dict[str, str]] = field(default=_no_columns)
    "reads a column of the target's source, by the places of the rows"
    more: Callable[[str], Examples] = field(default=_no_labelled)
    "reads a labelled set with the target's classes, like the training data"
    _labelled: dict[str, Examples] = field(default_factory=dict)
    _sets: dict[tuple[str, str | None, str | None], Data] = field(default_factory=dict)

    def labelled(self, source: str) -> Examples:
        if source not in self._labelled:
            self._labelled[source] = self.more(within(self.place, source))
        return self._labelled[source].decoded_by(self.data.task.images)

    def decoded_by(self, decoding: Decoding) -> Material:
        """The same sets, with the target's images read by this rule: that of the model that is asked."""
        return self if decoding == self.data.task.images else replace(self, data=self.data.decoded_by(decoding))

    def other(self, source: str, text: str | None, label: str | None) -> Data:
        key = (source, text, label)
        if key not in self._sets:
            try:
                self._sets[key] = self.read(within(self.place, source), text, label)
            except DataError as error:  # because columns are keys of the check in a suite, not flags
                raise DataError(str(error).replace("--label", "label").replace("--text", "text")) from error
        return self._sets[key]
