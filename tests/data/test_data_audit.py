"""The audit finds what was planted, at its place, and nothing in clean data."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_data import finding, image, kinds, texts
from PIL import Image

from headstart.data.audit import near_duplicates
from headstart.data.read import read

File = Callable[..., Path]


def test_clean_data_has_no_findings(csv_file: File) -> None:
    assert read(csv_file(texts(300))).record.findings == ()


def given_splits(csv_file: File, train: list[list[object]], test: list[list[object]]) -> Path:
    csv_file(train, "train.csv")
    return csv_file(test, "test.csv").parent


def test_duplicates_leaks_and_conflicts(csv_file: File) -> None:
    rows = texts(120)
    train, test = rows[:80], rows[80:]
    train[10] = train[4]  # the same twice, one label
    train[20] = [train[7][0], "no" if train[7][1] == "yes" else "yes"]
    test[3] = train[30]
    data = read(given_splits(csv_file, train, test))
    assert finding(data, "leak").examples == ("test.csv:5 = train.csv:32",)
    assert finding(data, "leak").count == 1
    assert finding(data, "conflict").examples == ("train.csv:22 = train.csv:9",)
    assert sum(f.count for f in data.record.findings if f.kind == "duplicate") == 2
    assert data.record.rows_used == 120, "the audit removes nothing"


def test_repeated_inputs_stay_in_one_made_split(csv_file: File) -> None:
    rows = texts(100)
    data = read(csv_file(rows + rows[:50]))
    assert "leak" not in kinds(data)
    assert kinds(data)["duplicate"] == 50


def test_near_duplicates_of_texts(csv_file: File) -> None:
    rows = texts(200)
    train, test = rows[:160], rows[160:]
    test[0][0] = str(train[5][0]).upper() + " !!!"
    test[1][0] = str(train[9][0]) + "x"
    test[2][0] = " ".join(reversed(str(train[11][0]).split()))  # the same words, another text
    data = read(given_splits(csv_file, train, test))
    found = finding(data, "near_duplicate")
    assert (found.count, found.examples) == (2, ("test.csv:2 = train.csv:7", "test.csv:3 = train.csv:11"))


def test_pairs_that_differ_in_one_part_are_no_duplicates(csv_file: File) -> None:
    rows = [[text, "is it so?", label] for text, label in texts(80)]
    data = read(csv_file(rows, header=("premise", "hypothesis", "label")))
    assert "duplicate" not in kinds(data)


@settings(max_examples=60)
@given(st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=12))
def test_equal_texts_share_all_bands_wherever_they_stand(found: list[str]) -> None:
    found = [near_duplicates.normal(text) for text in found]
    together = near_duplicates.signatures(found)
    for text, bands in [*zip(found, together)][::5]:
        assert (near_duplicates.signatures([text])[0] == bands).all()


def test_bands_meet_as_often_as_the_formula_says() -> None:
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz "))
    base = ["".join(rng.choice(letters, 150)) for _ in range(400)]
    changed = [text[:60] + "#" + text[61:] for text in base]  # 5 of 150 shingles
    alike = np.mean([near_duplicates.resemblance(a, b) for a, b in zip(base, changed)])
    assert alike == pytest.approx(145 / 155, abs=0.02)
    a, b = near_duplicates.signatures(base), near_duplicates.signatures(changed)
    assert (a == b).mean() == pytest.approx(alike**4, abs=0.06)
    assert (a == b).any(axis=1).mean() > 0.97
    others = near_duplicates.signatures(["".join(rng.choice(letters, 150)) for _ in range(400)])
    assert not (a == others).any()


def test_groups_stay_together_and_crossing_ones_are_found(csv_file: File) -> None:
    rows = [[*row, f"g{at // 4}"] for at, row in enumerate(texts(120))]
    rows[3][2] = ""  # without a group: one of its own
    header = ("text", "label", "author")
    data = read(csv_file(rows, header=header), group="author")
    assert {s.origin for s in data.record.splits} == {"made (by group)"}
    author = {row[0]: row[2] for row in rows if row[2]}
    seen = [{author.get(t, t) for t in part.inputs()} for part in (data.train, data.validation, data.test)]
    assert sum(map(len, seen)) == len(set().union(*seen))
    csv_file(rows[:90], "train.csv", header)
    csv_file(rows[90:], "test.csv", header)
    crossing = finding(read(csv_file([], "x.csv").parent, group="author"), "group_leak")
    assert (crossing.count, crossing.examples[0]) == (2, "test.csv:2")


def test_rows_without_a_group_are_groups_of_their_own(csv_file: File) -> None:
    rows = [[*row, "" if at > 9 else "g"] for at, row in enumerate(texts(200))]
    data = read(csv_file(rows, header=("text", "label", "author")), group="author")
    assert [s.size for s in data.record.splits] == pytest.approx([130, 30, 40], abs=3)


def test_a_group_is_one_however_its_name_is_written(json_file: File) -> None:
    """Blanks around it, a whole number as pandas writes it beside empty cells, words for none: 4 groups, 10 alone."""
    rows = [{"text": text, "label": label} for text, label in texts(90)]
    for at, row in enumerate(rows):
        row["user"] = [at % 4, float(at % 4), f" {at % 4}", f"{at % 4}.0 "][at // 4 % 4] if at < 80 else math.nan
    of = {str(row["text"]): at % 4 if at < 80 else at for at, row in enumerate(rows)}
    data = read(json_file(rows), group="user")
    parts = [{of[str(text)] for text in part.inputs()} for part in (data.train, data.validation, data.test)]
    assert len(set().union(*parts)) == sum(map(len, parts)) == 14, "each group lies in one split"
    assert data.train.units is not None
    assert len({*data.train.units.tolist()}) == len(parts[0])


def test_rare_classes_and_imbalance(csv_file: File) -> None:
    rows = texts(300)
    for at in range(4):
        rows[at][1] = "seldom"
    data = read(csv_file(rows))
    assert finding(data, "rare_class").examples[0].startswith("seldom: ")
    assert "class weights" in finding(data, "imbalance").message
    assert data.record.splits[0].class_counts["seldom"] >= 1


def test_classes_that_a_held_out_split_lacks_are_named(tmp_path: Path, csv_file: File) -> None:
    """A test folder `cats` beside the training folder `cat` left one class to test on, and no word of that."""
    csv_file(texts(60, ("cat", "dog")), "train.csv")
    csv_file(
        [(f"held {text}", {"cat": "cats"}.get(label, label)) for text, label in texts(20, ("cat", "dog"))], "test.csv"
    )
    found = finding(read(tmp_path), "absent_class")
    assert found.message == "classes without any example in test: measurements there say nothing about them"
    assert found.examples == ("cat",)


def test_spellings_of_one_class(csv_file: File) -> None:
    assert "'No' and 'no'" in finding(read(csv_file(texts(60, ("No", "no", "yes")))), "label_spelling").message


def bomb() -> bytes:
    """A PNG of 20,000 x 20,000 pixels in a few kilobytes."""
    out = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("workers", [0, 2])
def test_images_broken_too_large_and_alike(tmp_path: Path, workers: int) -> None:
    pictures = [image(at, "JPEG", (64, 64)) for at in range(60)]
    pictures[3] = pictures[3][: len(pictures[3]) // 2]
    pictures[5], pictures[7], pictures[8] = b"no image", bomb(), b""
    labels = ["a" if at % 2 else "b" for at in range(60)]
    pq.write_table(pa.table({"image": pictures, "label": labels}), tmp_path / "train.parquet")
    small = io.BytesIO()
    Image.open(io.BytesIO(pictures[20])).save(small, "JPEG", quality=40)
    test = [image(1_000 + at, "JPEG", (64, 64)) for at in range(10)] + [small.getvalue(), pictures[30]]
    pq.write_table(pa.table({"image": test, "label": ["a", "b"] * 6}), tmp_path / "test.parquet")
    data = read(tmp_path, workers=workers, validation_share=0.01)
    unreadable = [e for f in data.record.findings if f.kind == "unreadable" for e in f.examples]
    assert {e.split(": ")[0] for e in unreadable} == {"train.parquet:4", "train.parquet:6", "train.parquet:9"}
    assert any("truncated" in e for e in unreadable)
    large = finding(data, "too_large")
    assert large.examples[0].startswith("train.parquet:8: ")
    assert "400000000 pixels" in large.examples[0]
    assert finding(data, "near_duplicate").examples == ("test.parquet:11 = train.parquet:21",)
    assert finding(data, "leak").examples == ("test.parquet:12 = train.parquet:31",)
    assert data.record.rows_used == 72 - 4
    assert data.record.rows_read == 72


def test_the_fingerprint_sees_every_change(csv_file: File) -> None:
    rows = texts(80)
    base = read(csv_file(rows)).record.fingerprint
    assert read(csv_file(rows, "renamed.csv")).record.fingerprint == base
    assert read(csv_file(rows), seed=1).record.fingerprint != base
    changed = [list(row) for row in rows]
    changed[9][0] = str(changed[9][0]) + "."
    assert read(csv_file(changed)).record.fingerprint != base
    relabelled = [list(row) for row in rows]
    relabelled[9][1], relabelled[10][1] = relabelled[10][1], relabelled[9][1]
    assert read(csv_file(relabelled)).record.fingerprint != base
