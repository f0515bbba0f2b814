"""Splitting text into words, and the tokenizer of word-vector backbones."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from headstart.backbones.tokenizers.subwords import cut

WORD = re.compile(r"\w+(?:['’-]\w+)*")
"letters, digits and underscores, with apostrophes and hyphens between them; other signs separate words"
JOINT = re.compile(r"['’-]")
MOST = 1 << 22
"maximum number of distinct words that are counted, about half a gigabyte"


def words_of(text: str, lowercase: bool = False) -> list[str]:
    return WORD.findall(text.lower() if lowercase else text)


def counted(texts: Iterable[str], lowercase: bool = False) -> tuple[Counter[str], int]:
    """Word counts, and the total number of words.

    Memory is limited (lossy counting): above `MOST` distinct words, those with count one are dropped, the next time
    those with count two, and so on; a dropped word starts again at zero.
    """
    counts: Counter[str] = Counter()
    total, rarest = 0, 1
    for text in texts:
        found = words_of(text, lowercase)
        total += len(found)
        counts.update(found)
        while len(counts) > MOST:
            counts = Counter({word: seen for word, seen in counts.items() if seen > rarest})
            rarest += 1
    return counts, total


class WordTokenizer:
    """Tokenizer: words as rows of a table of words, then pieces, then one row for unknown words.

    A word is looked up unchanged, else in lower case, else its parts between hyphens and apostrophes are. Unknown words
    become their longest pieces in turn, or the last row if they have none.
    """

    def __init__(self, words: Sequence[str], pieces: Sequence[str] = ()) -> None:
        self._words = {word: row for row, word in enumerate(words)}
        self._pieces = {piece: row for row, piece in enumerate(pieces, len(words))}
        self.pad_token_id = self.unk_token_id = len(words) + len(pieces)

    def __len__(self) -> int:
        return self.unk_token_id + 1

    def get_vocab(self) -> dict[str, int]:
        pieces = {f"##{piece}": row for piece, row in self._pieces.items()}
        return {**self._words, **pieces, "[UNK]": self.unk_token_id}

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        return 0

    def rows(self, text: str) -> list[int]:
        rows = []
        for word in words_of(text):
            row = self._row(word)
            if row is not None:
                rows.append(row)
                continue
            for part in JOINT.split(word):
                row = self._row(part)
                rows += [row] if row is not None else self._unknown(part)
        return rows

    def _row(self, word: str) -> int | None:
        row = self._words.get(word)
        return self._words.get(word.lower()) if row is None else row

    def _unknown(self, word: str) -> list[int]:
        return [self._pieces[piece] for piece in cut(word.lower(), self._pieces)] or [self.unk_token_id]

    def __call__(
        self, texts: str | Sequence[str], truncation: bool = False, max_length: int | None = None, **_: Any
    ) -> dict[str, Any]:
        """`input_ids`: rows of one text, or a list per text; cut to `max_length` with `truncation`."""
        most = max_length if truncation else None
        if isinstance(texts, str):
            return {"input_ids": self.rows(texts)[:most]}
        return {"input_ids": [self.rows(text)[:most] for text in texts]}
