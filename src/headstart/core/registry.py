"""Registry: placing a file in a package registers its items; other distributions use entry points."""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import sys
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from headstart.core.errors import ConfigurationError, unknown

T = TypeVar("T")


class Registry(Generic[T]):
    """Items by name. To add an item, place a file in `package` that registers it.

    Other distributions use the entry-point group `group`, by default `headstart.<last part of the package's name>`. A
    duplicate name raises `ValueError`, because it is a programmer's mistake; an unknown name raises
    `ConfigurationError` with a suggestion.
    """

    def __init__(self, kind: str, package: str, group: str = "") -> None:
        self.kind, self.package = kind, package
        self.group = group or f"headstart.{package.rpartition('.')[2]}"
        self._items: dict[str, T] = {}
        self._filled = False

    def register(self, name: str) -> Callable[[T], T]:
        def place(item: T) -> T:
            if name in self._items and not _stale(self._items[name], item):
                raise ValueError(f"{self.kind} {name!r} is registered twice: {self._items[name]!r} and {item!r}")
            self._items[name] = item
            return item

        return place

    def _fill(self) -> None:
        if self._filled:
            return
        package: Any = importlib.import_module(self.package)
        for module in pkgutil.walk_packages(package.__path__, f"{self.package}."):
            importlib.import_module(module.name)
        for entry in importlib.metadata.entry_points(group=self.group):
            try:
                entry.load()
            except Exception as error:  # because a foreign package may raise anything
                whose = entry.dist.name if entry.dist else entry.value
                raise ConfigurationError(
                    f"the {self.kind} {entry.name!r} of the package {whose} can't be loaded "
                    f"({type(error).__name__}: {error}). Mend it, or take it away: pip uninstall {whose}"
                ) from error
        self._filled = True  # set last, so that a file that fails to import fails again at the next use

    def names(self) -> list[str]:
        self._fill()
        return list(self._items)

    def __getitem__(self, name: str) -> T:
        self._fill()
        if name not in self._items:
            raise unknown(self.kind, name, self._items)
        return self._items[name]

    def __contains__(self, name: object) -> bool:
        self._fill()
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())


def _stale(before: Any, now: Any) -> bool:
    """True if the earlier item is left over from a failed import of the same file; no module holds it any more."""
    module, name = getattr(now, "__module__", None), getattr(now, "__qualname__", None)
    if module is None or (module, name) != (getattr(before, "__module__", None), getattr(before, "__qualname__", None)):
        return False
    return getattr(sys.modules.get(module), name or "", None) is not before
