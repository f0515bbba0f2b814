"""The cases: files of `cases/` whose function `measure` measures one thing; its arguments are the command's options."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from benchmarks.lib.results import BENCHMARKS, TRIES


@dataclass(frozen=True)
class Case:
    """A case as its file tells it, without importing what it measures."""

    name: str
    text: str
    "what it measures, in one line, and how"
    results: tuple[str, ...]
    "names of what it leaves in benchmarks/results, with * for a part that differs"
    quick: dict[str, Any] | None
    "options that give little data and one repeat"

    @classmethod
    def of(cls, file: Path) -> Case:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        told = {
            node.targets[0].id: ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("RESULTS", "QUICK")
        }
        return cls(file.stem, ast.get_docstring(tree) or "", told.get("RESULTS", ()), told.get("QUICK"))

    @property
    def summary(self) -> str:
        return " ".join(self.text.partition("\n\n")[0].split())

    @property
    def measure(self) -> Callable[..., Any]:
        function: Callable[..., Any] = importlib.import_module(f"benchmarks.cases.{self.name}").measure
        return function

    def options(self, given: list[str]) -> dict[str, Any]:
        """Of the command line; --quick puts other values where none are given."""
        parser = argparse.ArgumentParser(
            prog=f"run.py {self.name}",
            description=self.text,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("--quick", action="store_true", help="little data, one repeat, outside of the record")
        hints = get_type_hints(self.measure, include_extras=True)
        parameters = inspect.signature(self.measure).parameters
        for name, parameter in parameters.items():
            add(parser, name, hints[name], parameter.default)
        found = vars(parser.parse_args(given))
        defaults = {name: one.default for name, one in parameters.items()}
        if found.pop("quick"):
            if self.quick is None:
                parser.error("this case can't be made small: there is no --quick")
            defaults |= {"out": TRIES / Path(defaults["out"]).name} if "out" in defaults else {}
            defaults |= {name: tuple(value) if isinstance(value, list) else value for name, value in self.quick.items()}
        return {name: defaults[name] if value is None else value for name, value in found.items()}


def add(parser: argparse.ArgumentParser, name: str, hint: Any, default: Any) -> None:
    """One argument of `measure` as a flag. Several values stand apart by blanks or commas."""
    told = ""
    if get_origin(hint) is Annotated:
        hint, told = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        (hint,) = (one for one in get_args(hint) if one is not NoneType)
    more: dict[str, Any] = {"type": hint}
    if hint is bool:
        more = {"action": "store_true"}
    elif get_origin(hint) is Literal:
        more = {"choices": get_args(hint)}
    elif get_origin(hint) is tuple:
        kind, _ = get_args(hint)
        more = {"nargs": "+", "action": Items, "kind": kind}
    if default is inspect.Parameter.empty:
        more["required"] = True
    elif default not in (None, "", False):
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        told = f"{told} [default: {shown}]".strip()
    parser.add_argument(f"--{name.replace('_', '-')}", default=None, help=told.replace("%", "%%"), **more)


class Items(argparse.Action):
    """Several values; a setting such as `lora.targets=q,v` keeps its commas."""

    def __init__(self, *given: Any, kind: type, **more: Any) -> None:
        super().__init__(*given, **more)
        self.kind = kind

    def __call__(self, parser: Any, namespace: Any, values: Any, option: str | None = None) -> None:
        parts = [part for value in values for part in ([value] if "=" in value else value.split(","))]
        try:
            items = [self.kind(part) for part in parts]
        except ValueError:
            parser.error(f"{option} takes {self.kind.__name__} values, not {' '.join(values)}")
        setattr(namespace, self.dest, (*(getattr(namespace, self.dest) or ()), *items))


class UnknownCase(Exception):
    """A name that is no case's."""


def all_cases() -> dict[str, Case]:
    files = sorted((BENCHMARKS / "cases").glob("[a-z]*.py"))
    return {file.stem: Case.of(file) for file in files}


def case_named(name: str) -> Case:
    cases = all_cases()
    if name not in cases:
        near = get_close_matches(name, cases, 3)
        hint = f"did you mean {' or '.join(near)}?" if near else "run.py --list names them"
        raise UnknownCase(f"there is no benchmark {name!r}: {hint}")
    return cases[name]
