"""Lexicon: words as ids and as characters, so that a network can read words outside its vocabulary."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.backbones.tokenizers.words import words_of

CHARACTERS = 50
"maximum number of bytes of a word, including the marks of its ends"
BEGIN, END, STOP, UNKNOWN = 257, 258, 259, 260
"special characters above the bytes (1 to 256; 0 is padding): ends of a word, end of a text, a hidden word"
ALPHABET = 261
SPECIAL = ("[END]", "[UNK]")
FIRST = 1 << 30
"smallest id of a word outside the vocabulary"
REMEMBERED = 1 << 21
"""maximum number of words outside the vocabulary whose spelling is kept, about a quarter of a gigabyte: enough for a
training, and the latest ones for a server"""


class Lexicon:
    """A tokenizer of words whose ids stand for their characters.

    Words of the vocabulary have ids from 2 on. If `open`, other words have ids above 2^30 by a hash, or the next free
    id; the spelling of the latest `REMEMBERED` is kept. Else they are `[UNK]`, as in pretraining, which predicts known
    words.
    """

    def __init__(self, words: Sequence[str], open: bool = True) -> None:
        self.words, self.open = list(words), open
        self._ids = {word: row for row, word in enumerate(words, len(SPECIAL))}
        special = [_row([STOP]), _row([UNKNOWN])]
        self._table = torch.from_numpy(np.stack([*special, *(_spelled(word) for word in words)])).long()
        self._others: OrderedDict[str, int] = OrderedDict()  # ordered by last use
        self._spellings: dict[int, str] = {}
        self.lowercase = not any(word != word.lower() for word in words)
        self.pad_token_id = self.eos_token_id = self.sep_token_id = 0
        self.unk_token_id = 1
        self.mask_token_id, self.all_special_ids = None, [0, 1]

    def __len__(self) -> int:
        return len(self._table)

    def __deepcopy__(self, memo: Any) -> Lexicon:
        return self  # shared, because all copies of a network must know the same words

    def get_vocab(self) -> dict[str, int]:
        return {**self._ids, **{word: row for row, word in enumerate(SPECIAL)}}

    def convert_ids_to_tokens(self, ids: Sequence[int]) -> list[str]:
        every = [*SPECIAL, *self.words]
        return [every[i] for i in ids]

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        return 0

    def id_of(self, word: str) -> int:
        """The id of the word, else of its lower case, else of its spelling."""
        for form in (word, word.lower()):
            if form in self._ids:
                return self._ids[form]
        if not self.open:
            return 1
        word = word.lower() if self.lowercase else word  # in lower case, because capitals were never trained
        if word in self._others:
            self._others.move_to_end(word)
            return self._others[word]
        if len(self._others) >= REMEMBERED:
            del self._spellings[self._others.popitem(last=False)[1]]
        number = FIRST + int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "big") % FIRST
        while number in self._spellings:
            number = FIRST + (number - FIRST + 1) % FIRST
        self._others[word], self._spellings[number] = number, word
        return number

    def __call__(
        self, texts: str | Sequence[str], truncation: bool = False, max_length: int | None = None, **_: Any
    ) -> dict[str, Any]:
        most = max_length if truncation else None
        if isinstance(texts, str):
            return {"input_ids": [self.id_of(word) for word in words_of(texts)][:most]}
        return {"input_ids": [[self.id_of(word) for word in words_of(text)][:most] for text in texts]}

    def characters(self, ids: Tensor) -> Tensor:
        """[n] ids to [n, CHARACTERS]."""
        known = ids < len(self._table)
        rows = self._table[torch.where(known, ids, 1).cpu()]
        for at in (~known).nonzero()[:, 0].tolist():
            if (word := self._spellings.get(int(ids[at]))) is not None:
                rows[at] = torch.from_numpy(_spelled(word))
        return rows.to(ids.device)


def _spelled(word: str) -> np.ndarray:
    letters = [byte + 1 for byte in word.encode()[: CHARACTERS - 2]]
    return _row([BEGIN, *letters, END])


def _row(characters: list[int]) -> np.ndarray:
    return np.array(characters + [0] * (CHARACTERS - len(characters)), dtype=np.int16)
