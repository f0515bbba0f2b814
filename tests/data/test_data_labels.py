"""Which column is what, and which kind of target a label column is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_data import finding, texts

from headstart.core.errors import ConfigurationError, DataError
from headstart.data.read import read

File = Callable[..., Path]


def test_columns_are_found_by_name_and_by_what_they_hold(csv_file: File) -> None:
    rows = [[at, text, label, f"{at}.txt"] for at, (text, label) in enumerate(texts(40))]
    data = read(csv_file(rows, header=("id", "Review", "Sentiment", "file")))
    assert data.record.columns == {"text": "Review", "label": "Sentiment"}
    rows = [[at, text, label, "x"] for at, (text, label) in enumerate(texts(40))]
    data = read(csv_file(rows, header=("id", "alpha", "beta", "gamma")))
    assert data.record.columns == {"text": "alpha", "label": "beta"}


@pytest.mark.parametrize("given", [None, "premise,hypothesis", ("premise", "hypothesis")])
def test_text_pairs(csv_file: File, given: object) -> None:
    rows = [[text, f"other {text}", label] for text, label in texts(40)]
    data = read(csv_file(rows, header=("premise", "hypothesis", "label")), text=given)  # type: ignore[arg-type]
    assert data.task.modality == "text_pair"
    first = data.train.inputs([0])[0]
    assert first[1] == f"other {first[0]}"  # type: ignore[str-bytes-safe]
    assert data.record.columns["text_b"] == "hypothesis"


def test_a_wrong_column_is_named_with_the_nearest(csv_file: File) -> None:
    with pytest.raises(DataError, match=r"no column 'txt' \(--text\). Did you mean 'text'\? Columns: text, label"):
        read(csv_file(texts(20)), text="txt")
    with pytest.raises(DataError, match=r"no column 'labl' \(--label\)"):
        read(csv_file(texts(20)), label="labl")


@pytest.mark.parametrize(
    ("header", "option"), [(("title", "body", "label"), "--text"), (("text", "score", "rating"), "--label")]
)
def test_unclear_columns_are_asked_for(csv_file: File, header: tuple[str, ...], option: str) -> None:
    rows = [[text, f"x {text}", label] for text, label in texts(20)]
    if option == "--label":
        rows = [[text, label, label] for text, label in texts(20)]
    with pytest.raises(DataError, match=f"could each be.*{option}.*Columns: "):
        read(csv_file(rows, header=header))


def test_class_names_are_sorted_naturally(csv_file: File) -> None:
    assert read(csv_file(texts(60, (10, 9, 1)))).task.labels == ("1", "9", "10")
    assert read(csv_file(texts(60, ("g10", "g9")))).task.labels == ("g9", "g10")
    # what pandas makes of whole numbers beside an empty cell
    assert read(csv_file(texts(60, ("1.0", "0.0")))).task.labels == ("0", "1")


def test_booleans_and_integers_in_json(json_file: File) -> None:
    rows = [{"text": text, "label": label == "yes"} for text, label in texts(30)]
    assert read(json_file(rows)).task.labels == ("False", "True")
    rows = [{"text": text, "label": at % 3} for at, (text, _) in enumerate(texts(30))]
    data = read(json_file(rows))
    assert data.task.labels == ("0", "1", "2")
    assert data.train.targets.dtype == np.int64


def test_many_fractions_are_a_regression_and_whole_numbers_are_not(csv_file: File) -> None:
    rows = [[text, at / 7] for at, (text, _) in enumerate(texts(60))]
    data = read(csv_file(rows))
    assert data.task.kind == "regression"
    assert data.task.outputs == 1
    assert data.train.targets.dtype == np.float32
    assert data.record.splits[0].origin == "made (random)"
    assert read(csv_file(texts(60, (1, 2, 3)))).task.kind == "single_label"
    assert read(csv_file(texts(60, (1, 2, 3))), kind="regression").train.targets.max() == 3.0
    with pytest.raises(DataError, match="60 distinct values in 60 rows.*kind regression"):
        read(csv_file([[text, at] for at, (text, _) in enumerate(texts(60))]))


def test_regression_of_words_is_refused_and_single_slips_are_left_out(csv_file: File) -> None:
    with pytest.raises(DataError, match="needs numbers"):
        read(csv_file(texts(30)), kind="regression")
    rows: list[list[object]] = [[text, at / 7] for at, (text, _) in enumerate(texts(60))]
    rows[4][1] = "n/a"
    data = read(csv_file(rows), kind="regression")
    found = finding(data, "missing_label")
    assert found.examples == ("data.csv:6",)
    assert "no number as the others are ('n/a')" in found.message
    assert data.record.rows_used == 59
    percents = [[text, f"{at / 2} %" if at % 3 == 0 else at / 200] for at, (text, _) in enumerate(texts(60))]
    found = finding(read(csv_file(percents), kind="regression"), "missing_label")
    assert (found.count, "('0.0 %', '1.5 %'" in found.message) == (20, True), "12 % beside 0.12: which is meant?"


def test_multi_label_from_lists_and_from_strings(json_file: File, csv_file: File) -> None:
    sets = [["b"], ["a", "b"], [], ["c"]]
    rows = [{"text": text, "labels": sets[at % 4]} for at, (text, _) in enumerate(texts(60))]
    data = read(json_file(rows))
    assert (data.task.kind, data.task.labels) == ("multi_label", ("a", "b", "c"))
    assert data.train.targets.shape == (len(data.train), 3)
    by_text = {row["text"]: row["labels"] for row in rows}
    for text, target in zip(data.train.inputs(), data.train.targets):
        assert [n for n, on in zip(data.task.labels, target) if on] == by_text[text]
    text_rows = [[text, "a|b" if at % 2 else "b;c"] for at, (text, _) in enumerate(texts(40))]
    assert read(csv_file(text_rows), kind="multi_label").task.labels == ("a", "b", "c")
    assert read(csv_file(text_rows)).task.labels == ("a|b", "b;c")


def test_mixed_types_are_named_with_their_rows(json_file: File) -> None:
    rows = [{"text": text, "label": 1 if at % 2 else "1"} for at, (text, _) in enumerate(texts(20))]
    with pytest.raises(DataError, match=r"text in 10 \(data.jsonl:1, .*number in 10 \(data.jsonl:2"):
        read(json_file(rows))


@pytest.mark.parametrize(("one", "zero"), [(1, 0), (1.0, 0.0), (True, False)])
def test_cells_have_no_type_that_could_clash(
    tmp_path: Path, csv_file: File, json_file: File, one: Any, zero: Any
) -> None:
    """A CSV to train on and a JSONL to test on: what is a number in the one can only be text in the other."""
    names = ("True", "False") if one is True else ("1", "0")
    csv_file(texts(60, names), "train.csv")
    json_file(
        [{"text": f"held {text}", "label": one if label == names[0] else zero} for text, label in texts(20, names)],
        "test.jsonl",
    )
    data = read(tmp_path)
    assert sorted(data.task.labels) == sorted(names)
    assert len(data.test) == 20
    for text, target in zip(data.test.inputs(), data.test.targets):
        label = dict(texts(20, names))[str(text).removeprefix("held ")]
        assert data.task.labels[target] == label
    json_file([{"text": text, "label": ["a", "b"]} for text, _ in texts(20)], "test.jsonl")
    with pytest.raises(DataError, match=r"list in 20 .*; text in 60 \(train.csv:2, "):
        read(tmp_path)


def test_missing_labels_are_left_out_and_listed(csv_file: File, json_file: File) -> None:
    rows = texts(30)
    rows[2][1], rows[7][1], rows[9][1] = "", "  ", "nan"
    data = read(csv_file(rows))
    assert (data.record.rows_read, data.record.rows_used) == (30, 27)
    found = finding(data, "missing_label")
    assert (found.count, found.severity) == (3, "error")
    assert found.examples == ("data.csv:4", "data.csv:9", "data.csv:11")
    records: list[dict[str, object]] = [{"text": text, "label": label} for text, label in texts(30)]
    records[0]["label"], records[1] = None, {"text": "no label here"}
    assert read(json_file(records)).record.rows_used == 28


def test_labels_that_training_does_not_show_are_left_out(tmp_path: Path, csv_file: File) -> None:
    rows = texts(60)
    rows[50][1] = "new"
    csv_file(rows[:40], "train.csv")
    csv_file(rows[40:], "test.csv")
    data = read(tmp_path)
    assert data.task.labels == ("no", "yes")
    assert len(data.test) == 19
    assert finding(data, "unknown_label").examples == ("test.csv:12",)


def test_one_class_and_bad_options_are_refused(csv_file: File) -> None:
    with pytest.raises(DataError, match="only one class"):
        read(csv_file(texts(20, ("a",))))
    with pytest.raises(ConfigurationError, match="Did you mean 'multi_label'"):
        read(csv_file(texts(20)), kind="multilabel")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="leave something for training"):
        read(csv_file(texts(20)), test_share=0.9)


def test_class_weights_have_mean_one_over_training(csv_file: File) -> None:
    data = read(csv_file(texts(90, ("a", "b", "b"))), class_weights=True)
    weights = np.array(data.task.class_weights)
    assert weights[data.train.targets].mean() == pytest.approx(1.0)
    assert weights[0] == pytest.approx(2 * weights[1], rel=0.05)
    assert read(csv_file(texts(90))).task.class_weights == ()


def test_names_that_lost_signs_are_pointed_at(csv_file: File) -> None:
    data = read(csv_file([(text, "\ufffd\ufffd" if label == "no" else label) for text, label in texts(60)]))
    assert "different names may have become one" in finding(data, "label_spelling").message
