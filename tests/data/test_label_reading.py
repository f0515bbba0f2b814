"""Labels as users write them: each case is read right, or pointed at, and codes never run together in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_data import finding, kinds, texts

from headstart.core.errors import DataError
from headstart.data.ingest.label_lists import as_list, separated
from headstart.data.ingest.look_alike import appearance, canonical, merged
from headstart.data.read import read
from headstart.data.tables.numbers import numbers

File = Callable[..., Path]


def read_back(data: Any) -> dict[str, list[str]]:
    """Each text's labels, over all splits."""
    found: dict[str, list[str]] = {}
    for part in (data.train, data.validation, data.test):
        for text, target in zip(part.inputs(), part.targets):
            on = target > 0 if data.task.kind == "multi_label" else np.arange(len(data.task.labels)) == target
            found[str(text)] = [name for name, is_on in zip(data.task.labels, on) if is_on]
    return found


@pytest.mark.parametrize("one", [1, 1.0, True])
def test_lists_of_zeros_and_ones_are_multi_hot(json_file: File, tmp_path: Path, one: Any) -> None:
    zero = type(one)(0)
    hot = [[one, zero, one], [zero, one, zero], [zero, zero, zero], [one, one, zero]]
    rows = [{"text": text, "labels": hot[at % 4]} for at, (text, _) in enumerate(texts(60))]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "hot.parquet")
    for data in (read(json_file(rows)), read(tmp_path / "hot.parquet")):
        assert (data.task.kind, data.task.labels) == ("multi_label", ("0", "1", "2"))
        places = [["0", "2"], ["1"], [], ["0", "1"]]
        assert read_back(data) == {str(row["text"]): places[at % 4] for at, row in enumerate(rows)}
        assert "zeros and ones" in finding(data, "label_lists").message


def test_multi_hot_of_several_lengths_and_soft_labels_are_refused(json_file: File) -> None:
    rows = [{"text": text, "labels": [1, 0, 1] if at else [1, 0, 1, 0]} for at, (text, _) in enumerate(texts(20))]
    with pytest.raises(DataError, match="zeros and ones with 3 to 4 items"):
        read(json_file(rows))
    rows = [{"text": text, "labels": [0.25, 0.75]} for text, _ in texts(20)]
    with pytest.raises(DataError, match="soft labels"):
        read(json_file(rows))


def test_lists_of_class_numbers_stay_names(json_file: File) -> None:
    rows = [{"text": text, "labels": [[0, 1], [1], [2, 0]][at % 3]} for at, (text, _) in enumerate(texts(30))]
    assert read(json_file(rows)).task.labels == ("0", "1", "2")


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ('["a", "b c"]', ["a", "b c"]), ("['a', 'b']", ["a", "b"]), ("[]", []), ("['a' 'b c']", ["a", "b c"]),
        ("[1 0 1]", ["1", "0", "1"]), ("[1. 0.]", ["1.", "0."]), ("{'b', 'a'}", ["a", "b"]), ("('a',)", ["a"]),
        ("[a, b]", ["a", "b"]), ("a, b", None),
        ("{a,b}", ["a", "b"]), ("{}", []),
        ("set()", []), ('{"c d",a}', ["c d", "a"]), ('{"choices":["a","b"]}', ["a", "b"]),
        ('["a", null, ""]', ["a", "", ""]), ("[", None), ('{"a": 1}', None),
    ],
)  # fmt: skip
def test_lists_written_as_text(text: str, items: list[str] | None) -> None:
    assert as_list(text) == items


def test_separators() -> None:
    assert separated(["a,b", "c"]) == [["a", "b"], ["c"]]
    assert separated(["a, x|b", "c", "d, e"]) == [["a, x", "b"], ["c"], ["d, e"]], "a comma is part of a name then"
    assert separated(["['a', 'b']", "c;d"]) == [["a", "b"], ["c", "d"]]


@pytest.mark.parametrize("form", ["{!r}", "comma", "json"])
def test_multi_label_as_pandas_writes_it(csv_file: File, form: str) -> None:
    sets = [["b"], ["a", "b"], ["c"]]
    write = {"{!r}": repr, "comma": ",".join, "json": lambda items: str(items).replace("'", '"')}[form]
    rows = [[text, write(sets[at % 3])] for at, (text, _) in enumerate(texts(60))]
    data = read(csv_file(rows), kind="multi_label")
    assert read_back(data) == {str(row[0]): sets[at % 3] for at, row in enumerate(rows)}
    assert "label_lists" not in kinds(data)
    if form != "comma":
        assert read(csv_file(rows)).task.kind == "multi_label", "a list says so itself"
    else:
        assert "--kind multi_label" in finding(read(csv_file(rows)), "label_lists").message


