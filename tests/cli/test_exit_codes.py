"""The README names every exit code of the command line, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import headstart.cli
from headstart.core import errors

ROOT = Path(__file__).parents[2]


def codes(file: Path) -> Iterator[int]:
    """What the file's calls of `sys.exit` and `_end` give, by number, constant, table or error."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) not in ("sys.exit", "_end"):
            continue
        code = node.args[-1]
        if isinstance(code, ast.Constant):
            yield code.value
        elif isinstance(code, ast.Name):
            yield from [constants[code.id]] if code.id in constants else []  # `_end` hands its own code on
        elif isinstance(code, ast.Attribute) and code.attr == "exit_code":
            kinds = [one for one in vars(errors).values() if isinstance(one, type)]
            yield from {one.exit_code for one in kinds if issubclass(one, errors.HeadstartError)}
        elif isinstance(code, ast.Subscript) and isinstance(code.value, ast.Dict):
            yield from [value.value for value in code.value.values if isinstance(value, ast.Constant)]
        else:
            raise AssertionError(f"{file}:{node.lineno} ends with {ast.unparse(code)}, which this test can't read")


def test_the_readme_names_them_all() -> None:
    place = Path(headstart.cli.__path__[0])
    found = {code for file in place.rglob("*.py") for code in codes(file)}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"- Exit codes: (.*?Ctrl-C)", readme, re.DOTALL)
    assert sorted(found) == sorted(map(int, re.findall(r"(?<![\w.])(\d+), ", told)))
