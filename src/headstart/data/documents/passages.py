"""Passages (chunking): documents in pieces of limited length, cut at headings, paragraphs and sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from headstart.data.documents.documents import Document

WORDS = 150
"default maximum length of a passage, in words"
LONG_WORD = 8
"signs that count as a word in a text without blanks, such as Chinese"
HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
UNDERLINE = re.compile(r"(=+|-{3,})$")
FENCE = re.compile(r"\s*(```|~~~)")
SENTENCE = re.compile(r"(?<=[.!?؟])\s+|(?<=[。！？])")


@dataclass(frozen=True)
class Passage:
    """A piece of a document. headings: those above it, the outermost first."""

    document: str
    headings: tuple[str, ...]
    text: str

    @property
    def shown(self) -> str:
        """The passage with its headings, as a model reads it and as it is searched."""
        return "\n".join([" > ".join(self.headings), self.text]) if self.headings else self.text


def passages(documents: Iterable[Document], words: int = WORDS) -> list[Passage]:
    """Passages of at most so many words, without overlap; each lies below one heading."""
    if words < 10:
        raise ValueError(f"passages of {words} words are too short to hold an answer; at least 10 are needed")
    return [
        Passage(document.name, headings, text)
        for document in documents
        for headings, paragraphs in _sections(document.text)
        for text in _packed(paragraphs, words)
    ]


def length(text: str) -> int:
    """Number of words; in a text without blanks, of eight signs each."""
    return sum(max(1, len(word) // LONG_WORD) for word in text.split())


def _sections(text: str) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Headings and the lines below them; `#` in fenced code is no heading."""
    headings: list[tuple[int, str]] = []
    below: list[str] = []
    fenced = False
    for line in text.splitlines():
        fenced ^= bool(FENCE.match(line))
        found = None if fenced else HEADING.match(line)
        if not fenced and below and UNDERLINE.match(line.strip()) and len(below[-1].split()) <= 20:
            found = HEADING.match(("# " if line.strip()[0] == "=" else "## ") + below.pop())
        if found is None:
            if line.strip():
                below.append(line.rstrip())
            continue
        if below:
            yield tuple(name for _, name in headings), below
        depth, below = len(found[1]), []
        headings = [(level, name) for level, name in headings if level < depth] + [(depth, found[2])]
    if below:
        yield tuple(name for _, name in headings), below


def _packed(paragraphs: Sequence[str], words: int) -> Iterator[str]:
    """Consecutive paragraphs joined while they fit; longer ones are cut at sentences, long sentences at words."""
    gathered: list[str] = []
    room = words
    for piece in (piece for paragraph in paragraphs for piece in _pieces(paragraph, words)):
        if (size := length(piece)) > room and gathered:
            yield "\n".join(gathered)
            gathered, room = [], words
        gathered.append(piece)
        room -= size
    if gathered:
        yield "\n".join(gathered)


def _pieces(paragraph: str, words: int) -> Iterator[str]:
    if length(paragraph) <= words:
        yield paragraph
        return
    gathered = ""
    for sentence in (part for whole in SENTENCE.split(paragraph) for part in _cut(whole, words)):
        if gathered and length(gathered) + length(sentence) > words:
            yield gathered
            gathered = ""
        gathered = f"{gathered} {sentence}" if gathered else sentence
    if gathered:
        yield gathered


def _cut(sentence: str, words: int) -> Iterator[str]:
    """Parts of at most so many words of a sentence; signs in a row without blanks are cut too."""
    if length(sentence) <= words:
        yield sentence
        return
    most = words * LONG_WORD
    parts = [word[at : at + most] for word in sentence.split() for at in range(0, len(word), most)]
    gathered: list[str] = []
    for part in parts:
        if gathered and length(" ".join([*gathered, part])) > words:
            yield " ".join(gathered)
            gathered = []
        gathered.append(part)
    yield " ".join(gathered)
