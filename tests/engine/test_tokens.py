"""Ragged tokens give back what was put in."""

from __future__ import annotations

import numpy as np

from backbones.tiny import tiny
from contract.settings import examples_of, texts
from headstart.engine.feed import feed as feeds
from headstart.engine.feed.feed import Feed
from headstart.engine.feed.tokens import Tokens


def test_every_example_comes_back_with_its_types_where_it_has_them() -> None:
    ids = [np.array(row, dtype=np.int32) for row in ([5, 6], [7], [8, 9, 10], [11])]
    types = np.array([0, 1, 1], dtype=np.int8)
    plain = [{"input_ids": row} for row in ids]
    found = Tokens([plain[:2], [], [plain[2] | {"token_type_ids": types}], plain[3:]])
    assert found.lengths.tolist() == [2, 1, 3, 1]
    for position, row in enumerate(ids):
        assert np.array_equal(found[position]["input_ids"], row)
    assert np.array_equal(found[2]["token_type_ids"], types)
    assert [("token_type_ids" in found[i]) for i in range(4)] == [False, False, True, False]


def test_a_feed_is_the_same_however_many_texts_are_tokenized_at_once(monkeypatch) -> None:
    backbone, given = tiny("bert"), texts(11)
    pairs = [(a, b) for a, b in zip(given, reversed(given))]
    for inputs in (given, pairs):
        examples = examples_of(given, np.zeros(11, dtype=np.int64))
        monkeypatch.setattr(type(examples), "inputs", lambda self, at, x=inputs: [x[i] for i in at])
        whole = Feed("whole", examples, backbone).batch(np.arange(11))
        monkeypatch.setattr(feeds, "ENCODE", 3)
        parts = Feed("parts", examples, backbone).batch(np.arange(11))
        monkeypatch.undo()
        assert set(whole) == set(parts)
        assert all(whole[name].equal(parts[name]) for name in whole)
        assert ("token_type_ids" in whole) == (inputs is pairs)


def test_no_text_at_all() -> None:
    assert len(Tokens([]).lengths) == 0


def test_a_batch_in_pieces_has_the_same_examples_and_less_padding() -> None:
    backbone = tiny("bert")
    feed = Feed("train", examples_of(texts(11), np.arange(11) % 3), backbone)
    order = np.argsort(-feed.lengths, kind="stable")
    ((micro,),) = feed.micros([[order]])
    pieces = micro.split(4)
    assert np.array_equal(np.concatenate([piece.positions for piece in pieces]), order)
    for piece in pieces:
        assert piece.batch["input_ids"].shape == (len(piece.positions), feed.lengths[piece.positions].max())
        alone = feed.batch(piece.positions)
        assert all(piece.batch[name].equal(alone[name]) for name in alone)
        assert piece.step == micro.step
    assert sum(piece.batch["input_ids"].numel() for piece in pieces) < micro.batch["input_ids"].numel()
    assert len(micro.split(50)) == 11
