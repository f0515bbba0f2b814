"""Words: how running text is cut into them, and the tokenizer of backbones that are made of word vectors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from headstart.backbones.tokenizers.subwords import cut

WORD = re.compile(r"\w+(?:['’-]\w+)*")
"letters, digits and underscores, with apostrophes and hyphens between them; all else only parts words"
JOINT = re.compile(r"['’-]")
MOST = 1 << 22
"different words that are counted: about half a gigabyte"


def words_of(text: str, lowercase: bool = False) -> list[str]:
    return WORD.findall(text.lower() if lowercase else text)


def counted(texts: Iterable[str], lowercase: bool = False) -> tuple[Counter[str], int]:
    """How often each word occurs, and how many words there are in all.

    Memory does not grow with the texts: beyond `MOST` different words the rarest are dropped, those that occurred once,
    the next time twice, and so on; one that comes back is counted from there.
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
    """A text's words as rows of a table: the words', then those of pieces, then one for what is neither.

    A word is looked up as it stands, else in lower case, else what stands between its hyphens and apostrophes is. What
    is unknown then becomes the longest pieces that follow on another, or the last row where it has none.
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
        """`input_ids`: rows of one text, or a list of them for each; cut to `max_length` where `truncation` is set."""
        most = max_length if truncation else None
        if isinstance(texts, str):
            return {"input_ids": self.rows(texts)[:most]}
        return {"input_ids": [self.rows(text)[:most] for text in texts]}
