"""Conversations from the cells of a row: OpenAI's messages, ShareGPT's, Alpaca's, questions with answers, texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from headstart.core.chat import ASSISTANT, SYSTEM, TOOL, USER, Chat, Message
from headstart.core.errors import DataError
from headstart.data.audit.findings import Findings
from headstart.data.ingest.cells import LONGEST, text_of
from headstart.data.tables.chat_columns import ChatColumns, as_json, find_chat
from headstart.data.tables.json_shapes import is_messages
from headstart.data.tables.table import Column, Problem

ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), USER),
    **dict.fromkeys(("assistant", "gpt", "model", "bot", "chatgpt", "ai", "function_call"), ASSISTANT),
    **dict.fromkeys(("system", "developer"), SYSTEM),
    **dict.fromkeys(("tool", "function", "observation", "ipython", "tool_response"), TOOL),
}
"roles by the names that data sets give them"
KEPT = ("tool_calls", "tool_call_id", "name", "reasoning_content")
"keys of a message beside role and content that templates read"

NO_MESSAGES = Problem("malformed", "without a list of messages, each with a role and a content")
NO_TEXT = Problem("malformed", "with a message that holds something else than text")
NO_ANSWER = Problem("missing_answer", "that end without an answer of the assistant")
EMPTY_ANSWER = Problem("empty", "with an empty answer")
EMPTY_QUESTION = Problem("empty", "with an empty question")
TOO_LONG = Problem("long", f"longer than {LONGEST:,} characters", "a quote may be left open there")


def chat_of(cells: Mapping[str, Any], columns: ChatColumns, answered: bool = True) -> Chat | Problem:
    """The conversation of a row, or why it can't be used. answered: False for questions to be answered."""
    if columns.running is not None:
        text = text_of(cells[columns.running])
        return NO_TEXT if text is None else _fitting(Chat.running(text)) if text.strip() else EMPTY_QUESTION
    further: list[str] = []
    if columns.messages is not None:
        found = _messages(as_json(cells[columns.messages]))
    else:
        found, further = _asked(cells, columns)
    if isinstance(found, Problem):
        return found
    system = text_of(cells[columns.system]) if columns.system else None
    if system and system.strip() and found[0]["role"] != SYSTEM:
        found = [{"role": SYSTEM, "content": system}, *found]
    if problem := _problem(found, answered):
        return problem
    tools = as_json(cells[columns.tools]) if columns.tools else None
    accept = [*further, *_listed(as_json(cells[columns.accept]) if columns.accept else None)]
    passage = text_of(cells[columns.passage]) if columns.passage else None
    return _fitting(Chat.of(found, accept, tools if isinstance(tools, (list, tuple)) else None, passage))


def chat_input(value: Any) -> Chat | Problem:
    """A question as a user of `predict` writes it: a text, a list of messages, or an object with `messages`."""
    value = as_json(value)
    if isinstance(value, Chat):
        return value
    given: Mapping[str, Any] = value if isinstance(value, Mapping) else {"messages": value}
    if is_messages(given.get("messages")):
        columns = ChatColumns("messages", tools="tools", passage="passage")
        return chat_of({"tools": None, "passage": None, **given}, columns, answered=False)
    return chat_of({"prompt": value}, ChatColumns(prompt=("prompt",)), answered=False)


def question_columns(
    sample: Sequence[Column], source: str, text: str | None, trained: Mapping[str, str]
) -> ChatColumns:
    """The columns of questions to be answered: those given, else those of the training, else detected ones.

    trained: columns of the training by role. Answers in the file are not read. Raises `DataError` if there is none.
    """
    held = {column.name for column in sample}
    given = {
        role: name for role, name in trained.items() if role in ("messages", "prompt") and {*name.split(",")} <= held
    }
    if text is not None:
        values = [as_json(value) for column in sample if column.name == text for value in column.values[:20] if value]
        given = {"messages" if values and all(map(is_messages, values)) else "prompt": text}
    found = find_chat(sample, source, given, unanswered=True)
    if found is None:
        raise DataError(
            f"{source}: no column looks like questions; name it with --text. Columns: {', '.join(sorted(held))}."
        )
    return replace(found, answer=None, accept=None)


def note_chat(chat: Chat, place: str, findings: Findings) -> None:
    """Findings on a conversation that is kept."""
    if "\\u0000" in chat and any("\0" in str(message.get("content")) for message in chat.messages):
        findings.add("nul", "warning", "{rows} with NUL bytes in their text, kept: is the file damaged?", [place])


def _messages(value: Any) -> list[Message] | Problem:
    if not is_messages(value):
        return NO_MESSAGES
    found: list[Message] = []
    for one in value:
        name = str(one.get("role", one.get("from"))).strip().lower()
        if name not in ROLES:
            return Problem("role", "with an unknown role", f"allowed are {', '.join(ROLES)}", f"the role {name[:40]!r}")
        content = _content(one.get("content", one.get("value")))
        if content is None:
            return NO_TEXT
        message: Message = {"role": ROLES[name], "content": content}
        message |= {key: one[key] for key in KEPT if one.get(key)}
        call = as_json(content) if name == "function_call" else None
        if isinstance(call, Mapping):
            message |= {"content": "", "tool_calls": [{"type": "function", "function": dict(call)}]}
        found.append(message)
    return found


def _content(value: Any) -> str | None:
    """A text, or the parts of one as OpenAI's API has them; None for images and other objects."""
    if not isinstance(value, (list, tuple)):
        return text_of(value)
    parts = [text_of(part.get("text")) if isinstance(part, Mapping) and "text" in part else None for part in value]
    return None if None in parts else "".join(part or "" for part in parts)


def _asked(cells: Mapping[str, Any], columns: ChatColumns) -> tuple[list[Message] | Problem, list[str]]:
    """One question, and one answer where the row has it; with further answers, if the cell lists several."""
    given = cells[columns.answer] if columns.answer else None
    parts = [text_of(cells[name]) for name in columns.prompt]
    if isinstance(given, (list, tuple)) and given and isinstance(given[0], Mapping):  # Alpaca's seed tasks: instances
        parts.append(text_of(given[0].get("input")))
        given = given[0].get("output")
    if None in parts:
        return NO_TEXT, []
    question = "\n\n".join(part.strip() for part in parts if part and part.strip())
    if not (parts[0] or "").strip():
        return EMPTY_QUESTION, []
    found: list[Message] = [{"role": USER, "content": question}]
    if columns.answer is None:
        return found, []
    answers = list(_listed(given))
    return [*found, {"role": ASSISTANT, "content": answers[0] if answers else ""}], answers[1:]


def _listed(cell: Any) -> Iterator[str]:
    """The texts of a cell, which holds one or a list of them."""
    for one in cell if isinstance(cell, (list, tuple)) else [cell]:
        if (text := text_of(one)) and text.strip():
            yield text.strip()


def _problem(messages: Sequence[Message], answered: bool) -> Problem | None:
    if answered and messages[-1]["role"] != ASSISTANT:
        return NO_ANSWER
    for message in messages[: None if answered else -1]:
        if message["role"] == ASSISTANT and not message["content"].strip() and not message.get("tool_calls"):
            return EMPTY_ANSWER
    if any(message["role"] == USER and not message["content"].strip() for message in messages):
        return EMPTY_QUESTION
    return None


def _fitting(chat: Chat) -> Chat | Problem:
    return TOO_LONG if len(chat) > LONGEST else chat
