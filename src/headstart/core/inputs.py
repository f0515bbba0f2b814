"""Kinds of input: what an example of a task consists of, by the name that records hold as `modality`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class InputKind:
    """name: in records. read_by: modality of the backbones that read it. noun, plural: for people."""

    name: str
    read_by: str
    noun: str
    plural: str
    columns: int = 1
    "input columns of a table"
    words: bool = False
    "True if an input may be a list of words, each with its own answer"
    chat: bool = False
    "True if an input is a conversation, which the model goes on with"
    passage: bool = False
    "True if the second text is a passage in which the answer stands; long ones are read in windows"
    rows_at_once: int = 4_096
    "rows that a prediction reads before it answers; batches combine texts of similar length within them"

    @property
    def is_image(self) -> bool:
        return self.read_by == "image"

    @property
    def is_pair(self) -> bool:
        return self.columns == 2


INPUT_KINDS = {
    kind.name: kind
    for kind in (
        InputKind("text", "text", "text", "texts"),
        InputKind("text_pair", "text", "text pair", "pairs of texts", columns=2),
        InputKind("text_words", "text", "text", "texts, or lists of words", words=True, rows_at_once=1_024),
        InputKind("chat", "text", "conversation", "conversations", chat=True, rows_at_once=256),
        InputKind(
            "passage",
            "text",
            "question and passage",
            "questions, each with its passage",
            columns=2,
            passage=True,
            rows_at_once=256,
        ),
        InputKind("image", "image", "image", "images", rows_at_once=64),
    )
}
