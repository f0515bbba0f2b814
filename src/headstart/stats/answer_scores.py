"""Scores of one generated answer against the right ones: exact match, token F1 and a tolerant twin of the first.

Both sides are normalised as in SQuAD: lower case, without punctuation and articles, single spaces. Source: Rajpurkar
et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text", section 6.1.
"""

from __future__ import annotations

import string
from collections.abc import Sequence

from headstart.stats.squad import words_f1

SIGNS = str.maketrans("", "", string.punctuation + "“”‘’—–§")
ARTICLES = ("a", "an", "the")
ABSTENTION = "documents do not say"
"how an answer begins that says it does not know, after normalisation"


def normal(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces; the lower case alone if nothing is left (`A`)."""
    words = text.lower().translate(SIGNS).split()
    return " ".join(word for word in words if word not in ARTICLES) or " ".join(text.lower().split())


def abstains(answer: str) -> bool:
    return normal(answer).startswith(ABSTENTION)


def exact(answer: str, right: Sequence[str]) -> bool:
    """True if the answer is one of the right ones; any abstention is equal to any other."""
    found = normal(answer)
    return any(found == normal(one) or (abstains(one) and abstains(answer)) for one in right)


def tolerant(answer: str, right: Sequence[str]) -> bool:
    """True if a right answer's words stand in a row somewhere in the answer: `It was founded by Ian Murdock in 1993.`

    It forgives the form and nothing else, but also counts an answer that names the right thing among wrong ones.
    """
    return exact(answer, right) or any(f" {normal(one)} " in f" {normal(answer)} " for one in right)


def token_f1(answer: str, right: Sequence[str]) -> float:
    """The best over the right answers of `2 P R / (P + R)`, with precision P and recall R by words, counted.

    An exact answer has 1.
    """
    if exact(answer, right):
        return 1.0
    found = normal(answer).split()
    return max((words_f1(found, normal(one).split()) for one in right), default=0.0)