def test_multi_label_without_any_row_of_two_is_pointed_at(csv_file: File, json_file: File) -> None:
    data = read(csv_file(texts(30)), kind="multi_label")
    assert "no row has more than one label: write several as a|b" in finding(data, "label_lists").message
    rows = [{"text": text, "label": [label]} for text, label in texts(30)]
    assert read(json_file(rows), kind="single_label").task.labels == ("no", "yes")


def test_codes_are_not_numbers(csv_file: File) -> None:
    codes = ("0e1", "0e2", "1e1", "10", "010", "+1", "1.0", "1")
    data = read(csv_file(texts(80, codes)))
    assert set(data.task.labels) == set(codes)
    messages = [f.message for f in data.record.findings if f.kind == "label_spelling"]
    assert any("'0e1' and '0e2'" in message for message in messages)
    assert any("'1e1' and '10' and '010'" in message for message in messages)
    mixed = read(csv_file(texts(80, ("1", "1.0", "2"))))
    assert mixed.task.labels == ("1", "2")
    assert "1 and 1.0" in finding(mixed, "label_spelling").message


@pytest.mark.parametrize("word", ["N/A", "n/a", "NA", "None", "#N/A", "-", "?"])
def test_a_word_for_missing_among_numbers_is_left_out(csv_file: File, word: str) -> None:
    rows: list[list[object]] = [[text, at / 7] for at, (text, _) in enumerate(texts(60))]
    rows[4][1] = word
    data = read(csv_file(rows))
    assert (data.task.kind, data.record.rows_used) == ("regression", 59)
    assert finding(data, "missing_label").examples == ("data.csv:6",)
    rows = texts(60, ("1", "2", "3"))
    rows[7][1] = word
    data = read(csv_file(rows))
    assert (data.task.labels, data.record.rows_used) == (("1", "2", "3"), 59)
    assert finding(data, "missing_label").examples == ("data.csv:9",)


def test_words_for_missing_among_words_are_classes_and_noted(csv_file: File) -> None:
    data = read(csv_file(texts(60, ("N/A", "yes", "no"))))
    assert data.task.labels == ("N/A", "no", "yes")
    assert "missing value" in finding(data, "label_spelling").message
    assert not kinds(read(csv_file(texts(300, ("none", "some")))))


def test_one_odd_word_among_numbers_is_named(csv_file: File) -> None:
    rows: list[list[object]] = [[text, at / 7] for at, (text, _) in enumerate(texts(60))]
    rows[4][1] = "about 3"
    with pytest.raises(DataError, match="All but 'about 3' are numbers"):
        read(csv_file(rows))


