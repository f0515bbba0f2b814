"""Ways of writing several labels, numbers with units and tags in one cell: read right, or asked about."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_data import finding, kinds, texts

from headstart.core.errors import DataError
from headstart.data.read import read

File = Callable[..., Path]
TEXTS = [str(text) for text, _ in texts(100)]


def labels_of(data: Any) -> dict[str, set[str]]:
    """Each text's labels."""
    return {
        str(text): {name for name, on in zip(data.task.labels, target) if on}
        for part in (data.train, data.validation, data.test)
        for text, target in zip(part.inputs(), part.targets)
    }


@pytest.mark.parametrize("odd", ["<1%", "on request"])
@pytest.mark.parametrize("unit", ["{}%", "{}.5 %", "${}.50", "{},5 €", "{}"])
def test_one_odd_value_among_numbers_with_a_unit_is_the_one_that_is_named(csv_file: File, odd: str, unit: str) -> None:
    rows = [[text, odd if at == 40 else unit.format(at + 3)] for at, text in enumerate(TEXTS)]
    with pytest.raises(DataError, match=f"All but '{odd}' are numbers.*kind regression, which leaves them out"):
        read(csv_file(rows))
    data = read(csv_file(rows), kind="regression")
    assert data.record.rows_used == 99
    assert finding(data, "missing_label").examples == ("data.csv:42",)
    assert odd in finding(data, "missing_label").message


@pytest.mark.parametrize("numbers", [["27", "14,27", "3", "3,10", "10"], ["1", "2", "1,2", "3", "1,2,3"]])
def test_lists_of_class_numbers_are_asked_about(csv_file: File, numbers: list[str]) -> None:
    file = csv_file([[text, numbers[at % 5]] for at, text in enumerate(TEXTS)])
    with pytest.raises(DataError, match="could be several classes of one row, or decimals.*--kind multi_label"):
        read(file)
    found = labels_of(read(file, kind="multi_label"))
    assert found == {text: {*numbers[at % 5].split(",")} for at, text in enumerate(TEXTS)}


def test_decimals_with_a_comma_are_no_lists(csv_file: File) -> None:
    for whole in ("{},0", "{}"):
        file = csv_file(
            [[text, f"{at % 9},{at // 9}" if at % 9 else whole.format(at)] for at, text in enumerate(TEXTS)]
        )
        assert read(file).task.kind == "regression"


@pytest.mark.parametrize("write", [str, json.dumps, None])
def test_lists_of_named_objects_are_their_names(csv_file: File, json_file: File, write: Any) -> None:
    """As TMDB writes genres, in CSV by Python or JSON."""
    genres = [{"id": 18, "name": "Drama"}, {"id": 35, "name": "Science, Fiction"}, {"id": 27, "name": "Horror"}]
    given = [genres[: at % 4] for at in range(100)]
    if write is None:
        file = json_file([{"overview": text, "genres": cell} for text, cell in zip(TEXTS, given)])
    else:
        file = csv_file([[text, write(cell)] for text, cell in zip(TEXTS, given)], header=("overview", "genres"))
    data = read(file, text="overview", label="genres")
    assert labels_of(data) == {text: {one["name"] for one in cell} for text, cell in zip(TEXTS, given)}


@pytest.mark.parametrize(
    "cell", ["[{'id': 18}]", '[{"start": 0, "end": 5, "name": "PER"}]', "{'id': 1, 'name': 'Saga'}"]
)
def test_other_objects_written_as_text_are_refused(csv_file: File, cell: str) -> None:
    rows = [[text, cell.replace("1", str(at % 3 + 1))] for at, text in enumerate(TEXTS)]
    for kind in (None, "multi_label", "single_label"):
        with pytest.raises(DataError, match="are objects or lists that hold more than texts"):
            read(csv_file(rows), kind=kind)


def test_choices_of_label_studio_in_csv_are_several_labels(csv_file: File) -> None:
    cells = ["Room", '{"choices":["Room","Food, drinks"]}', "Food, drinks", "Staff"]
    file = csv_file([[text, cells[at % 4]] for at, text in enumerate(TEXTS)])
    meant = [{"Room"}, {"Room", "Food, drinks"}, {"Food, drinks"}, {"Staff"}]
    for kind in (None, "multi_label"):
        assert labels_of(read(file, kind=kind)) == {text: meant[at % 4] for at, text in enumerate(TEXTS)}


@pytest.mark.parametrize("classes", [["pos", "neg"], [1, 0]])
def test_empty_lists_among_lists_of_one_are_counted_in_both_kinds(json_file: File, classes: list[Any]) -> None:
    """As doccano exports texts that nobody has labelled."""
    file = json_file([{"text": text, "label": [classes[at % 2]] if at % 10 else []} for at, text in enumerate(TEXTS)])
    data = read(file, kind="single_label")
    assert data.task.labels == tuple(sorted(map(str, classes)))
    assert data.record.rows_used == 90
    assert finding(data, "missing_label").message == "10 rows with an empty list as label, left out"
    assert finding(data, "missing_label").examples[0] == "data.jsonl:1"
    several = read(file)
    messages = [one.message for one in several.record.findings if one.kind == "label_lists"]
    assert "10 rows with an empty list: an example of none of the classes" in messages
    assert any("--kind single_label" in message for message in messages)
    assert several.record.rows_used == 100


@pytest.mark.parametrize("make", ["csv", "json"])
def test_tags_of_words_in_one_text_are_no_classes(csv_file: File, json_file: File, make: str) -> None:
    """As ATIS has them."""
    rows = [[f"fly to {text}", " ".join(["O", "O", *["B-to" for _ in text.split()]])] for text in TEXTS]
    file = csv_file(rows) if make == "csv" else json_file([dict(zip(("text", "label"), row)) for row in rows])
    with pytest.raises(DataError, match=r"look like the tags of words.*as a \.conll file"):
        read(file)


def test_grades_with_a_plus_are_no_tags(csv_file: File) -> None:
    data = read(csv_file([[text, ["O", "B-", "A B"][at % 3]] for at, text in enumerate(TEXTS)]))
    assert len(data.task.labels) == 3
    assert "missing_label" not in kinds(data)
    assert np.bincount(data.train.targets).all()
