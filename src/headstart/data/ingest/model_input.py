"""Model input: converts a row's cells for the model, or returns the problem; for training and prediction alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from headstart.core.inputs import INPUT_KINDS
from headstart.core.passage import Passage
from headstart.core.words import Words
from headstart.data.audit.findings import Findings
from headstart.data.ingest.cells import LONGEST, text_of
from headstart.data.ingest.chats import chat_input
from headstart.data.ingest.label_lists import as_list
from headstart.data.tables.table import ImagePath, Problem
from headstart.tasks.task import Modality

LONG = 100_000
"characters; longer texts are kept with a warning"
LONGEST_PASSAGE = 40_000
"characters; longer passages are left out, because scores of every passage of a split take the room of its longest"
MOST_WORDS = 10_000
"words of a sentence; longer ones are left out, because every sentence of a split takes the room of its longest"

_INVISIBLE = {"Cc", "Cf", "Zs", "Zl", "Zp"}
"Unicode categories of controls, zero-width signs and blanks"

_TWICE = re.compile("[\u00c2\u00c3][\u00a0-\u00bf]|\u00e2\u20ac")
"UTF-8 that was read as Windows-1252"

EMPTY = Problem("empty", "without text")
NO_TEXT = Problem("malformed", "with a list or an object instead of a text")
TOO_LONG = Problem("long", f"longer than {LONGEST:,} characters", "a quote may be left open there")
NO_WORD = Problem("malformed", "with a word that is empty or no text")
MANY_WORDS = Problem("long", f"of more than {MOST_WORDS:,} words", "an end of a sentence may be missing there")
LONG_PASSAGE = Problem("long", f"with a passage of more than {LONGEST_PASSAGE:,} characters", "cut it into passages")
NO_IMAGE = Problem("unreadable", "without an image")
NO_PAIR = Problem("malformed", "with other than two texts, where the model reads pairs")
NO_SINGLE = Problem("malformed", "with more than one text, where the model reads one")

WORDS_FOR_NONE = frozenset({"nan", "null", "none", "n/a", "#n/a", "<na>", "#name?", "#ref!", "#value!"})
"texts, in lower case, that stand for a missing one"

Checked = str | tuple[str, str] | bytes


def model_input(values: Sequence[Any], modality: Modality) -> Checked | Problem:
    """Converts cells to a model's input: one text or image, or two texts; or returns the problem.

    A sentence in words is a list of them, or a running text that is cut. Numbers become texts. Lone surrogates, which
    JSON can write but UTF-8 can't, become `?`. An image is its encoded bytes or an `ImagePath`; it is not decoded here.
    """
    kind = INPUT_KINDS[modality]
    if kind.is_image:
        value = values[0].get("bytes") if isinstance(values[0], dict) else values[0]
        return value if isinstance(value, (bytes, ImagePath)) and value else NO_IMAGE
    if kind.chat:
        return chat_input(values[0])
    if kind.words:
        return _words(values[0])
    if len(values) != kind.columns:
        return NO_PAIR if kind.is_pair else NO_SINGLE
    texts = []
    for value in values:
        text = text_of(value)
        if text is None:
            return NO_TEXT
        if not any(unicodedata.category(sign) not in _INVISIBLE for sign in text):
            return EMPTY
        if len(text) > LONGEST:
            return TOO_LONG
        texts.append(text)
    if kind.passage:
        return LONG_PASSAGE if len(texts[1]) > LONGEST_PASSAGE else Passage(*texts)
    return texts[0] if len(texts) == 1 else (texts[0], texts[1])


def note_missing_words(found: Checked, place: str, findings: Findings) -> None:
    """A finding on a text, or one of a pair, that only says that it is missing, or that was decoded wrongly before."""
    parts = found if isinstance(found, tuple) else (found,)
    if any(len(part) < 8 and str(part).strip().lower() in WORDS_FOR_NONE for part in parts):
        message = "{rows} whose text is a word for a missing one (nan, NULL, #N/A), kept: empty such cells"
        findings.add("empty", "warning", message, [place])
    if any(isinstance(part, str) and not part.isascii() and _TWICE.search(part) for part in parts):
        message = (
            "{rows} with signs such as \u00c3\u00a9 or \u00e2\u20ac\u2122, which UTF-8 becomes when it is read as "
            "Windows-1252: correct it where the file comes from"
        )
        findings.add("encoding", "warning", message, [place])


def _words(value: Any) -> Words | Problem:
    """A list of words as they are; a running text is cut into words."""
    if isinstance(value, Words):
        return value
    if isinstance(value, str) and value.startswith(('["', "['")):  # as CSV holds lists of words
        value = as_list(value) or value
    if not isinstance(value, (list, tuple)):
        text = text_of(value)
        if text is None or len(text) > LONGEST:
            return NO_TEXT if text is None else TOO_LONG
        found = Words.cut(text)
        return MANY_WORDS if len(found.each) > MOST_WORDS else found or EMPTY
    words = [text_of(word) for word in value]
    if not words:
        return EMPTY
    if any(not word or not word.strip() for word in words):
        return NO_WORD
    if len(words) > MOST_WORDS:
        return MANY_WORDS
    return TOO_LONG if sum(len(word or "") for word in words) > LONGEST else Words.of(word or "" for word in words)
