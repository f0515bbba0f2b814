"""Preparation (preprocessing): turns texts or images into batches, as in the backbone's pretraining."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from headstart.backbones.inputs import answer_marks
from headstart.backbones.inputs.answer_marks import ANSWERS
from headstart.backbones.inputs.chat import Rendered, Rendering, Trained
from headstart.backbones.inputs.chat_lengths import TooLong, fitted, usable
from headstart.backbones.inputs.chat_template import Refused
from headstart.backbones.inputs.image_preparation import ImagePreparation
from headstart.backbones.inputs.windows import WINDOWS, encoded, places, rows_of
from headstart.backbones.inputs.word_marks import WORD_STARTS, marked, padded
from headstart.core.chat import Chat
from headstart.core.errors import ArtifactError, ConfigurationError
from headstart.core.passage import Passage
from headstart.core.words import Words

__all__ = ["Batch", "Encoded", "ImagePreparation", "Preparation", "TextPreparation", "tokenizer_fingerprint"]

Batch = dict[str, Tensor]
"the arguments of a model: `input_ids`, `attention_mask`, … [B, T] or `pixel_values` [B, C, H, W]"
Encoded = dict[str, np.ndarray]
"""one text without padding: `input_ids` [T] int32; unless all are zero, `token_type_ids` [T] int8; for a text in words
`word_starts` [W] int32, for a conversation `answers` [T] bool; for a passage all of its windows (`windows`)"""


@runtime_checkable
class Preparation(Protocol):
    """Common interface of both preparations: batches from prepared examples, and their settings as plain data."""

    def collate(self, examples: Any) -> Batch: ...

    def to_json(self) -> dict[str, Any]: ...

    def like(self, value: dict[str, Any]) -> bool: ...


class TextPreparation:
    """Tokenizes texts or pairs of texts, and makes right-padded batches.

    tokenizer: a tokenizer of transformers (or one that can be called like it).
    max_length: maximum number of tokens per example, including special ones; longer texts are truncated.
    trained: answers of a conversation that are trained. too_long: what becomes of a longer conversation: an error, left
    out by `read_by`, or its prompt cut at the start.
    """

    def __init__(self, tokenizer: Any, max_length: int, trained: Trained = "all", too_long: TooLong = "raise") -> None:
        if max_length < 1:
            raise ConfigurationError(f"max_length is {max_length}; it must be at least 1 token.")
        self.tokenizer = tokenizer
        self.max_length, self.trained, self.too_long = max_length, trained, too_long
        # a tokenizer without a pad token (GPT-2, Llama) pads with its end token; masks come from lengths and never from
        # ids, so that a real end token stays visible
        pad = getattr(tokenizer, "pad_token_id", None)
        end = getattr(tokenizer, "eos_token_id", None)
        self.pad_id = int(pad if pad is not None else end if end is not None else 0)
        # no masks from the tokenizer, because thousands of unused lists slow down the garbage collector
        self._asked = {"return_attention_mask": False} if hasattr(tokenizer, "model_input_names") else {}
        begin = getattr(tokenizer, "bos_token_id", None)
        self._lone = int(end if end is not None else begin if begin is not None else self.pad_id)

    def encode(self, inputs: Sequence[str | tuple[str, str]]) -> list[Encoded]:
        """Token ids without padding, one dict per input; an input without tokens becomes one end token.

        For `Words` also the index of the first token of each; for `Chat`s the marks of the answers. A `Passage` is not
        cut but read in windows.
        """
        if len(inputs) and isinstance(inputs[0], Chat):
            chats: Sequence[Any] = inputs
            rendered = usable(self.rendered(chats), chats)
            return [{"input_ids": np.asarray(one.ids, dtype=np.int32), ANSWERS: one.answers} for one in rendered]
        if len(inputs) and isinstance(inputs[0], Passage):
            return encoded(self.tokenizer, inputs, self.max_length, self._separates_pairs())  # type: ignore[arg-type]
        if len(inputs) and isinstance(inputs[0], Words):
            cutting = {"truncation": True, "max_length": self.max_length, **self._asked}
            found = marked(self.tokenizer, inputs, self._lone, **cutting)  # type: ignore[arg-type]
            return [self._example(i, t) | {WORD_STARTS: starts} for i, t, starts in zip(*found)]
        tokens = self._tokens(inputs, truncation=True, max_length=self.max_length)
        types = tokens.get("token_type_ids") or [None] * len(inputs)
        return [self._example(ids, kinds) for ids, kinds in zip(tokens["input_ids"], types)]

    @cached_property
    def chat(self) -> Rendering:
        """The rendering of conversations. Once asked for, it is part of `to_json`."""
        return Rendering(self.tokenizer, trained=self.trained)

    def rendered(self, chats: Sequence[Chat]) -> list[Rendered | Refused]:
        """Conversations as they are trained, or the reasons why not."""
        return self.fit(self.chat.rendered(chats))

    def fit(self, rendered: Sequence[Rendered | Refused]) -> list[Rendered | Refused]:
        """Rendered conversations within `max_length`, as `too_long` says."""
        begin = self.tokenizer.bos_token_id
        return [fitted(one, self.max_length, self.too_long, begin) for one in rendered]

    def whole(self, inputs: Sequence[str | tuple[str, str]]) -> list[list[int]]:
        """Token ids of whole texts, with special tokens: like `encode` without truncation."""
        quiet = (
            {"verbose": False} if self._asked else {}
        )  # because transformers warns about long texts, which are expected here
        return list(self._tokens(inputs, truncation=False, **quiet)["input_ids"])

    @property
    def special(self) -> int:
        """Number of special tokens around one input."""
        count = getattr(self.tokenizer, "num_special_tokens_to_add", None)
        return 0 if count is None else int(count(pair=False))

    def _tokens(self, inputs: Sequence[str | tuple[str, str]], **cutting: Any) -> Any:
        if not len(inputs):
            return {"input_ids": []}
        firsts = [x if isinstance(x, str) else x[0] for x in inputs]
        seconds = [x[1] for x in inputs if not isinstance(x, str)]
        if seconds and len(seconds) != len(inputs):
            raise ConfigurationError("texts and pairs of texts can't be mixed in one call; give all as pairs.")
        if seconds and not self._separates_pairs():
            firsts, seconds = [f"{a}\n{b}" for a, b in zip(firsts, seconds)], []
        arguments = (firsts, seconds) if seconds else (firsts,)
        return self.tokenizer(*arguments, padding=False, **cutting, **self._asked)

    def _example(self, ids: list[int], types: list[int] | None) -> Encoded:
        example: Encoded = {"input_ids": np.asarray(ids or [self._lone], dtype=np.int32)}
        if types is not None and any(types):
            example["token_type_ids"] = np.asarray(types, dtype=np.int8)
        return example

    def _separates_pairs(self) -> bool:
        count = getattr(self.tokenizer, "num_special_tokens_to_add", None)
        return count is None or count(pair=True) > count(pair=False)

    def collate(self, examples: Sequence[Encoded]) -> Batch:
        """Pads on the right to the longest: `input_ids`, `attention_mask` [B, T], `token_type_ids` if one has any.

        The mask comes from lengths, never from ids.
        """
        marks: Batch = {}
        if examples and WINDOWS in examples[0]:
            marks, examples = places(examples), rows_of(examples, self.pad_id)
        lengths = [len(e["input_ids"]) for e in examples]
        shape = (len(examples), max(lengths))
        ids = np.full(shape, self.pad_id, dtype=np.int64)  # [B, T]
        mask = np.zeros(shape, dtype=np.int64)
        types = np.zeros(shape, dtype=np.int64)
        for row, (example, length) in enumerate(zip(examples, lengths)):
            ids[row, :length] = example["input_ids"]
            mask[row, :length] = 1
            if "token_type_ids" in example:
                types[row, :length] = example["token_type_ids"]
        batch = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        if any("token_type_ids" in e for e in examples):
            batch["token_type_ids"] = torch.from_numpy(types)
        if examples and WORD_STARTS in examples[0]:
            batch[WORD_STARTS] = padded([e[WORD_STARTS] for e in examples])
        if examples and ANSWERS in examples[0]:
            batch |= answer_marks.marked(examples, shape[1])
        return batch | marks

    def to_json(self) -> dict[str, Any]:
        chat = {"chat": {**self.chat.to_json(), "too_long": self.too_long}} if "chat" in self.__dict__ else {}
        return {
            "kind": "text",
            "max_length": self.max_length,
            "pad_id": self.pad_id,
            "tokenizer": tokenizer_fingerprint(self.tokenizer),
            **chat,
        }

    def like(self, value: dict[str, Any]) -> bool:
        """True if this prepares as a `to_json` record says, once it renders conversations by the record's template."""
        if chat := value.get("chat"):
            self.trained, self.too_long = chat["trained"], chat["too_long"]
            self.chat = Rendering(self.tokenizer, chat["template"], self.trained)
        return self.to_json() == value

    @classmethod
    def from_json(cls, value: dict[str, Any], tokenizer: Any) -> TextPreparation:
        """The preparation of a `to_json` record. Raises `ArtifactError` if the tokenizer differs."""
        made = cls(tokenizer, int(value["max_length"]))
        if not made.like(value):
            raise ArtifactError(
                "the tokenizer is not the one this artifact was made with (its fingerprint differs); "
                "give the base model's own tokenizer."
            )
        return made


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """Hash of the vocabulary and of the tokens of a few typical strings; independent of truncation settings."""
    digest = hashlib.blake2b(digest_size=8)
    vocabulary = tokenizer.get_vocab() if hasattr(tokenizer, "get_vocab") else {}
    for word, index in sorted(vocabulary.items()):
        digest.update(f"{word}\x1f{index}\x1e".encode(errors="surrogatepass"))
    for text in ("The quick, brown FOX!", "naïve Straße 42\n\tx = y_1", "日本語 🙂"):
        digest.update(repr(list(tokenizer(text)["input_ids"])).encode())
    return digest.hexdigest()
