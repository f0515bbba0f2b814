"""Which columns hold conversations: messages, a question and its answer, or running text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.core.errors import DataError, suggestion
from headstart.data.tables.column_names import LABELS, PLAIN_LABEL, PLAIN_TEXT, meant, shown
from headstart.data.tables.json_shapes import is_messages
from headstart.data.tables.label_columns import FEW, first
from headstart.data.tables.table import Column

MESSAGES = ("messages", "conversations", "conversation", "chat", "dialogue", "dialog")
PROMPTS = ("instruction", "prompt", "question", "query")
BESIDE = {"instruction": ("input", "context")}
"columns that belong to a question: Alpaca's input, Dolly's context"
ANSWERS = {
    "instruction": ("output", "response", "completion", "answer", "instances"),
    "prompt": ("completion", "response", "answer", "output"),
    "question": ("answer", "answers", "response"),
    "query": ("answer", "answers", "response"),
}
UNCLEAR = ("question", "query")
"prompts whose answers may as well be classes, such as yes and no"
SYSTEMS, ACCEPTED, TOOLS = ("system", "system_prompt"), ("accept", "accepted", "aliases"), ("tools",)
PASSAGES = ("passage",)


@dataclass(frozen=True)
class ChatColumns:
    """Columns by role: those of messages, or of prompt (joined by an empty line) and answer, or of running text.

    passage: text that holds the answer.
    """

    messages: str | None = None
    prompt: tuple[str, ...] = ()
    answer: str | None = None
    system: str | None = None
    accept: str | None = None
    tools: str | None = None
    running: str | None = None
    passage: str | None = None

    def record(self) -> dict[str, str]:
        """Names by role, several joined by commas."""
        found = {**self.__dict__, "prompt": ",".join(self.prompt) or None}
        return {role: name for role, name in found.items() if name is not None}

    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.prompt, *(n for r, n in self.record().items() if r != "prompt")]))


def find_chat(
    columns: Sequence[Column],
    source: str,
    given: Mapping[str, str | None],
    text: str | None = None,
    asked: bool = False,
    unanswered: bool = False,
) -> ChatColumns | None:
    """The columns of conversations; None for a table of another kind.

    given: `prompt`, `answer` and `messages` as the user names them. text: column of running text. asked: True if the
    user wants a generation task. unanswered: True for questions alone.
    Raises `DataError` for a column that does not exist, and if one is asked for and none is found.
    """
    known = {column.name: column for column in columns}
    named = {role: _known(value, role, known, source) for role, value in given.items() if value is not None}
    system, accept, tools, passage = (_first(names, columns) for names in (SYSTEMS, ACCEPTED, TOOLS, PASSAGES))
    if messages := named.get("messages"):
        if {"prompt", "answer"} & {*named}:
            raise DataError("--messages names whole conversations; leave --prompt and --answer out.")
        return ChatColumns(messages[0], system=system, tools=tools, accept=accept, passage=passage)
    if "answer" in named and len(named["answer"]) > 1:
        raise DataError(f"--answer takes one column, not {', '.join(named['answer'])}.")
    found = None if text and not named else _by_name(columns, named, asked, unanswered)
    if found is None and asked and not named and (running := text or _first(PLAIN_TEXT, columns)):
        return ChatColumns(running=_known(running, "text", known, source)[0])
    if found is None and (asked or named):
        raise DataError(
            f"{source}: no columns look like questions and answers. Name them with --prompt and --answer, or one of "
            f"messages with --messages. Columns: {shown(known)}."
        )
    if found is None or (found.messages is None and not (found.answer or unanswered)):
        return None
    passage = None if passage in found.prompt else passage
    return ChatColumns(found.messages, found.prompt, found.answer, system, accept, tools, passage=passage)


def _by_name(
    columns: Sequence[Column], named: Mapping[str, tuple[str, ...]], asked: bool, unanswered: bool
) -> ChatColumns | None:
    free = [column for column in columns if column.kind != "none"]
    held = [] if named else [column.name for column in free if _holds_messages(column)]
    if usual := [name for name in held if name.lower() in MESSAGES] or (held if len(held) == 1 else []):
        return ChatColumns(usual[0])
    sure = asked or bool(named) or unanswered
    if not sure and first(PLAIN_LABEL, free):
        return None
    prompts = named.get("prompt") or tuple(name for name in PROMPTS for name in first((name,), free))
    for name in prompts[:1] if "prompt" in named else prompts:
        beside = named["prompt"][1:] if "prompt" in named else tuple(first(BESIDE.get(name.lower(), ()), free))
        every = ANSWERS.get(name.lower(), ("answer", "output", "completion", "response"))
        answers = named.get("answer") or first(every, [c for c in free if c.name not in (name, *beside)])
        if unanswered and not answers:
            return ChatColumns(None, (name, *beside))
        if answers and (sure or not _are_classes(name, answers[0], free)):
            return ChatColumns(None, (name, *beside), answers[0])
    return None


def _holds_messages(column: Column) -> bool:
    """True if the values are lists of `{"role", "content"}` or `{"from", "value"}`, also as JSON."""
    values = [value for value in column.values if value][:20]
    return sum(is_messages(as_json(value)) for value in values) > len(values) / 2


def as_json(value: Any) -> Any:
    """A list or an object written as text; any other value unchanged."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _are_classes(prompt: str, answer: str, columns: Sequence[Column]) -> bool:
    """True for few repeated answers to questions, or beside a column that is called like a label.

    Never beside lists of further right answers: a class has none.
    """
    if prompt.lower() not in UNCLEAR or any(one.kind == "list" for one in columns if one.name.lower() in ACCEPTED):
        return False
    column = next(one for one in columns if one.name == answer)
    few = 2 <= column.distinct <= max(2, min(FEW, len(column.values) // 2))
    return few or bool(first(LABELS, columns))


def _first(names: Sequence[str], columns: Sequence[Column]) -> str | None:
    return next(iter(first(names, columns)), None)


def _known(value: str, role: str, known: Mapping[str, Column], source: str) -> tuple[str, ...]:
    """The columns that an option names, one or several with commas. Raises `DataError` for one that is not there."""
    names = [value] if meant(value, known) in known else [name.strip() for name in value.split(",") if name.strip()]
    found = tuple(meant(name, known) for name in names)
    for name in found:
        if name not in known:
            raise DataError(f"{source} has no column {name!r} (--{role}).{suggestion(name, known)} "
                            f"Columns: {shown(known)}.")  # fmt: skip
    return found
