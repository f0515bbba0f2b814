"""Passages in windows: tokens to signs of any script, windows as the library makes them, and their states joined."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import ByT5Tokenizer

from backbones.tiny import WORDS, bytelevel, wordpiece
from headstart.backbones.inputs.pooling import read_out
from headstart.backbones.inputs.preparation import TextPreparation
from headstart.backbones.inputs.windows import WINDOWS, at_signs
from headstart.backbones.inputs.word_marks import SIGNS, WORD_STARTS
from headstart.core.errors import ConfigurationError
from headstart.core.passage import Passage
from headstart.engine.feed.micro import Micro
from headstart.engine.feed.targets import by_row, seen
from headstart.engine.feed.tokens import Tokens
from headstart.stats.best_spans import best

LONG = Passage("the good dog ?", " ".join(WORDS[1:60]))


def pieces(preparation: TextPreparation, passage: Passage) -> list[str]:
    """What each place of the passage covers."""
    (found,) = preparation.encode([passage])
    return [passage.piece(int(first), int(last)) for first, last in found[SIGNS]]


def test_a_place_for_no_answer_and_one_for_each_token() -> None:
    (found,) = TextPreparation(wordpiece(), 64).encode([Passage("good dog?", "The  filmbook.")])
    # [CLS] good dog ? [SEP] the film ##b ##o ##o ##k . [SEP]
    assert found[WORD_STARTS].tolist() == [0, 5, 6, 7, 8, 9, 10, 11]
    assert found[SIGNS].tolist() == [[0, 0], [1, 3], [6, 9], [10, 10], [11, 11], [12, 12], [13, 13], [14, 14]]


@pytest.mark.parametrize(
    "text", ["naïve Ângström déjà", "في عام ١٩٩٠ م", "他在1990年来到北京。", "e\u0301te\u0301 😀 x"]
)
@pytest.mark.parametrize("make", [wordpiece, bytelevel])
def test_places_are_pieces_of_the_passage_in_every_script(make: object, text: str) -> None:
    """Signs are counted in the text as it is, whatever the tokenizer folds or splits into bytes."""
    found = pieces(TextPreparation(make(), 128), Passage("x?", text))  # type: ignore[operator]
    assert found[0] == ""
    assert all(one and one == one.strip() for one in found[1:])
    bare = text.replace(" ", "")
    assert "".join(dict.fromkeys("".join(found))) == "".join(dict.fromkeys(bare))


def test_of_several_tokens_in_one_sign_the_first_begins_and_the_last_ends() -> None:
    preparation = TextPreparation(bytelevel(), 64)
    batch = preparation.collate(preparation.encode([Passage("x", "年a")]))
    assert batch[SIGNS][0].tolist() == [[0, 0], [1, -1], [-1, -1], [-1, 1], [2, 2]]
    scores = at_signs(torch.arange(10.0).reshape(1, 5, 2), batch[SIGNS])
    assert scores[0].tolist() == [[0, 1], [2, 7], [8, 9]]


@pytest.mark.parametrize("most", [20, 31, 64])
def test_windows_are_those_of_the_library(most: int) -> None:
    tokenizer = wordpiece()
    (found,) = TextPreparation(tokenizer, most).encode([LONG])
    overlap = (most - len(tokenizer(LONG.question)["input_ids"]) - 1) // 3
    theirs = tokenizer(
        [LONG.question], [LONG.text], truncation="only_second", max_length=most, stride=overlap,
        return_overflowing_tokens=True,
    )  # fmt: skip
    ends = np.cumsum(found[WINDOWS])
    assert len(ends) == len(theirs["input_ids"]) > 1
    for ids, types, first, last in zip(theirs["input_ids"], theirs["token_type_ids"], ends - found[WINDOWS], ends):
        assert found["input_ids"][first:last].tolist() == ids
        assert found["token_type_ids"][first:last].tolist() == types


def test_each_token_has_its_state_from_the_window_with_most_context() -> None:
    """States that tell token and window show which one was read, in a batch with a short passage, and in its parts."""
    preparation, short = TextPreparation(wordpiece(), 24), Passage("good ?", "the red dog")
    encoded = preparation.encode([LONG, short])
    batch = preparation.collate(encoded)
    windows = len(encoded[0][WINDOWS])
    assert windows > 2
    assert batch["input_ids"].shape == (2 * windows, 24)
    assert int(batch["attention_mask"].sum(1).min()) == 1, "attention over no token would be NaN"
    plain = wordpiece()(LONG.text, add_special_tokens=False)["input_ids"]

    def states(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        ids = batch["input_ids"]
        window = torch.arange(len(ids))[:, None].expand_as(ids) % windows
        return read_out(torch.stack([ids, window], dim=-1).float(), batch, "mean")

    read = states(batch)
    assert read[0, 1:, 0].tolist() == plain
    order = read[0, 1:, 1].tolist()
    assert order == sorted(order)
    assert set(order) == set(range(windows))
    room = 24 - len(wordpiece()(LONG.question)["input_ids"]) - 1
    assert order.index(1) == room - room // 3 // 2, "each window gives half of the tokens that both hold"
    micro = Micro(np.arange(2), batch, torch.zeros(2, 2), 4)
    first, second = micro.cut(2)
    assert torch.equal(states(first.batch)[0], read[0])
    assert torch.equal(states(second.batch)[0, :4, 0], read[1, :4, 0])


def test_an_answer_across_the_edge_of_a_window() -> None:
    """It begins in one window and ends in the next, which no window holds whole."""
    preparation = TextPreparation(wordpiece(), 20)
    encoded = preparation.encode([LONG])
    batch = preparation.collate(encoded)
    windows = batch[WINDOWS][0].tolist()
    first, last = windows.index(1) - 7, windows.index(1) + 7
    signs = encoded[0][SIGNS]
    answer = (int(signs[first, 0]), int(signs[last, 1]))
    tokens = Tokens([encoded])
    target = seen(torch.tensor([[answer]]), tokens)
    assert target.tolist() == [list(answer)]
    scores = torch.zeros(1, len(signs), 2)
    scores[0, first, 0] = scores[0, last, 1] = 9.0
    row = at_signs(scores, batch[SIGNS]).softmax(1)[0].numpy()
    assert best(row, without=False)[0][:2] == answer
    assert by_row(target, tokens).nonzero().tolist() == [[first, 1], [last, 2]]


def test_an_answer_within_tokens_takes_them_whole() -> None:
    """`lm` of `film`, one token; and no target where no token covers the answer."""
    encoded = TextPreparation(wordpiece(), 64).encode([Passage("x?", "the film good"), Passage("x?", "the film")])
    assert seen(torch.tensor([[[7, 8]], [[4, 4]]]), Tokens([encoded])).tolist() == [[5, 8], [-1, -1]]


def test_a_question_takes_at_most_half_of_a_window() -> None:
    preparation = TextPreparation(wordpiece(), 24)
    (found,) = preparation.encode([Passage(LONG.text, "the red dog and cat")])
    assert len(found["input_ids"]) <= 24
    assert len(found[WORD_STARTS]) == 6
    with pytest.raises(ConfigurationError, match="leaves no room"):
        TextPreparation(wordpiece(), 3).encode([LONG])


def test_decoders_read_the_question_first_and_know_of_no_answer_at_the_end() -> None:
    preparation = TextPreparation(bytelevel(), 64)
    (found,) = preparation.encode([Passage("ab?", "cd e")])
    assert preparation.tokenizer.decode(found["input_ids"]) == "ab?\ncd e"
    assert found[WORD_STARTS].tolist() == [7, 4, 5, 7]
    assert found[SIGNS].tolist() == [[0, 0], [1, 1], [2, 2], [4, 4]]


def test_slow_tokenizers_are_refused_with_a_reason() -> None:
    with pytest.raises(ConfigurationError, match=r"ByT5Tokenizer does not say which characters.*tokenizer\.json"):
        TextPreparation(ByT5Tokenizer(), 64).encode([LONG])
