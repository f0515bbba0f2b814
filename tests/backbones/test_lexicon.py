"""A lexicon's words that no vocabulary holds."""

from __future__ import annotations

import hashlib

import pytest
import torch

from headstart.backbones.tokenizers import lexicon
from headstart.backbones.tokenizers.lexicon import FIRST, Lexicon


def test_unknown_words_never_share_an_id_and_the_latest_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    class Same:
        def __init__(self, _: bytes, digest_size: int = 4) -> None: ...

        def digest(self) -> bytes:
            return b"\xff\xff\xff\xff"

    words = Lexicon(["good"])
    fresh = words.id_of("zweisam")
    assert fresh == FIRST + int.from_bytes(hashlib.blake2b(b"zweisam", digest_size=4).digest(), "big") % FIRST
    monkeypatch.setattr(lexicon.hashlib, "blake2b", Same)
    monkeypatch.setattr(lexicon, "REMEMBERED", 3)
    first, second = words.id_of("eins"), words.id_of("drei")
    assert len({fresh, first, second}) == 3
    assert min(first, second) >= FIRST
    assert max(first, second) < 2 * FIRST
    spelled = words.characters(torch.tensor([fresh, first, second]))
    assert len({tuple(row) for row in spelled.tolist()}) == 3
    words.id_of("zweisam")
    monkeypatch.undo()
    monkeypatch.setattr(lexicon, "REMEMBERED", 3)
    words.id_of("vier")  # "eins" came longest ago
    unknown = words.characters(torch.tensor([1]))
    assert torch.equal(words.characters(torch.tensor([first])), unknown)
    assert not torch.equal(words.characters(torch.tensor([fresh])), unknown)
    assert len(words._others) == len(words._spellings) == 3
