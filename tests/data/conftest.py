"""What the tests of the room `data` share: real data beside the checkout, and small files made on the spot."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"the real data is not at {SHARED}")
    return SHARED


@pytest.fixture
def csv_file(tmp_path: Path) -> Callable[..., Path]:
    def make(
        rows: Sequence[Sequence[object]], name: str = "data.csv", header: Sequence[str] = ("text", "label")
    ) -> Path:
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",").writerows([header, *rows])
        return path

    return make


@pytest.fixture
def json_file(tmp_path: Path) -> Callable[..., Path]:
    def make(rows: Sequence[Any], name: str = "data.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return make
