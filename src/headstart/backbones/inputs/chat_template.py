"""Chat templates: messages as the text that the model reads, by the tokenizer's own template or a plain one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from headstart.core.chat import Message
from headstart.core.errors import ModelError

PLAIN = """\
{%- for message in messages %}
{%- if message.role == 'system' %}{{ message.content + '\\n\\n' }}
{%- elif message.role == 'assistant' %}{{ 'Assistant: ' + message.content.strip() + eos_token + '\\n' }}
{%- else %}{{ message.role[0].upper() + message.role[1:] + ': ' + message.content + '\\n' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"""
"template of base models without one: `User: …`, a line break, `Assistant: …` and the end token"
DATE = "26 Jul 2024"
"date for templates that write one (Llama 3's default), because today's would change the prompt from day to day"


class Refused(Exception):
    """One conversation that can't be rendered. kind: of the finding."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class ChatTemplate:
    """The template of one tokenizer.

    source: Jinja source, or several by name [default: the tokenizer's own, else `PLAIN`]. begin: what running text
    begins with, the begin token where the tokenizer puts one before every text.
    Raises `ModelError` for a tokenizer that can't render, and for a base without template and end token.
    """

    def __init__(self, tokenizer: Any, source: Any = None) -> None:
        if not hasattr(tokenizer, "apply_chat_template"):
            raise ModelError("this model's tokenizer can't render conversations; choose a causal language model.")
        own = getattr(tokenizer, "chat_template", None)
        if not source and not own and tokenizer.eos_token is None:
            raise ModelError(
                "the model has neither a chat template nor an end token, so that no answer could end. Set eos_token in "
                "its tokenizer_config.json, or choose another model."
            )
        begin = tokenizer.bos_token_id
        starts = begin is not None and list(tokenizer("a")["input_ids"])[:1] == [begin]
        self.begin = str(tokenizer.bos_token) if starts else ""
        self.tokenizer = tokenizer
        self.source = source or own or ("{{ bos_token }}" if starts else "") + PLAIN

    def text(self, messages: Sequence[Message], tools: Any = None, prompting: bool = False) -> str:
        """The conversation as the model reads it; prompting: with the beginning of an answer. Raises `Refused`."""
        source = self.source
        if isinstance(source, dict):
            source = source.get("tool_use" if tools else "default") or next(iter(source.values()))
        dated = {"date_string": DATE} if "strftime_now" in source else {}
        try:
            found = self.tokenizer.apply_chat_template(
                list(map(_shaped, messages)), tools=tools, chat_template=source, tokenize=False,
                add_generation_prompt=prompting, **dated,
            )  # fmt: skip
        except Exception as error:  # of the template's own code: jinja2's, and whatever its expressions raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise Refused("template", f"the model's chat template refuses it: {reason}") from error
        return str(found)


def _shaped(message: Mapping[str, Any]) -> Message:
    """The message as templates expect it: arguments of a call as an object, where OpenAI writes them as text."""
    if not message.get("tool_calls"):
        return dict(message)
    calls = []
    for call in message["tool_calls"]:
        function = dict(call.get("function", call))
        if isinstance(function.get("arguments"), str):
            with contextlib.suppress(ValueError):  # other texts stay as they are
                function["arguments"] = json.loads(function["arguments"])
        calls.append({**call, "function": function} if "function" in call else function)
    return {**message, "tool_calls": calls}


def swallowed(messages: Sequence[Message], text: str) -> tuple[str, ...]:
    """Roles of the messages whose content the rendered text does not have."""
    lost = []
    for message in messages:
        content = str(message.get("content") or "").strip()
        if content not in text and json.dumps(content, ensure_ascii=False)[1:-1] not in text:
            lost.append(str(message["role"]))
    return tuple(lost)
