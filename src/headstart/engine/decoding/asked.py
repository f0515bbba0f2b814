"""A backbone behind a view: it reads an input inside its prompt, and its features are log likelihoods of the classes.

Everything that reads features works on it unchanged: feeds, heads, temperatures, predictors.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone, Batch
from headstart.backbones.inputs.chat_template import ChatTemplate, Refused
from headstart.backbones.inputs.positions import positions
from headstart.backbones.inputs.preparation import Encoded, TextPreparation
from headstart.core.errors import MethodError, ModelError
from headstart.data.documents.passages import Passage
from headstart.data.documents.search import BM25
from headstart.engine.decoding.likelihoods import begun, likelihoods
from headstart.engine.decoding.network import opened
from headstart.engine.feed.feed import Feed
from headstart.engine.machine.precision import Compute
from headstart.methods.view import Demonstration, View, joined


class Prompts(TextPreparation):
    """Texts as prompts of a complete view.

    An encoded example holds the tokens behind `shared`, those that all prompts begin with. A prompt that is longer than
    `readable` tokens loses its first demonstrations, never a part of its question; then the example holds all of it,
    and is known by that: with the shared tokens it would be too long.
    """

    def __init__(self, plain: TextPreparation, view: View, readable: int | None) -> None:
        super().__init__(plain.tokenizer, plain.max_length)
        self.view, self.readable = view, readable
        self._template = ChatTemplate(self.tokenizer) if view.chat else None
        begin: Any = getattr(self.tokenizer, "bos_token_id", None)
        starts = begin is not None and list(self.tokenizer("a")["input_ids"])[:1] == [begin]
        self._begin = [begin] if starts and not view.chat else []  # a template writes its own
        words = [view.answer(label) for label in range(len(view.words))]
        self.choices = [self._ids(one.strip() if view.chat else one) for one in words]
        self._answer = max(map(len, self.choices)) - 1
        pool = [Passage("", (), one.text) for one in view.demonstrations]
        self._similar = BM25(pool) if view.choice == "nearest" else None
        self._begins = self._cut("-", () if self._similar else view.demonstrations)[0]
        self.shared: list[int] = self._begin + self._ids(self._begins)
        self.asked = self.shortened = 0

    def encode(self, inputs: Sequence[str | tuple[str, str]]) -> list[Encoded]:
        return [{"input_ids": np.asarray(self._row(joined(one)), dtype=np.int32)} for one in inputs]

    def prompts(self, batch: Batch) -> list[list[int]]:
        """Whole prompts of a batch of encoded examples."""
        lengths = batch["attention_mask"].sum(1).tolist()
        rows = [row[:length] for row, length in zip(batch["input_ids"].tolist(), lengths)]
        return [self.shared + row if self._fits(len(self.shared) + len(row)) else row for row in rows]

    @property
    def notes(self) -> tuple[str, ...]:
        """The number of prompts without all demonstrations, if there are any."""
        if not self.shortened:
            return ()
        return (
            f"{self.shortened:,} of {self.asked:,} prompts were longer than the {self.readable:,} tokens that the "
            "model reads, and lost their first demonstrations",
        )

    def prompt_lengths(self, lengths: np.ndarray) -> np.ndarray:
        """[n] tokens of whole prompts, from the lengths of encoded examples."""
        return np.array([own + len(self.shared) if self._fits(own + len(self.shared)) else own for own in lengths])

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "view": self.view.to_json()}

    def _row(self, text: str) -> list[int]:
        shown = self._shown_to(text)
        for left in range(len(shown) + 1):
            before, question = self._cut(text, shown[left:])
            shared = before.startswith(self._begins)
            ids = self.shared + self._ids(before[len(self._begins) :]) if shared else self._begin + self._ids(before)
            asked = self._ids(question)
            if self._fits(len(ids) + len(asked)):
                break
        else:
            raise MethodError(
                f"a question of {len(asked)} tokens with its instruction and answer is more than the {self.readable} "
                f"tokens that the model reads: {text[:60]!r} …; shorten or leave out such texts."
            )
        self.asked, self.shortened = self.asked + 1, self.shortened + bool(left)
        return [*ids, *asked][len(self.shared) if shared else 0 :]

    def _shown_to(self, text: str) -> Sequence[Demonstration]:
        """The nearest demonstrations, the most similar one last, or all."""
        if self._similar is None:
            return self.view.demonstrations
        nearest = self._similar.nearest([text], self.view.shown)[0]
        return [self.view.demonstrations[i] for i in nearest[::-1]]

    def _cut(self, text: str, shown: Sequence[Demonstration]) -> tuple[str, str]:
        """The prompt in two parts: what stands before the question, and the question with the blanks before it.

        They are tokenized apart. Blanks go with what follows them, as they do within a text.
        """
        question = self.view.question(text).strip()
        whole = self._rendered(text, shown)
        at = whole.rfind(question)
        if at < 0:
            raise MethodError("the model's chat template changes the text of a question; ask without it: form=plain.")
        at = len(whole[:at].rstrip())
        return whole[:at], whole[at:]

    def _rendered(self, text: str, shown: Sequence[Demonstration]) -> str:
        if self._template is None:
            return self.view.shared(shown) + self.view.question(text)
        try:
            return self._template.text(self.view.messages(text, shown), prompting=True)
        except Refused as error:
            raise MethodError(f"{error}; ask without it: form=plain.") from error

    def _fits(self, tokens: int) -> bool:
        return self.readable is None or tokens + self._answer <= self.readable

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []


def tokens_of(feed: Feed) -> tuple[float | None, float | None]:
    """Mean tokens that the model reads and answers per text of a feed; None for images."""
    if feed.modality != "text" or not len(feed):
        return None, None
    if isinstance(prompts := feed.preparation, Prompts):
        answers = [len(choice) for choice in prompts.choices]
        return float(prompts.prompt_lengths(feed.lengths).mean()), float(np.mean(answers))
    return float(feed.lengths.mean()), 0.0


def seen(backbone: Backbone, view: View, compute: Compute) -> Backbone:
    """The backbone behind a complete view: `features(batch)` are [B, C] log p(words of class c | prompt).

    Raises `MethodError` if its source has no causal head over the vocabulary, or if it can't be read in parts.
    """
    assert isinstance(backbone.preparation, TextPreparation)
    assert backbone.vocabulary is not None, "a method with a view asks for a vocabulary"
    prompts = Prompts(backbone.preparation, view, positions(backbone.module).readable)
    try:
        head = backbone.vocabulary().to(compute.device)
        network = opened(backbone.module, head, prompts.tokenizer, compute)
    except ModelError as error:
        raise MethodError(str(error)) from error

    first = functools.cache(lambda: begun(network, prompts.shared))

    def run(module: nn.Module, batch: Batch) -> Tensor:
        """The shared tokens are read once for all batches. A prompt without all demonstrations stands apart."""
        given = prompts.prompts(batch)
        cut = [prompt[: len(prompts.shared)] != prompts.shared for prompt in given]
        found = torch.empty(len(given), len(prompts.choices))
        for apart in (False, True):
            if places := [place for place, one in enumerate(cut) if one == apart]:
                after = first() if prompts.shared and not apart else None
                asked, choices = [given[place] for place in places], [prompts.choices] * len(places)
                some = likelihoods(network, asked, choices, after=after)
                found[places] = torch.tensor([[one.log_p for one in row] for row in some])
        return found.to(batch["input_ids"].device)

    made = copy.copy(backbone)  # with the fingerprint, which takes long
    vars(made).pop("level_widths", None)
    made.preparation, made.run, made.dimension = prompts, run, len(view.words)
    return made
