"""Conversations as canonical texts."""

from __future__ import annotations

from headstart.core.chat import Chat


def test_equal_conversations_are_equal_texts() -> None:
    one = Chat.of([{"role": "user", "content": "hé"}, {"content": "a", "role": "assistant"}], tools=[])
    other = Chat.asked("hé", "a")
    assert one == other
    assert isinstance(one, Chat)
    assert "é" in one
    assert one != Chat.of(other.messages, accept=["b"])


def test_parts() -> None:
    chat = Chat.of(Chat.asked("2+2?", "4", system="Be brief.").messages, accept=["four"], tools=[{"name": "f"}])
    assert [message["role"] for message in chat.prompt] == ["system", "user"]
    assert (chat.answer, chat.accept, chat.tools, chat.text) == ("4", ("four",), [{"name": "f"}], None)
    assert chat.question.messages == chat.prompt
    assert chat.question.answer is None
    assert not chat.question.accept
    assert chat.answered("5").answer == "5"
    assert chat.answered("5").question == chat.question
    assert chat.question.answered("4").messages == chat.messages


def test_without_an_answer() -> None:
    chat = Chat.asked("2+2?")
    assert chat.answer is None
    assert chat.prompt == chat.messages == chat.question.messages
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    assert Chat.of([*chat.messages, call]).answer == ""


def test_running_text() -> None:
    chat = Chat.running("Once.")
    assert chat.text == "Once."
    assert chat.answer is None
    assert chat.prompt == chat.messages
