"""Suites: a TOML file that lists checks; without one, a default suite for the task."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.core.errors import ConfigurationError, unknown
from headstart.core.fields import configured
from headstart.judging.checks.calibration import Calibration
from headstart.judging.checks.checks import CHECKS, Check, Invariance, Robustness, Target
from headstart.judging.checks.perturb import Change
from headstart.judging.checks.slices import Slice
from headstart.judging.cost import Interface, Prices
from headstart.tasks.task import Task

LEAST = {"examples": 1, "max_tokens": 1, "least": 1, "shots": 0}
"keys of checks that are counts, with their minimum"


@dataclass(frozen=True)
class Suite:
    checks: Sequence[Check]
    prices: Prices = field(default_factory=Prices)
    externals: tuple[Interface, ...] = ()


def read_suite(path: str | Path) -> Suite:
    """Reads the checks and prices of a suite file.

    Raises `ConfigurationError` with the allowed values for an invalid file, an unknown kind or key, and a repeated
    name.
    """
    try:
        found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"can't read the suite {path}: {error.strerror or error}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the suite {path} is no TOML: {error}.") from error
    if others := sorted(found.keys() - {"check", "prices", "external"}):
        raise unknown(f"table of the suite {path}", others[0], ["check", "external", "prices"])
    listed = found.get("check")
    if not isinstance(listed, list) or not listed:
        raise ConfigurationError(f'the suite {path} lists no checks; each is a table [[check]] with kind = "target".')
    if any(not isinstance(table, dict) for table in listed):
        raise ConfigurationError(f"the suite {path}: each check is a table [[check]], not a value in a list.")
    checks = [_check(number, table, path) for number, table in enumerate(listed, 1)]
    titles = [check.title() for check in checks]
    if twice := sorted({title for title in titles if titles.count(title) > 1}):
        raise ConfigurationError(f"the suite {path} has two checks called {twice[0]!r}; give one of them a name.")
    return Suite(checks, *_prices(found, path))


def _prices(found: dict[str, Any], path: str | Path) -> tuple[Prices, tuple[Interface, ...]]:
    """The tables [prices] and [[external]]."""
    listed = found.get("external", [])
    tables = isinstance(listed, list) and all(isinstance(table, dict) for table in listed)
    if not tables or not isinstance(found.get("prices", {}), dict):
        raise ConfigurationError(f"the suite {path}: prices is one table [prices], each external one [[external]].")
    for number, table in enumerate(listed, 1):
        if missing := [name for name in ("name", "input", "output") if name not in table]:
            raise ConfigurationError(f"external {number} in {path} has no {missing[0]}; give name, input and output.")
    interfaces = tuple(configured(Interface, one, f"external {i} in {path}") for i, one in enumerate(listed, 1))
    prices: Prices = configured(Prices, found.get("prices", {}), f"prices in {path}")
    amounts = [("machine_hour", prices.machine_hour)]
    for one in interfaces:
        amounts += [(f"{name} of {one.name}", getattr(one, name)) for name in ("input", "output", "prompt", "answer")]
    for what, value in amounts:
        if value is not None and value < 0:
            raise ConfigurationError(f"prices in {path}: {what} is {value}, but has to be 0 or more.")
    return prices, interfaces


def _check(number: int, table: dict[str, object], path: str | Path) -> Check:
    settings = dict(table)
    kind = str(settings.pop("kind", ""))
    if kind not in CHECKS:
        raise unknown(f"kind of check {number} in {path}:", kind, CHECKS)
    check: Check = configured(CHECKS[kind], settings, f"check {number} ({kind}) in {path}")
    if not check.tolerance >= 0:
        raise ConfigurationError(f"check {number} in {path}: tolerance is {check.tolerance}, but has to be 0 or more.")
    for name, least in LEAST.items():
        if getattr(check, name, least) < least:
            raise ConfigurationError(
                f"check {number} in {path}: {name} is {getattr(check, name)}, but has to be at least {least}."
            )
    return check


def default_suite(task: Task, *more: Check, gain: bool = True) -> Suite:
    """Default suite: test set, calibration, slices, perturbations, and the given sets.

    gain: True if the test set must improve, as against the base; else it must not be worse.
    """
    change: Change = "noise" if task.input.is_image else "typos"
    checks: list[Check] = [Target(gate="improved" if gain else "not_regressed"), Robustness(change=change)]
    if task.exclusive:
        checks += [Calibration(), Slice(by="class"), Invariance(change=change)]
    if not task.input.is_image:
        checks.append(Slice(by="length"))
    return Suite([*checks, *more])
