"""Column roles: input and label, as given, by common names, or by their values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headstart.core.errors import DataError, suggestion
from headstart.core.inputs import INPUT_KINDS
from headstart.data.tables.chat_columns import ChatColumns
from headstart.data.tables.column_names import (
    IDS,
    KNOWN,
    LABELS,
    PAIRS,
    PLAIN_LABEL,
    PLAIN_TEXT,
    TEXTS,
    bare,
    meant,
    shown,
)  # fmt: skip
from headstart.data.tables.label_columns import find_label, first, listed
from headstart.data.tables.other_kinds import other_kind
from headstart.data.tables.pixels import columns_of_numbers
from headstart.data.tables.split_columns import Marks, find_marks
from headstart.data.tables.table import Column
from headstart.data.tables.word_columns import WORDS, words_alone, words_and_tags
from headstart.tasks.task import Modality


@dataclass(frozen=True)
class Roles:
    """Columns by role."""

    modality: Modality
    text: tuple[str, ...]
    "input column, or two for pairs; for images the image column"
    labels: tuple[str, ...]
    "label column, or several of 0 and 1, one per class"
    group: str | None = None
    marks: Marks | None = None
    "column of the split"
    guessed: tuple[str, ...] = ()
    "columns that were detected by their values, not by their names"
    cluster: str | None = None
    "column of clusters: rows that count as one in statistics and may lie in several splits"
    zeros: tuple[str, ...] = ()
    "those of several label columns that write zeros, in the table at hand"
    signed: tuple[str, ...] = ()
    "those that write 1 and -1, where -1 is a zero"
    chat: ChatColumns | None = None
    "columns of conversations, which have no label; `text` then holds all of them"

    @property
    def label(self) -> str:
        return ",".join(self.labels)

    def names(self) -> list[str]:
        every = (*self.text, *self.labels, self.group, self.cluster, *(self.marks.columns if self.marks else ()))
        return list(dict.fromkeys(name for name in every if name is not None))

    def describe(self) -> str:
        """`text: review, label: verified (guessed from its values)`."""
        guessed = dict.fromkeys(self.guessed, " (guessed from its values)")
        return ", ".join(f"{role}: {shown([name])}{guessed.get(name, '')}" for role, name in self.record().items())

    def record(self) -> dict[str, str]:
        first = "image" if INPUT_KINDS[self.modality].is_image else "text"
        found = self.chat.record() if self.chat else {first: self.text[0], "label": self.label}
        if len(self.text) == 2 and not self.chat:
            found["text_b"] = self.text[1]
        split = ",".join(self.marks.columns) if self.marks else None
        more = {"group": self.group, "split": split, "cluster": self.cluster}
        return found | {role: name for role, name in more.items() if name is not None}


def choose(
    columns: Sequence[Column],
    source: str,
    text: str | Sequence[str] | None,
    label: str | None,
    group: str | None,
    has_splits: bool,
    cluster: str | None = None,
    chat: ChatColumns | None = None,
    answered: bool = False,
) -> Roles:
    """Detects the roles of the columns that are not given.

    chat: columns of conversations, which have no label.
    has_splits: True if other splits are separate files; a split column then counts only if it marks rows of others.
    answered: True if the label column holds answers that stand in the second text.
    Raises `DataError` with the columns if a given one does not exist or the choice is not clear.
    """
    known = {column.name: column for column in columns}
    wanted = _given_text(text, known)
    labels = [meant(name, known) for name in _given_labels(label, known)]
    group, cluster = (name and meant(name, known) for name in (group, cluster))
    for name, option in [
        *((name, "--text") for name in wanted), *((name, "--label") for name in labels), (group, "--group"),
        (cluster, "--cluster-by"),
    ]:  # fmt: skip
        if name is not None and name not in known:
            raise DataError(
                f"{source} has no column {name!r} ({option}).{suggestion(name, known)} Columns: {shown(known)}."
            )
    inputs = chat.names() if chat else ()
    marks = find_marks(columns, {*wanted, *labels, *inputs, group, cluster}, has_splits)
    if chat:
        return Roles("chat", inputs, (), group, marks, (), cluster, chat=chat)
    # a column called text or label keeps this role even as a group, because else another column would take it silently
    beside = {name for name in (group, cluster) if name and name.lower() not in (*PLAIN_TEXT, *PLAIN_LABEL)}
    taken = {*wanted, *labels, *beside, *(marks.columns if marks else ())}
    left = [column for column in columns if column.name not in taken]
    free = [column for column in left if column.kind == "image" or not _is_id(column.name)]
    guessed: list[str] = []
    if pair := words_and_tags([known[name] for name in (*wanted, *labels)] + free, wanted, labels, source):
        wanted, labels = [pair[0]], [pair[1]]
    if not labels:
        texts = set(wanted) or set(_named_texts(free)) | {c.name for c in free if c.kind == "image"}
        labels, by_name = find_label([column for column in left if column.name not in texts], source, columns)
        guessed += [] if by_name else labels
        free = [column for column in free if column.name not in labels]
    if not wanted:
        wanted = _find_text(free, source, columns)
        guessed += [name for name in wanted if bare(name).lower() not in KNOWN and known[name].kind != "image"]
    if both := set(labels) & set(wanted):
        raise DataError(f"the column {min(both)!r} can't be both the input and the label; give --text and --label.")
    if group in labels or cluster in labels:
        option = "--group" if group in labels else "--cluster-by"
        raise DataError(f"the column {group if group in labels else cluster!r} is the label; {option} takes another.")
    images = [name for name in wanted if known[name].kind == "image"]
    if images and len(wanted) > 1:
        raise DataError(f"pairs are of texts, but the column {images[0]!r} holds images.")
    several = known[wanted[0]].kind == "list"
    modality: Modality = "image" if images else "text_pair" if len(wanted) == 2 else "text_words" if several else "text"
    modality = "passage" if answered else modality
    return Roles(modality, tuple(wanted), tuple(labels), group, marks, tuple(guessed), cluster)


def _given_labels(label: str | None, known: Iterable[str]) -> list[str]:
    """`--label toxic,rude` names several columns, unless one has this whole name."""
    if label is None or meant(label, known) in known or "," not in label:
        return [] if label is None else [label]
    return [name.strip() for name in label.split(",") if name.strip()]


def _given_text(text: str | Sequence[str] | None, known: Iterable[str]) -> list[str]:
    if text is None:
        return []
    if isinstance(text, str) and meant(text, known) in known:
        return [meant(text, known)]
    names = [meant(name.strip(), known) for name in (text.split(",") if isinstance(text, str) else text)]
    if not 1 <= len(names) <= 2 or len(set(names)) < len(names):
        raise DataError(f"--text takes one column, or two different ones for a pair; it got {', '.join(names)}.")
    return names


def _is_id(name: str) -> bool:
    low = bare(name).lower()
    return low in IDS or low.endswith("_id")


def _named_texts(columns: Sequence[Column]) -> list[str]:
    usable = [column for column in columns if column.kind in ("text", "number")]
    plain = first(PLAIN_TEXT, usable)
    plain = [name for name in plain if bare(name).lower() == bare(plain[0]).lower()]
    for pair in PAIRS:
        found = first(pair, usable)
        if len(found) == 2 and (not plain or {*plain} < {*found}):  # a question and a sentence, as in QNLI
            return found
    if plain:
        return plain
    return first(TEXTS, usable)


def _find_text(free: Sequence[Column], source: str, columns: Sequence[Column]) -> list[str]:
    images = [column.name for column in free if column.kind == "image"]
    if len(images) == 1:
        return images
    named = [] if images else _named_texts(free)
    if len(named) == 1 or (len(named) == 2 and any({*named} == {*first(pair, free)} for pair in PAIRS)):
        return named
    texts = sorted((c for c in free if c.kind == "text"), key=lambda column: -column.mean_length)
    # the longest column is the text only if it is clearly longer
    clear = len(texts) == 1 or (len(texts) > 1 and texts[0].mean_length >= 3 * texts[1].mean_length)
    if clear and not images and not named:
        return [texts[0].name]
    candidates = images or named or [column.name for column in texts]
    if not images and not named and (kind := other_kind(columns)):
        raise DataError(f"{source}: {kind}")
    lists = [c.name for c in free if c.kind == "list" and c.name.lower() in (*PLAIN_TEXT, *TEXTS, *WORDS)]
    if lists and not candidates:
        raise DataError(
            f"{source}: the column {lists[0]!r} holds lists. Write each as one text; to learn a tag for each word, "
            "name a column of lists of as many tags with --label."
        )
    if not candidates and (what := columns_of_numbers(free)):
        raise DataError(f"{source}: {what}")
    what = f"{shown(candidates, ' and ')} could each be" if candidates else "no column looks like"
    raise DataError(f"{source}: {what} the input. Name it with --text. {listed(columns)}")


def _is_usual(name: str) -> bool:
    return bare(name).lower() in KNOWN or bool(re.fullmatch(r"column \d+", name))


def find_inputs(
    columns: Sequence[Column], source: str, modality: Modality, text: str | None, trained: Sequence[str]
) -> list[str]:
    """Input columns of a file without labels: the given ones, else those of the training, else detected ones."""
    known = {column.name: column for column in columns}
    names = _given_text(text, known) or (list(trained) if set(trained) & set(known) else [])
    for name in names:
        if name not in known:
            raise DataError(f"{source} has no column {name!r}.{suggestion(name, known)} Columns: {shown(known)}.")
    wanted = INPUT_KINDS[modality].columns
    if not names and INPUT_KINDS[modality].words:
        names = words_alone(columns)
    if not names:
        if INPUT_KINDS[modality].is_image:
            names = [column.name for column in columns if column.kind == "image"][:1]
        else:
            labels = (*PLAIN_LABEL, *LABELS) if trained else ()  # because else answers would be given to old labels
            free = [c for c in columns if not _is_id(c.name) and c.name.lower() not in labels]
            names = _find_text(free, source, columns)
            if trained and not all(_is_usual(name) for name in names):
                raise DataError(
                    f"{source} has no column {' or '.join(map(repr, trained))}, which the model was trained on. If "
                    f"{' and '.join(map(repr, names))} holds the texts, name it with --text; if the first line is a "
                    f"text already, put the line {','.join(trained)} above it."
                )
    if len(names) < wanted or (text is not None and len(names) > wanted):
        reads = f"the model reads {INPUT_KINDS[modality].plural}"
        how = "two columns with --text A,B" if wanted == 2 else "one column with --text"
        raise DataError(f"{source}: {reads}; name {how}. Columns: {shown(known)}.")
    return names[:wanted]
