"""Parts of a test set: each example is in one of them, and the record tells each method on each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.comparison.rows.table import rows_with_differences
from headstart.core.errors import ConfigurationError
from headstart.core.records.comparison import Row
from headstart.data.parts import by_column, by_file, grouped
from headstart.data.read import read
from headstart.data.tables.by_place import column_by_place
from headstart.stats.metrics import metric
from headstart.stats.predictions import Predictions


def table(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    path.write_text("text,label,language\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows), encoding="utf-8")
    return path


def pictures(folder: Path, count: int) -> None:
    """So many of each of two classes."""
    for i in range(count):
        for label in ("cat", "dog"):
            place = folder / label / f"{i}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.random.default_rng(i).integers(0, 255, (8, 8, 3), np.uint8)).save(place)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, list[Path]]:
    train = table(tmp_path / "train.csv", [(f"word {i} and more", "ab"[i % 2], "en") for i in range(40)])
    french = table(tmp_path / "test.fr.csv", [(f"mot {i} de plus", "ab"[i % 2], "fr") for i in range(5)])
    mixed = table(tmp_path / "test.csv", [(f"wort {i} und", "ab"[i % 2], "de" if i < 4 else "") for i in range(7)])
    return train, [french, mixed]


def test_by_the_file(files: tuple[Path, list[Path]]) -> None:
    data = read(files[0], text="text", label="label", test=files[1])
    assert {name: rows.tolist() for name, rows in by_file(data.test).items()} == {
        "test.fr.csv": [0, 1, 2, 3, 4],
        "test.csv": [5, 6, 7, 8, 9, 10, 11],
    }


def test_by_a_column(files: tuple[Path, list[Path]], monkeypatch: pytest.MonkeyPatch) -> None:
    data = read(files[0], text="text", label="label", test=files[1])
    held = column_by_place(files[0], "language", test=files[1])
    found = {name: rows.tolist() for name, rows in by_column(data.test, held, "language").items()}
    assert found == {"fr": [0, 1, 2, 3, 4], "de": [5, 6, 7, 8], "(empty)": [9, 10, 11]}
    held = {place: place for place in held}
    monkeypatch.setattr("headstart.data.parts.MOST", 11)
    with pytest.raises(ConfigurationError, match="'language' holds 12 values"):
        by_column(data.test, held, "language")


def test_by_the_folder_of_images(tmp_path: Path) -> None:
    for folder, count in (("train", 20), ("snow", 3), ("rain", 4)):
        pictures(tmp_path / folder, count)
    data = read(tmp_path / "train", test=[tmp_path / "snow", tmp_path / "rain"])
    assert {name: len(rows) for name, rows in by_file(data.test).items()} == {"snow": 6, "rain": 8}


def test_places_of_arrays_in_json(tmp_path: Path) -> None:
    place = tmp_path / "a.json"
    place.write_text("[" + ",".join(f'{{"text": "word {i} here", "label": "{"ab"[i % 2]}"}}' for i in range(20)) + "]")
    assert set(by_file(read(place).test)) == {"a.json"}


def test_a_method_on_each_part() -> None:
    targets = np.array([0, 1, 0, 1, 0, 1])
    said = np.array([[0, 0, 0, 1, 1, 1], [0, 1, 0, 1, 1, 1]])  # of two seeds
    runs = [Predictions(np.arange(6), targets, np.eye(2)[row] * 4) for row in said]
    rows = [Row("full", "ok", "accuracy", validation_value=0.5)]
    parts = grouped(["fr", "de", "fr", "de", "de", "fr"])
    (row,) = rows_with_differences(
        rows, {"full": runs}, metric("single_label"), parts=parts, draws=200, permutations=50
    )
    french, german = row.parts
    assert (french.name, french.size, french.value) == ("fr", 3, 1.0)
    assert (german.name, german.size) == ("de", 3)
    assert german.value == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert french.low < 1  # three examples do not show that none would be wrong
    assert german.low <= german.value <= german.high


def test_files_of_one_name_in_two_folders_are_two_parts(tmp_path: Path) -> None:
    train = table(tmp_path / "train.csv", [(f"word {i} and more", "ab"[i % 2], "en") for i in range(40)])
    tests = []
    for language, count in (("fr", 6), ("de", 8)):
        (tmp_path / language).mkdir()
        rows = [(f"{language} {i} and so on", "ab"[i % 2], language) for i in range(count)]
        tests.append(table(tmp_path / language / "test.csv", rows))
    data = read(train, text="text", label="label", test=tests)
    assert {name: len(rows) for name, rows in by_file(data.test).items()} == {"fr/test.csv": 6, "de/test.csv": 8}
    held = column_by_place(train, "language", test=tests)
    assert {name: len(rows) for name, rows in by_column(data.test, held, "language").items()} == {"fr": 6, "de": 8}


def test_folders_of_images_of_one_name_are_two_parts(tmp_path: Path) -> None:
    for folder, count in (("train", 20), ("north/photos", 3), ("south/photos", 4)):
        pictures(tmp_path / folder, count)
    data = read(tmp_path / "train", test=[tmp_path / "north" / "photos", tmp_path / "south" / "photos"])
    assert {name: len(rows) for name, rows in by_file(data.test).items()} == {"north-photos": 6, "south-photos": 8}
