"""Chat: a conversation as one text, in canonical JSON, so that equal conversations are equal texts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

ASSISTANT, USER, SYSTEM, TOOL = "assistant", "user", "system", "tool"
RUNNING = "text"
"role of running text, which no template surrounds"

Message = dict[str, Any]
'`{"role": …, "content": …}`; of an assistant also `tool_calls`, of a tool `name` or `tool_call_id`'


class Chat(str):
    """A conversation as canonical JSON; the type tells it from running text. Made by `of`, `asked` or `running`.

    The text is read at every access of a property, so a caller that needs one twice keeps it.
    """

    __slots__ = ()

    @classmethod
    def of(
        cls,
        messages: Iterable[Mapping[str, Any]],
        accept: Iterable[str] = (),
        tools: Sequence[Mapping[str, Any]] | None = None,
        passage: str | None = None,
    ) -> Chat:
        """messages: roles and contents in order. accept: further right answers. tools: functions as JSON schemas.
        passage: the text that holds the answer, which no model sees unless a method asks for it."""
        found: dict[str, Any] = {"messages": [dict(message) for message in messages]}
        if further := list(accept):
            found["accept"] = further
        if tools:
            found["tools"] = [dict(tool) for tool in tools]
        if passage:
            found["passage"] = passage
        return cls(json.dumps(found, ensure_ascii=False, sort_keys=True, separators=(",", ":")))

    @classmethod
    def asked(cls, question: str, answer: str | None = None, system: str | None = None) -> Chat:
        """One question, with or without its answer."""
        given = ((SYSTEM, system), (USER, question), (ASSISTANT, answer))
        return cls.of({"role": role, "content": text} for role, text in given if text is not None)

    @classmethod
    def running(cls, text: str) -> Chat:
        """Running text to learn whole, without questions and answers."""
        return cls.of([{"role": RUNNING, "content": text}])

    @property
    def messages(self) -> list[Message]:
        found: list[Message] = json.loads(self)["messages"]
        return found

    @property
    def prompt(self) -> list[Message]:
        """What stands before the last answer of the assistant; all messages if the assistant has not answered last."""
        messages = self.messages
        return messages[:-1] if messages and messages[-1]["role"] == ASSISTANT else messages

    @property
    def answer(self) -> str | None:
        """Text of the last answer; None if another role has the last word."""
        last = next(iter(self.messages[-1:]), None)
        return None if last is None or last["role"] != ASSISTANT else str(last.get("content") or "")

    @property
    def text(self) -> str | None:
        """The running text; None for a conversation."""
        messages = self.messages
        return messages[0]["content"] if len(messages) == 1 and messages[0]["role"] == RUNNING else None

    @property
    def accept(self) -> tuple[str, ...]:
        """Further right answers."""
        return tuple(json.loads(self).get("accept", ()))

    @property
    def passage(self) -> str | None:
        """The text that holds the answer, where the data name it."""
        found: str | None = json.loads(self).get("passage")
        return found

    @property
    def tools(self) -> list[dict[str, Any]] | None:
        found: list[dict[str, Any]] | None = json.loads(self).get("tools")
        return found

    @property
    def question(self) -> Chat:
        """The same conversation without its last answer and without accepted ones: what the model is given."""
        return Chat.of(self.prompt, tools=self.tools)

    def answered(self, text: str) -> Chat:
        """This question with another answer."""
        return Chat.of([*self.prompt, {"role": ASSISTANT, "content": text}], self.accept, self.tools, self.passage)
