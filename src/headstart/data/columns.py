"""Which column is the input and which the label: by the user's word, by common names, else by what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headstart.core.errors import DataError, suggestion
from headstart.data.column_names import IDS, LABELS, PAIRS, PLAIN_LABEL, PLAIN_TEXT, TEXTS
from headstart.data.sources import split_named
from headstart.data.table import Column
from headstart.data.task import Modality

FEW = 50
"distinct values in the sample up to which an unnamed column may be the label"


@dataclass(frozen=True)
class Roles:
    """Columns by role."""

    modality: Modality
    text: tuple[str, ...]
    "one column, or two for pairs; for images the column that holds them"
    label: str
    group: str | None = None
    split: str | None = None

    def names(self) -> list[str]:
        return [name for name in (*self.text, self.label, self.group, self.split) if name is not None]

    def record(self) -> dict[str, str]:
        first = "image" if self.modality == "image" else "text"
        found = {first: self.text[0], "label": self.label}
        if len(self.text) == 2:
            found["text_b"] = self.text[1]
        return found | ({"group": self.group} if self.group else {}) | ({"split": self.split} if self.split else {})


def choose(
    columns: Sequence[Column],
    source: str,
    text: str | Sequence[str] | None,
    label: str | None,
    group: str | None,
    has_splits: bool,
) -> Roles:
    """The columns' roles. Names given are taken at their word; the others are found.

    has_splits: the splits are files of their own, so a `split` column means nothing.
    Raises `DataError` where a given column does not exist or the choice is not clear, listing the columns.
    """
    known = {column.name: column for column in columns}
    wanted = _given_text(text, known)
    for name, option in [*((name, "--text") for name in wanted), (label, "--label"), (group, "--group")]:
        if name is not None and name not in known:
            raise DataError(
                f"{source} has no column {name!r} ({option}).{suggestion(name, known)} Columns: {', '.join(known)}."
            )
    split = None if has_splits else _split_column(columns, {*wanted, label, group})
    taken = {name for name in (*wanted, label, group, split) if name is not None}
    free = [column for column in columns if column.name not in taken and not _is_id(column.name)]
    if label is None:
        texts = set(wanted) or set(_named_texts(free)) | {c.name for c in free if c.kind == "image"}
        label = _find_label([column for column in free if column.name not in texts], source, columns)
        free = [column for column in free if column.name != label]
    if not wanted:
        wanted = _find_text(free, source, columns)
    if label in wanted:
        raise DataError(f"the column {label!r} can't be both the input and the label; give --text and --label.")
    images = [name for name in wanted if known[name].kind == "image"]
    if images and len(wanted) > 1:
        raise DataError(f"pairs are of texts, but the column {images[0]!r} holds images.")
    modality: Modality = "image" if images else "text_pair" if len(wanted) == 2 else "text"
    return Roles(modality, tuple(wanted), label, group, split)


def _given_text(text: str | Sequence[str] | None, known: Iterable[str]) -> list[str]:
    if text is None:
        return []
    names = [text] if isinstance(text, str) and text in known else None
    if names is None:
        names = [name.strip() for name in (text.split(",") if isinstance(text, str) else text)]
    if not 1 <= len(names) <= 2 or len(set(names)) < len(names):
        raise DataError(f"--text takes one column, or two different ones for a pair; it got {', '.join(names)}.")
    return names


def _split_column(columns: Sequence[Column], taken: set[str | None]) -> str | None:
    for column in columns:
        if column.name.lower() == "split" and column.name not in taken:
            values = {v for v in column.values if v is not None and v != ""}
            if values and all(isinstance(v, str) and split_named(v) for v in values):
                return column.name
            if any(isinstance(v, str) and split_named(v) for v in values):
                odd = next(v for v in values if not (isinstance(v, str) and split_named(v)))
                raise DataError(f"the column {column.name!r} holds {odd!r}. Allowed: train, validation, test.")
    return None


def _is_id(name: str) -> bool:
    low = name.lower()
    return low in IDS or low.endswith("_id")


def _first(names: Iterable[str], columns: Sequence[Column]) -> list[str]:
    """Names of the columns that match any of `names`, without regard to case, in the order of `names`."""
    return [column.name for name in names for column in columns if column.name.lower() == name.lower()]


def _named_texts(columns: Sequence[Column]) -> list[str]:
    usable = [column for column in columns if column.kind in ("text", "number")]
    plain = _first(PLAIN_TEXT, usable)
    if plain:
        return plain[:1]
    for pair in PAIRS:
        found = _first(pair, usable)
        if len(found) == 2:
            return found
    return _first(TEXTS, usable)


def _find_text(free: Sequence[Column], source: str, columns: Sequence[Column]) -> list[str]:
    images = [column.name for column in free if column.kind == "image"]
    if len(images) == 1:
        return images
    named = [] if images else _named_texts(free)
    if len(named) == 1 or (len(named) == 2 and any({*named} == {*_first(pair, free)} for pair in PAIRS)):
        return named
    texts = sorted((c for c in free if c.kind == "text"), key=lambda column: -column.mean_length)
    # The longest is the text only where it is clearly so.
    clear = len(texts) == 1 or (len(texts) > 1 and texts[0].mean_length >= 3 * texts[1].mean_length)
    if clear and not images and not named:
        return [texts[0].name]
    candidates = images or named or [column.name for column in texts]
    what = f"{' and '.join(candidates)} could each be" if candidates else "no column looks like"
    raise DataError(f"{source}: {what} the input. Name it with --text. {_listed(columns)}")


def _find_label(free: Sequence[Column], source: str, columns: Sequence[Column]) -> str:
    free = [column for column in free if column.kind != "image"]
    plain = _first(PLAIN_LABEL, free)
    if plain:
        return plain[0]
    named = _first(LABELS, free)
    if len(named) == 1:
        return named[0]
    few = [c.name for c in free if c.kind != "none" and 2 <= c.distinct <= max(2, min(FEW, len(c.values) // 2))]
    if not named and len(few) == 1:
        return few[0]
    candidates = named or few
    what = f"{' and '.join(candidates)} could each be" if candidates else "no column looks like"
    raise DataError(f"{source}: {what} the label. Name it with --label. {_listed(columns)}")


def _listed(columns: Sequence[Column]) -> str:
    return "Columns: " + ", ".join(f"{column.name} ({column.kind})" for column in columns) + "."


def find_inputs(
    columns: Sequence[Column], source: str, modality: Modality, text: str | None, trained: Sequence[str]
) -> list[str]:
    """The input columns of a file without labels: those given, else those trained on, else those that look like it."""
    known = {column.name: column for column in columns}
    names = _given_text(text, known) or ([n for n in trained if n in known] if trained else [])
    for name in names:
        if name not in known:
            raise DataError(f"{source} has no column {name!r}.{suggestion(name, known)} Columns: {', '.join(known)}.")
    wanted = 2 if modality == "text_pair" else 1
    if not names:
        if modality == "image":
            names = [column.name for column in columns if column.kind == "image"][:1]
        else:
            names = _find_text([c for c in columns if not _is_id(c.name)], source, columns)
    if len(names[:wanted]) < wanted:
        raise DataError(f"{source} has no column that fits; name it with --text. Columns: {', '.join(known)}.")
    return names[:wanted]
