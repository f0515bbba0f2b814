"""Exact match and token F1 of answers in words, after SQuAD's normalisation.

Source: Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text", section 6.1, and the
official script of version 2: an answer without a word equals only another one without.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@lru_cache(maxsize=1 << 16)
def normalised(answer: str) -> str:
    """In lower case, without punctuation and English articles, words parted by single blanks."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, accepted: Sequence[str]) -> float:
    """1 if the answer is one of the accepted ones, else 0. No accepted answer: only an empty one is right."""
    return float(any(normalised(answer) == normalised(one) for one in accepted or ("",)))


def token_f1(answer: str, accepted: Sequence[str]) -> float:
    """The largest F1 of the answer's words and those of one accepted answer."""
    return max(words_f1(normalised(answer).split(), normalised(one).split()) for one in accepted or ("",))


def words_f1(found: Sequence[str], true: Sequence[str]) -> float:
    """`2 P R / (P + R)` by words, counted; without words on one side 1 if there are none on the other."""
    if not found or not true:
        return float(not found and not true)
    same = sum((Counter(found) & Counter(true)).values())
    return 2 * same / (len(found) + len(true))
