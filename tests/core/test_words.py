"""Plain words: docstrings, comments, help texts and messages don't use phrases that hide their subject."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import headstart

ROOT = Path(headstart.__file__).parent
RIDDLES = {
    r"told": "given, known, recognised, separated",
    r"said": "written, reported, listed",
    r"what (is|was|are|were|has|had)": "name the thing",
    r"where (there is|there are|there was|none is|nothing is)": "if there is …, or without …",
    r"of (its|their|his|one's|our) own": "drop it, or: separate",
    r"(that|it) is so": "if so, or the condition itself",
    r"(is|are|was|were) made of": "from, consists of",
    r"whoever": "name the person or the caller",
    r"none such": "no",
    r"as (it|they) (stands?|lies|lie)": "unchanged",
    r"(can|can't|could|to) be told": "known, recognised, separated",
    r"while it lasts": "inside the context",
    r"(is|are) (left as|kept as) (it|they) (is|are)": "unchanged",
}


def prose(file: Path) -> Iterator[tuple[int, str]]:
    """Comments, and strings of more than one word, docstrings among them."""
    source = file.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


def riddles(file: Path, root: Path = ROOT) -> list[str]:
    found = []
    for line, text in prose(file):
        for pattern, instead in RIDDLES.items():
            if match := re.search(rf"\b{pattern}\b", " ".join(text.split()), re.IGNORECASE):
                found.append(f"{file.relative_to(root).as_posix()}:{line}: {match[0]!r}; write: {instead}")
        if re.match(r"Whether\b", text):
            found.append(f"{file.relative_to(root).as_posix()}:{line}: 'Whether'; write: True if")
    return found


FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))


@pytest.mark.parametrize("room", sorted({file.partition("/")[0] for file in FILES}))
def test_plain_words(room: str) -> None:
    wrong = [line for file in FILES if file.partition("/")[0] == room for line in riddles(ROOT / file)]
    assert not wrong, "\n".join(wrong)


def test_riddles_are_seen(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('"""Whether it is so."""\n# what is told\nx = f"of its own {x}, {y} said"\n')
    found = {one.split(": ")[1].partition(";")[0] for one in riddles(tmp_path / "a.py", tmp_path)}
    assert found == {"'what is'", "'told'", "'it is so'", "'Whether'", "'of its own'", "'said'"}
