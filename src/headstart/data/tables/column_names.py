"""Common names of columns of texts, pairs, labels and row numbers."""

from __future__ import annotations

from collections.abc import Iterable

from headstart.data.ingest.look_alike import canonical

PAIRS = (
    ("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"), ("text1", "text2"),
    ("text_a", "text_b"), ("sentence_a", "sentence_b"), ("sentence_A", "sentence_B"), ("question", "sentence"),
    ("question", "passage"), ("query", "passage"), ("query", "document"),
)  # fmt: skip
PLAIN_TEXT = ("text", "sentence")
"names of texts that win over other text columns"
TEXTS = (
    "review", "content", "question", "comment", "tweet", "message", "document", "body", "description", "utterance",
    "query", "headline", "title", "abstract", "sms", "post", "input",
)  # fmt: skip
PLAIN_LABEL = ("label", "labels")
LABELS = (
    "class", "category", "target", "sentiment", "score", "rating", "stars", "y", "intent", "topic", "emotion",
    "gold_label", "coarse_label",
)  # fmt: skip
IDS = ("id", "idx", "index", "guid", "uuid", "_id", "rowid", "row", "nr", "unnamed: 0", "unnamed 1")
"names of columns with row numbers"
OTHERS = ("split", "group", "weight", "date", "time", "timestamp", "lang", "language", "source", "file", "file_name")

KNOWN = frozenset(
    name.lower()
    for name in (*PLAIN_TEXT, *TEXTS, *PLAIN_LABEL, *LABELS, *IDS, *OTHERS, *(one for two in PAIRS for one in two))
)

SHOWN = 20
"maximum number of columns that a message lists"


def shown(names: Iterable[str], sign: str = ", ") -> str:
    """The first names for a message, and how many more there are."""
    every = [" ".join(name.split()) for name in names]
    more = [f"{len(every) - SHOWN:,} more"] if len(every) > SHOWN else []
    return sign.join([*every[:SHOWN], *more])


def meant(name: str, known: Iterable[str]) -> str:
    """The column of this name, or the only one that looks the same: invisible signs, line ends, accents, # apart."""
    every = list(known)
    for form in (str.strip, lambda one: bare(one.strip())):
        same = [one for one in every if one == name or canonical(form(one)) == canonical(form(name))]
        if same:
            return same[0] if len(same) == 1 else name
    return name


def bare(name: str) -> str:
    """The name without the # of a header that is written as a comment: `#id` as `id`."""
    return name.removeprefix("#").lstrip() or name
