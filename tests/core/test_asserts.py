"""Asserts are for what is always so: `python -O` leaves them out, and nothing else may change."""

from __future__ import annotations

import ast
from pathlib import Path

import headstart

SOURCE = Path(headstart.__file__).parent


def test_no_assert_has_a_side_effect_or_guards_what_is_not_ours() -> None:
    """`python -O` leaves asserts out: what they compute would never be, and a changed base would count as intact."""
    computed = {"fingerprint", "intact", "_checksum", "content"}
    calls = {"isinstance", "issubclass", "len", "sorted", "all", "any", "set", "type", "callable", "hasattr"}
    wrong = []
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assert):
                for part in ast.walk(node.test):
                    named = isinstance(part, ast.Attribute) and part.attr in computed
                    called = (
                        isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id not in calls
                    )
                    if named or called or isinstance(part, ast.NamedExpr):
                        wrong.append(f"{file.relative_to(SOURCE)}:{node.lineno}")
    assert not wrong
