"""Conversations as token ids: one rendering for training, prediction and serving.

The tokenizer's own template is used, or a plain one for base models. Spans of answers are found by rendering what
stands before and through each answer, and comparing with the whole. A template that renders an early turn in another
way once more turns follow is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from headstart.backbones.inputs.chat_template import ChatTemplate, Refused, swallowed
from headstart.core.chat import ASSISTANT, Chat, Message
from headstart.core.errors import ModelError

Trained = Literal["all", "last"]
"answers of the assistant that are trained: those of all turns, or the last one"


@dataclass(frozen=True)
class Rendered:
    """ids: token ids. answers: [T] bool, the supervised ones.

    swallowed: roles of messages that the text lacks. spelled: special tokens that the messages spell out, so that a
    turn seems to end or begin within one.
    """

    ids: list[int]
    answers: np.ndarray
    swallowed: tuple[str, ...] = ()
    spelled: tuple[str, ...] = ()

    @property
    def first(self) -> int:
        """Place of the first supervised token; the number of tokens if none is."""
        return int(self.answers.argmax()) if self.answers.any() else len(self.ids)


class Rendering:
    """Renders conversations with one tokenizer and its template.

    template: as `ChatTemplate` takes it.
    """

    def __init__(self, tokenizer: Any, template: Any = None, trained: Trained = "all") -> None:
        self.tokenizer, self.trained, self.template = tokenizer, trained, ChatTemplate(tokenizer, template)

    def prompt_ids(self, chats: Sequence[Chat]) -> list[list[int]]:
        """Token ids of each question (`Chat.prompt`) with the beginning of an answer, those that precede the answer in
        training. Raises `ModelError` for one that the template refuses."""
        try:
            parts = [self._prompt_parts(chat) for chat in chats]
        except Refused as error:
            raise ModelError(f"a conversation can't be rendered: {error}.") from error
        known = self._known(parts)
        found = ((self._joined(one, known), known["".join(one)]) for one in parts)
        return [whole if joined is None else joined[0] for joined, whole in found]

    def rendered(self, chats: Sequence[Chat]) -> list[Rendered | Refused]:
        """Each conversation with the marks of its answers, or the reason why it has none."""
        parts = [self._parts_or_reason(chat) for chat in chats]
        known = self._known([one for one in parts if isinstance(one, list)])
        return [one if isinstance(one, Refused) else self._marked(one, known, chat) for one, chat in zip(parts, chats)]

    def _known(self, every: Sequence[Sequence[str]]) -> dict[str, list[int]]:
        """Ids of all whole texts and of all parts, tokenized in one call, which is faster."""
        texts = list(dict.fromkeys(text for parts in every for text in ("".join(parts), *parts)))
        return dict(zip(texts, self._ids(texts)))

    def _parts_or_reason(self, chat: Chat) -> list[str] | Refused:
        try:
            return self._parts(chat)
        except Refused as error:
            return error

    def _parts(self, chat: Chat) -> list[str]:
        """The text in parts: not trained, trained, not trained, …; trained ones hold an answer and what closes it."""
        messages = chat.messages
        if (running := chat.text) is not None:
            return [self.template.begin, running + (self.tokenizer.eos_token or "")]
        answers = [at for at, message in enumerate(messages) if message["role"] == ASSISTANT]
        if not answers or answers[-1] != len(messages) - 1:
            raise Refused("answer", "it does not end with an answer of the assistant")
        return self._cut(messages, chat.tools, answers if self.trained == "all" else answers[-1:], False)

    def _prompt_parts(self, chat: Chat) -> list[str]:
        if (running := chat.text) is not None:
            return [self.template.begin + running]
        messages, tools = chat.prompt, chat.tools
        answers = [at for at, message in enumerate(messages) if message["role"] == ASSISTANT]
        try:
            return self._cut(messages, tools, answers if self.trained == "all" else [], True)
        except Refused as error:
            if error.kind != "unstable":
                raise
            return [self.template.text(messages, tools, prompting=True)]

    def _cut(self, messages: Sequence[Message], tools: Any, answers: Sequence[int], prompting: bool) -> list[str]:
        """The rendered text, cut before and behind each of these answers."""
        whole = self.template.text(messages, tools, prompting)
        ends = [0]
        for at in answers:
            for upto, begun in ((at, True), (at + 1, False)):
                last = upto == len(messages) and not prompting
                begins = whole if last else self.template.text(messages[:upto], tools, begun)
                if not whole.startswith(begins) or len(begins) < ends[-1]:
                    raise Refused("unstable", _unstable(whole, begins, at, len(messages), self.trained))
                ends.append(len(begins))
        return [whole[a:b] for a, b in zip(ends, [*ends[1:], len(whole)])]

    def _joined(self, parts: Sequence[str], known: Mapping[str, list[int]]) -> tuple[list[int], list[int]] | None:
        """Ids of the text, and where each part ends; None if a token covers signs of two parts.

        The text is tokenized as a whole. A tokenizer may join signs of two parts, such as line breaks before an answer;
        then each part is tokenized alone, as in generation. Llama 2's marks the beginning of every text, so that a
        part alone has other tokens: there the tokens of the text's beginnings are compared.
        """
        ids, apart = known["".join(parts)], [known[part] for part in parts]
        joined = [one for each in apart for one in each]
        if joined != ids:
            beginnings = self._ids(["".join(parts[: at + 1]) for at in range(len(parts))])
            if all(ids[: len(each)] == each for each in beginnings):
                return ids, [len(each) for each in beginnings]
            if self.tokenizer.decode(joined) != self.tokenizer.decode(ids):
                return None
        return joined, np.cumsum([len(each) for each in apart]).tolist()

    def _marked(self, parts: Sequence[str], known: Mapping[str, list[int]], chat: Chat) -> Rendered | Refused:
        joined = self._joined(parts, known)
        if joined is None:
            return Refused("boundary", "the tokenizer joins the beginning of an answer with what stands before it")
        ids, ends = joined
        answers = np.zeros(len(ids), dtype=bool)
        for start, end in zip(ends[::2], ends[1::2]):
            stop = self._stop(ids, start, end)
            if stop is None:
                return Refused("stop", "an answer ends without a token that could stop the generation")
            answers[start : stop + 1] = True
        answers[:1] = False
        said = "\n".join(str(message.get("content") or "") for message in chat.messages)
        spelled = tuple(sign for sign in self._signs if sign in said)
        return Rendered(ids, answers, swallowed(chat.messages, "".join(parts)), spelled)

    def _stop(self, ids: Sequence[int], start: int, end: int) -> int | None:
        """Place of the special token that closes an answer; only blanks may follow it."""
        for at in range(end - 1, start - 1, -1):
            if ids[at] in self._special:
                return at
            if str(self.tokenizer.decode([ids[at]])).strip():
                return None
        return None

    @cached_property
    def _special(self) -> frozenset[int]:
        added = getattr(self.tokenizer, "added_tokens_decoder", {})
        return frozenset([*self.tokenizer.all_special_ids, *(at for at, token in added.items() if token.special)])

    @cached_property
    def _signs(self) -> list[str]:
        return [str(sign) for sign in self.tokenizer.convert_ids_to_tokens(sorted(self._special)) if len(str(sign)) > 1]

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids that end an answer: that with which the template closes one, and the tokenizer's end token."""
        found = self.rendered([Chat.asked("a", "b")])[0]
        if isinstance(found, Refused):
            raise ModelError(f"conversations can't be rendered: {found}.")
        last = found.ids[int(np.flatnonzero(found.answers)[-1])]
        end = self.tokenizer.eos_token_id
        return tuple(dict.fromkeys(one for one in (last, end) if one is not None))

    def answer_text(self, ids: Sequence[int]) -> str:
        """Text of generated ids, up to the first stop token."""
        upto = next((at for at, one in enumerate(ids) if one in self.stop_ids), len(ids))
        return str(self.tokenizer.decode(list(ids[:upto]), skip_special_tokens=True)).strip()

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Each token as text; one that is a part of a sign as the vocabulary writes it."""
        texts = [str(self.tokenizer.decode([one])) for one in ids]
        names = self.tokenizer.convert_ids_to_tokens(list(ids))
        return [str(name) if "\ufffd" in text or not text else text for text, name in zip(texts, names)]

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Without special tokens of the tokenizer's, because the template writes them: at most one begin token."""
        if not texts:
            return []
        return list(self.tokenizer(list(texts), add_special_tokens=False, padding=False, verbose=False)["input_ids"])

    def to_json(self) -> dict[str, Any]:
        return {"template": self.template.source, "trained": self.trained, "stop": list(self.stop_ids)}


def _unstable(whole: str, begins: str, at: int, count: int, trained: Trained) -> str:
    same = next((n for n, (a, b) in enumerate(zip(whole, begins)) if a != b), min(len(whole), len(begins)))
    here, there = (text[max(0, same - 10) : same + 30] for text in (begins, whole))
    advice = "; --train-on last trains the last answer alone" if trained == "all" and at < count - 1 else ""
    return (
        f"the chat template renders message {at + 1} of {count} in another way when more follows ({here!r} becomes "
        f"{there!r}), so that its tokens in training are not those of an answer{advice}"
    )