@pytest.mark.parametrize(
    ("written", "values", "how"),
    [
        (["3,43", "12,5", "7"], [3.43, 12.5, 7.0], "a comma before decimals"),
        (["1.234,5", "7,25"], [1234.5, 7.25], "a comma before decimals, a point between thousands"),
        (["1,234", "12,345.5", "7"], [1234.0, 12345.5, 7.0], "a comma between thousands"),
        (["1 234", "7"], [1234.0, 7.0], "a blank between thousands"),
        (["$3.50", "$12"], [3.5, 12.0], "$ taken off"),
        (["12 %", "3.5%"], [12.0, 3.5], "% taken off"),
        (
            ["3,50 €", "1.000,00 €"], [3.5, 1000.0],
            "€ taken off, a comma before decimals, a point between thousands",
        ),
        (["12%", "3"], [None, 3.0], ""), (["a", "1"], [None, 1.0], ""), (["1e3", "2"], [1000.0, 2.0], ""),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them(written: list[str], values: list[float | None], how: str) -> None:
    assert numbers(written) == (values, how)


def test_decimal_commas_are_a_regression(csv_file: File) -> None:
    rows = [[text, f"{at / 7:.2f}".replace(".", ",")] for at, (text, _) in enumerate(texts(60))]
    data = read(csv_file(rows))
    assert data.task.kind == "regression"
    assert float(data.train.targets.max()) <= 60 / 7
    assert "comma before decimals" in finding(data, "label_numbers").message


def test_quantities_taken_as_classes_are_hinted_at(csv_file: File) -> None:
    data = read(csv_file(texts(300, tuple(range(18, 40)))))
    assert data.task.kind == "single_label"
    assert "--kind regression" in finding(data, "label_numbers").message
    assert "--kind regression" in finding(read(csv_file(texts(300, ("0.5", "1.0", "1.5")))), "label_numbers").message
    assert not kinds(read(csv_file(texts(300, (1, 2, 3, 4, 5)))))


def test_names_that_unicode_holds_for_equal_are_one_class_over_the_splits(tmp_path: Path, csv_file: File) -> None:
    rows = texts(90, ("caf\u00e9", "th\u00e9"))
    csv_file(rows[:60], "train.csv")
    csv_file([[text, str(label).replace("\u00e9", "e\u0301")] for text, label in rows[60:]], "test.csv")
    data = read(tmp_path)
    assert data.task.labels == ("caf\u00e9", "th\u00e9")
    assert len(data.test) == 30
    assert "U+0301" in finding(data, "label_spelling").message
    assert merged({"a\u200bb": 1, "ab": 2, "a  b": 1}) == {"a\u200bb": "ab", "ab": "ab"}
    assert canonical("\ufeffA\u00adB ") == "AB"


def test_twins_of_other_scripts_are_pointed_at(tmp_path: Path, csv_file: File) -> None:
    latin, cyrillic = "score", "s\u0441\u043ere"
    assert appearance(latin) == appearance(cyrillic) != appearance("scare")
    assert "U+0441" in finding(read(csv_file(texts(90, (latin, cyrillic, "x")))), "label_spelling").message
    folder = tmp_path / "split"
    folder.mkdir()
    csv_file(texts(60, (latin, "x")), "split/train.csv")
    csv_file(texts(60, (cyrillic, "x")), "split/test.csv")
    assert "looks like 'score'" in finding(read(folder), "unknown_label").message


@pytest.mark.parametrize("twin", ["\u201c01\u201d", "'01", '"01"'])
def test_twins_in_quotes_are_pointed_at(json_file: File, twin: str) -> None:
    """An apostrophe before a code is how a spreadsheet keeps its zeros."""
    rows = [{"text": text, "label": ["01", twin, "02"][at % 3]} for at, (text, _) in enumerate(texts(90))]
    assert "look the same" in finding(read(json_file(rows)), "label_spelling").message


def test_one_class_says_which_rows_were_left_out(csv_file: File) -> None:
    rows = [[text, "yes" if at % 2 else ""] for at, (text, _) in enumerate(texts(20))]
    with pytest.raises(DataError, match=r"only one class.*10 rows without a label.*, left out \(data\.csv:2"):
        read(csv_file(rows), label="label")


@pytest.mark.parametrize("label", [[{"id": 1}], [["yes"]], [["yes"], "no"]])
def test_lists_of_more_than_texts_are_refused(json_file: File, label: Any) -> None:
    rows = [{"text": text, "label": label if at % 2 else [{"id": 2}]} for at, (text, _) in enumerate(texts(20))]
    with pytest.raises(DataError, match="objects or lists that hold more than texts and numbers"):
        read(json_file(rows))


def test_names_in_quotes_hold_commas(csv_file: File) -> None:
    cells = ['"Smith, John","Doe, Jane"', '"Doe, Jane", Roe', "Roe"]
    rows = [[text, cells[at % 3]] for at, (text, _) in enumerate(texts(30))]
    assert read(csv_file(rows), kind="multi_label").task.labels == ("Doe, Jane", "Roe", "Smith, John")
    assert separated(['"a;b",c', 'd"e, f']) == [["a;b", "c"], ['d"e', "f"]]
    assert separated(['"say ""a, b"""|c']) == [['say "a, b"', "c"]]


def test_a_name_of_a_list_stays_whole_where_it_stands_alone() -> None:
    assert separated(['["a, x", "b"]', "a, x", "b"]) == [["a, x", "b"], ["a, x"], ["b"]]


def test_whole_numbers_within_lists_are_one_class(json_file: File) -> None:
    rows = [{"text": text, "label": [[1, 2], [2.0], [3]][at % 3]} for at, (text, _) in enumerate(texts(30))]
    data = read(json_file(rows))
    assert data.task.labels == ("1", "2", "3")
    assert "2 and 2.0" in finding(data, "label_spelling").message


def test_words_for_a_missing_label_are_named(csv_file: File) -> None:
    rows = [[text, ["x", "y", "null"][at % 3]] for at, (text, _) in enumerate(texts(30))]
    assert "without a label (empty, nan or null)" in finding(read(csv_file(rows)), "missing_label").message


def test_signs_within_numbers_are_called_by_name() -> None:
    assert numbers(["1'235.50", "2"]) == ([1235.5, 2.0], "an apostrophe between thousands")
    assert numbers(["1 235,50", "0,5"]) == ([1235.5, 0.5], "a comma before decimals, a blank between thousands")
    assert numbers(["\u22121.5", "2"]) == ([-1.5, 2.0], ""), "a typographic minus is one"


@pytest.mark.parametrize(("cell", "value"), [("38,5", 38.5), ("1,238.5", 1238.5), ("38.5", 38.5)])
def test_how_a_test_file_writes_numbers_does_not_change_those_of_training(
    csv_file: File, cell: str, value: float
) -> None:
    train = csv_file([[text, f"{40 + at / 7:.3f}"] for at, (text, _) in enumerate(texts(40))], "train.csv")
    test = csv_file([[f"{text} more", [cell, "7"][at % 2]] for at, (text, _) in enumerate(texts(20))], "test.csv")
    data = read(train, test=test)
    assert 40 <= data.train.targets.min() < data.train.targets.max() < 46
    assert {*data.test.targets.tolist()} == {value, 7.0}
    assert ("label_numbers" in kinds(data)) == ("," in cell)


def test_a_training_file_with_decimal_commas_decides_for_all(csv_file: File) -> None:
    train = csv_file([[text, f"{at},5"] for at, (text, _) in enumerate(texts(40))], "train.csv")
    test = csv_file([[f"{text} more", "1.234"] for text, _ in texts(20)], "test.csv")
    assert {*read(train, test=test).test.targets.tolist()} == {1234.0}


def test_what_is_no_number_is_shown(csv_file: File) -> None:
    rows = [[text, f"({at}.50)"] for at, (text, _) in enumerate(texts(30))]
    with pytest.raises(DataError, match=r"hold something else: '\(0\.50\)', "):
        read(csv_file(rows), kind="regression")


def test_items_of_two_types_are_refused_as_single_labels_are(json_file: File) -> None:
    for other in ("1", True):
        rows = [{"text": text, "label": [[1, 2], [other], [2]][at % 3]} for at, (text, _) in enumerate(texts(30))]
        with pytest.raises(DataError, match=r"items of the lists .* number in 20 .*data.jsonl:2"):
            read(json_file(rows))


@pytest.mark.parametrize("gap", [["a", None], [None], ["a", ""], ["nan"], "['a', None]", '["a", ""]'])
def test_lists_with_a_gap_are_left_out(json_file: File, gap: Any) -> None:
    """A null is no label, and to drop it would shift what stands behind it."""
    sets = ["['a', 'b']", "['b']"] if isinstance(gap, str) else [["a", "b"], ["b"]]
    rows = [{"text": text, "label": [*sets, gap][at % 3]} for at, (text, _) in enumerate(texts(60))]
    data = read(json_file(rows))
    assert (data.record.rows_used, finding(data, "missing_label").count) == (40, 20)
    assert "empty or missing label in their list" in finding(data, "missing_label").message
    rows = [{"text": text, "label": [[1, 0], [0, 1], [1, None]][at % 3]} for at, (text, _) in enumerate(texts(60))]
    assert read(json_file(rows)).record.rows_used == 40


@pytest.mark.parametrize("cells", [["a\nb", "b", "a"], ['["a", "b"]', "a", "b"]])
def test_cells_of_several_lines_and_lists_beside_names(csv_file: File, cells: list[str]) -> None:
    rows = [[text, cells[at % 3]] for at, (text, _) in enumerate(texts(60))]
    assert read(csv_file(rows), kind="multi_label").task.labels == ("a", "b")
    assert "--kind multi_label" in finding(read(csv_file(rows)), "label_lists").message


def test_decimal_commas_are_not_taken_for_several_labels(csv_file: File) -> None:
    rows = [[text, f"{at / 7:.1f}".replace(".", ",")] for at, (text, _) in enumerate(texts(60))]
    assert "label_lists" not in kinds(read(csv_file(rows)))


def test_an_empty_cell_is_no_zero_where_zeros_are_written(csv_file: File) -> None:
    rows = [[text, [1, 0, ""][at % 3], ["x", ""][at % 2]] for at, (text, _) in enumerate(texts(60))]
    data = read(csv_file(rows, header=("text", "a", "b")), label="a,b")
    assert (data.record.rows_used, finding(data, "missing_label").count) == (40, 20)
    rows = [[text, [1, 0, -1][at % 3], [1, 0, -1][at % 3]] for at, (text, _) in enumerate(texts(60))]
    assert read(csv_file(rows, header=("text", "a", "b")), label="a,b").record.rows_used == 40


def test_numbers_that_32_bits_hold_for_one_are_refused(csv_file: File) -> None:
    rows: list[list[object]] = [[text, 1_700_000_000_000 + at * 1234] for at, (text, _) in enumerate(texts(60))]
    with pytest.raises(DataError, match="from 1700000000000 to 1700000072806, too close together"):
        read(csv_file(rows), kind="regression")


@pytest.mark.parametrize("written", ["USD {}", "{} kg"])
def test_quantities_with_units_are_told_how_to_be_written(csv_file: File, written: str) -> None:
    rows = [[text, (written if at % 2 else "{}").format(at / 7)] for at, (text, _) in enumerate(texts(60))]
    with pytest.raises(DataError, match="write plain numbers"):
        read(csv_file(rows))
    rows = [[text, written.format(at / 7)] for at, (text, _) in enumerate(texts(60))]
    with pytest.raises(DataError, match="Write plain numbers"):
        read(csv_file(rows), kind="regression")
