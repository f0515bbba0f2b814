"""Sub-words joined to words: where each word begins, whatever the tokenizer."""

from __future__ import annotations

import numpy as np
import torch
from transformers import ByT5Tokenizer

from backbones.tiny import bytelevel, tiny, wordpiece
from headstart.backbones.inputs.preparation import TextPreparation
from headstart.backbones.inputs.word_marks import WORD_STARTS, hidden_where_unseen, states_at
from headstart.backbones.tokenizers.lexicon import Lexicon
from headstart.backbones.tokenizers.words import WordTokenizer
from headstart.core.words import Words

TEXT = Words.of(["the", "filmbook", ".", "good"])


def starts(tokenizer: object, text: Words, length: int = 64) -> tuple[list[int], list[int]]:
    (found,) = TextPreparation(tokenizer, length).encode([text])
    return found["input_ids"].tolist(), found[WORD_STARTS].tolist()


def test_the_first_sub_word_stands_for_the_word() -> None:
    """[CLS] the film ##b ##o ##o ##k . good [SEP]"""
    assert starts(wordpiece(), TEXT)[1] == [1, 2, 7, 8]


def test_bytes_count_from_the_word_not_from_the_blank_before() -> None:
    """Without merges the blank is a token of its own."""
    assert starts(bytelevel(), TEXT)[1] == [0, 4, 13, 15]


def test_words_that_are_cut_off_are_marked() -> None:
    ids, found = starts(wordpiece(), TEXT, 6)
    assert len(ids) == 6
    assert found == [1, 2, -1, -1]


def test_tokenizers_of_whole_words_know_no_signs() -> None:
    ids, found = starts(WordTokenizer(["the", "film"]), Words.of(["the", ".", "film"]))
    assert (ids, found) == ([0, 2, 1], [0, 1, 2]), "a sign is an unknown word"
    ids, found = starts(Lexicon(["the"]), Words.of(["the", "U.S.", "."]))
    assert found == [0, 1, 3]
    assert ids[3] == 1


def test_states_and_scores_of_words_that_are_not_seen() -> None:
    hidden = torch.arange(12.0).reshape(1, 4, 3)
    batch = {WORD_STARTS: torch.tensor([[2, 0, -1]])}
    found = states_at(hidden, batch[WORD_STARTS])
    assert found[0].tolist() == [[6, 7, 8], [0, 1, 2], [0, 0, 0]]
    assert hidden_where_unseen(torch.zeros(1, 3, 2), batch)[0, 2].isneginf().all()


def test_a_batch_of_words_gives_a_state_each_at_every_rung() -> None:
    backbone = tiny("bert")
    encoded = backbone.preparation.encode([TEXT, Words.of(["good"])])  # type: ignore[attr-defined]
    batch = backbone.preparation.collate(encoded)
    with torch.no_grad():
        top, every = backbone.features(batch), backbone.features(batch, "all")
        hidden = backbone.module(**{k: v for k, v in batch.items() if k != WORD_STARTS}).last_hidden_state
    assert top.shape == (2, 4, backbone.dimension)
    assert every.shape == (2, 4, backbone.width("all"))
    torch.testing.assert_close(top[0, 1], hidden[0, 2])
    torch.testing.assert_close(every[..., -backbone.dimension :], top)
    assert np.all(top[1, 1:].numpy() == 0)


class Characters:
    """A tokenizer of transformers that knows no offsets: signs as numbers between [CLS] and [SEP]."""

    cls_token_id, sep_token_id, pad_token_id = 1, 2, 0

    def build_inputs_with_special_tokens(self, ids: list[int]) -> list[int]:
        return [1, *ids, 2]

    def __call__(self, text: str, add_special_tokens: bool = True, **_: object) -> dict[str, list[int]]:
        ids = [ord(sign) for sign in text if sign != " "]
        return {"input_ids": self.build_inputs_with_special_tokens(ids) if add_special_tokens else ids}


def test_special_tokens_stand_around_all_words_of_tokenizers_without_offsets() -> None:
    text = Words.of(["ab", "c", "d"])
    ids, found = starts(Characters(), text)
    assert (ids, found) == ([1, *map(ord, "abcd"), 2], [1, 3, 4])
    ids, found = starts(Characters(), text, 5)
    assert (ids, found) == ([1, *map(ord, "abc"), 2], [1, 3, -1])


def test_bytes_without_offsets_have_their_blanks() -> None:
    tokenizer = ByT5Tokenizer()
    ids, found = starts(tokenizer, Words.of(["ab", "c"]))
    assert ids == tokenizer("ab c")["input_ids"]
    assert found == [0, 3]
