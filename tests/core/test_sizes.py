"""A file is one idea, at most 300 lines; a function of the rooms where training happens reads at a glance."""

from __future__ import annotations

import ast
from pathlib import Path

import headstart

ROOT = Path(headstart.__file__).parent
MOST_LINES_IN_A_FILE = 300
MOST_LINES_IN_A_FUNCTION = 80
ROOMS = ("engine", "comparison", "judging")
"rooms whose functions are limited"
STILL_TOO_LONG: set[str] = set()
"files that exceed a limit; the list may only shrink"


def too_long(file: Path, root: Path = ROOT) -> list[str]:
    source = file.read_text(encoding="utf-8")
    name, lines = file.relative_to(root).as_posix(), len(source.splitlines())
    found = [f"{name} has {lines} lines"] if lines > MOST_LINES_IN_A_FILE else []
    if name.partition("/")[0] not in ROOMS:
        return found
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or 0) - min([node.lineno, *(one.lineno for one in node.decorator_list)]) + 1
            if lines > MOST_LINES_IN_A_FUNCTION:
                found.append(f"{name}:{node.lineno}: {node.name} has {lines} lines")
    return found


FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))


def test_sizes() -> None:
    found = {file: too_long(ROOT / file) for file in FILES}
    wrong = [line for file, lines in found.items() if file not in STILL_TOO_LONG for line in lines]
    assert not wrong, "\n".join(wrong)
    short = [file for file in STILL_TOO_LONG if not found.get(file)]
    assert not short, f"{', '.join(short)}: short now, take it off the list in {Path(__file__).name}"


def test_long_files_and_functions_are_seen(tmp_path: Path) -> None:
    function = "@staticmethod\ndef long():\n" + "    x = 1\n" * (MOST_LINES_IN_A_FUNCTION - 1)
    for room in ("engine", "api"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "a.py").write_text(function)
    assert too_long(tmp_path / "engine" / "a.py", tmp_path) == ["engine/a.py:2: long has 81 lines"]
    assert not too_long(tmp_path / "api" / "a.py", tmp_path)
    (tmp_path / "api" / "a.py").write_text("x = 1\n" * (MOST_LINES_IN_A_FILE + 1))
    assert too_long(tmp_path / "api" / "a.py", tmp_path) == ["api/a.py has 301 lines"]
