"""Documents, their passages, and how these are found."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from headstart.core.errors import DataError
from headstart.data.documents.documents import Document, documents
from headstart.data.documents.passages import Passage, length, passages
from headstart.data.documents.search import BM25, Dense, terms

PAGE = """<html><head><title>no</title><style>p {}</style><body><nav>menu</nav>
<h2>Sick &amp; well</h2><p>Call <b>before</b>
nine.</p><table><tr><td>a</td><td>1</td></tr></table><script>x()</script></body></html>"""


def test_a_folder_is_read_whole_and_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "hidden.md").write_text("hidden")
    (tmp_path / "b" / "page.html").write_text(PAGE)
    (tmp_path / "a.md").write_bytes("# Übung\r\nText".encode("utf-16"))
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert documents(tmp_path) == [
        Document("a.md", "# Übung\nText"),
        Document("b/page.html", "## Sick & well\nCall before nine.\na 1"),
    ]
    assert documents(tmp_path / "a.md")[0].name == "a.md"


def test_a_place_without_documents_is_named(tmp_path: Path) -> None:
    (tmp_path / "handbook").mkdir()
    with pytest.raises(DataError, match="'handbook'"):
        documents(tmp_path / "handbok")
    with pytest.raises(DataError, match="it is empty"):
        documents(tmp_path / "handbook")
    (tmp_path / "handbook" / "x.pdf").write_bytes(b"%PDF")
    with pytest.raises(DataError, match=r"Markdown.*it holds \.pdf"):
        documents(tmp_path / "handbook")
    (tmp_path / "handbook" / "x.md").write_bytes(b"%PDF")
    with pytest.raises(DataError, match="a PDF"):
        documents(tmp_path / "handbook")


def test_passages_stay_below_their_heading() -> None:
    text = "Intro.\n# One\nfirst line\n\n```\n# no heading\n```\n## Deep\nmore\n# Two\nlast\nThree\n=====\nend"
    found = passages([Document("d.md", text)])
    assert [(one.headings, one.text) for one in found] == [
        ((), "Intro."),
        (("One",), "first line\n```\n# no heading\n```"),
        (("One", "Deep"), "more"),
        (("Two",), "last"),
        (("Three",), "end"),
    ]
    assert found[2].shown == "One > Deep\nmore"


@pytest.mark.parametrize(
    "text", ["Short one. " * 40, "word " * 95, "x" * 900, "日本語の文です。" * 60, "a\n" * 50 + "b " * 30 + "\nc"]
)
def test_passages_are_short_and_lose_nothing(text: str) -> None:
    found = [one.text for one in passages([Document("d", text)], words=20)]
    assert all(1 <= length(one) <= 20 for one in found)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert len(found) <= 2 * math.ceil(length(text) / 20) + 1  # they are filled, not torn into lines


def bm25_by_hand(question: list[str], texts: list[list[str]]) -> list[float]:
    mean = sum(map(len, texts)) / len(texts)
    scores = []
    for text in texts:
        score = 0.0
        for word in question:
            df = sum(word in other for other in texts)
            idf = math.log(1 + (len(texts) - df + 0.5) / (df + 0.5))
            f = text.count(word)
            score += idf * f / (f + 1.5 * (1 - 0.75 + 0.75 * len(text) / mean))
        scores.append(score)
    return scores


def test_bm25_ranks_as_its_formula() -> None:
    texts = ["the cat sat on the mat", "a dog", "cat cat dog on a mat with a very long tail of words", "nothing here"]
    pieces = [Passage("d", (), text) for text in texts]
    for question in ("cat mat", "dog", "a cat on a dog", "unknown"):
        by_hand = bm25_by_hand(question.split(), [text.split() for text in texts])
        expected = sorted(range(len(texts)), key=lambda i: (-round(by_hand[i], 5), i))
        assert BM25(pieces).nearest([question], 9).tolist() == [expected], question
    assert BM25(pieces).nearest(["cat", "dog"], 2).shape == (2, 2)


def test_words_of_languages_without_blanks_are_pairs_of_signs() -> None:
    assert terms("Die STRAẞE, 東京都 5 kg") == ["die", "straße", "東京", "京都", "5", "kg"]
    pieces = [Passage("d", (), "京都は古い都です"), Passage("d", (), "東京都は大きい")]
    assert BM25(pieces).nearest(["東京はどこですか"], 1).tolist() == [[1]]


def test_dense_search_goes_by_the_angle() -> None:
    vectors = {"long": [10.0, 1.0], "near": [0.1, 0.1], "zero": [0.0, 0.0], "q": [1.0, 1.0]}
    pieces = [Passage("d", (), name) for name in ("long", "near", "zero")]
    found = Dense(pieces, lambda texts: np.array([vectors[text] for text in texts])).nearest(["q"], 5)
    assert found.tolist() == [[1, 0, 2]]


def test_the_gold_passage_is_found_as_often_as_its_makers_counted(shared: Path) -> None:
    """The data's README gives plain BM25's recall at 1, 5 and 10 by wording: 0.76, 0.92, 0.94 and 0.47, 0.70, 0.77."""
    folder = shared / "text" / "knowledge"
    pieces = passages(documents(folder / "docs"))
    rows = [json.loads(line) for line in (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
    squeezed = [" ".join(" ".join((*one.headings[-1:], one.text)).split()) for one in pieces]
    for wording, expected in ((1, (0.76, 0.92, 0.94)), (4, (0.47, 0.70, 0.77))):
        asked = [row for row in rows if row["wording"] == wording]
        nearest = BM25(pieces).nearest([row["question"] for row in asked], 10)
        golds = [" ".join(row["passage"].replace("#", "").split()) for row in asked]
        hits = [[gold in squeezed[p] for p in best] for gold, best in zip(golds, nearest)]
        recalls = [float(np.mean([any(one[:k]) for one in hits])) for k in (1, 5, 10)]
        assert recalls == pytest.approx(expected, abs=0.06)
