"""Names that become parts of paths."""

from __future__ import annotations

import pytest

from headstart.core.disk.files import slug


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("lora@wide", "lora@wide"), ("../../x", "x"), ("/etc/passwd", "etc-passwd"), ("..", ""), ("a\x00b", "a-b"),
        ("größe 1.5", "größe-1.5"), ("a" * 200, "a" * 80), (r"c:\x", "c--x"),
    ],
)  # fmt: skip
def test_a_slug_leads_nowhere_else(name: str, found: str) -> None:
    assert slug(name) == found
