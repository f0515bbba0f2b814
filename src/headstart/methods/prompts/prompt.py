"""Prompt tuning: learned virtual tokens before the text."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.inputs.positions import positions
from headstart.backbones.kept import tokens_before
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, GradientMethod, head_group
from headstart.methods.plan import Beside, Edit, Group, Plan

FREQUENT = 5000
"number of most frequent words from which the paper draws the start of the virtual tokens"
BRACKETED = re.compile(r"\[.+\]|<.+>")


@METHODS.register("prompt")
@dataclass(frozen=True)
class Prompt(GradientMethod):
    """The model reads `[P; E(x)]` with p learned rows P before the embeddings; the head reads only the places of x.

    All tokens attend to the virtual ones, which take the first p positions and are left out of the pooling.
    Source: Lester et al. 2021, "The Power of Scale for Parameter-Efficient Prompt Tuning", section 2.
    """

    summary: ClassVar[str] = "learned virtual tokens before the text"
    base_rate: ClassVar[float] = 3e-2

    tokens: int = 16
    "number p of virtual tokens"
    start: Literal["vocabulary", "text", "classes", "random"] = "vocabulary"
    "start of the virtual tokens: vocabulary (random frequent words), text, classes (their names) or random (noise)"
    text: str = ""
    "text that the virtual tokens start as, such as an instruction; for start=text"

    def for_classes(self, labels: Sequence[str]) -> Prompt:
        return replace(self, text=" ".join(labels)) if self.start == "classes" else self

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        if self.tokens < 1:
            raise MethodError(f"prompt: tokens is {self.tokens}, but has to be at least 1.")
        if self.start == "text" and not self.text.strip():
            raise MethodError("prompt: start=text needs the text: --set prompt.text='…'.")
        if self.start == "classes" and not self.text.strip():
            raise MethodError("prompt: start=classes needs classes with names, and there are none here.")
        module: Any = backbone.module
        takes = inspect.signature(module.forward).parameters
        if backbone.modality != "text" or "inputs_embeds" not in takes or not hasattr(module, "get_input_embeddings"):
            raise MethodError(
                "prompt: this backbone does not take embeddings in place of its input, as the text models of "
                "transformers do; train vpt on images, lora on the others."
            )
        ids = self._ids(backbone) if self.start in ("text", "classes") else None
        frequent = frequent_words(backbone) if self.start == "vocabulary" else ()
        edits = (Edit("backbone", partial(VirtualTokens, self.tokens, self.start, ids, frequent), "prompt"),)
        group = Group("prompt", ("backbone.prompt.embeddings",), rung=0)
        return self.plan(backbone, (group, head_group(backbone, head)), edits=edits)

    def _ids(self, backbone: Backbone) -> list[int]:
        """The tokens of the text, repeated or cut to the number of virtual tokens."""
        preparation: Any = backbone.preparation
        ids = list(preparation.tokenizer(self.text, add_special_tokens=False)["input_ids"])
        if not ids:
            raise MethodError(f"prompt: {self.text!r} has no token in this model's vocabulary.")
        return (ids * -(-self.tokens // len(ids)))[: self.tokens]


def frequent_words(backbone: Backbone) -> tuple[int, ...]:
    """Rows of the first 5,000 words of the vocabulary, which is roughly ordered by frequency.

    Special tokens and bracketed ones (`[unused12]`, `<extra_id_3>`, `<0x0A>`) are left out, because no text has them.
    """
    preparation: Any = backbone.preparation
    tokenizer = preparation.tokenizer
    if not hasattr(tokenizer, "get_vocab"):
        return tuple(range(min(FREQUENT, len(tokenizer))))
    special = set(getattr(tokenizer, "all_special_ids", ()))
    words = sorted((row, word) for word, row in tokenizer.get_vocab().items())
    found = [row for row, word in words if row not in special and not BRACKETED.fullmatch(word)]
    return tuple(found[:FREQUENT])


class VirtualTokens(Beside):
    """Puts embeddings [p, D] before those of the text, and removes their places from the model's output."""

    def __init__(
        self, tokens: int, start: str, ids: list[int] | None, frequent: Sequence[int], module: nn.Module
    ) -> None:
        super().__init__()
        table: Any = module.get_input_embeddings()  # type: ignore[operator]
        self.positions = positions(module)
        self.table = [table]  # in a list, so that it is no submodule of this module
        weight: Tensor = table.weight.detach()
        if start == "random":
            rows = weight.std() * torch.randn(tokens, weight.shape[1], dtype=weight.dtype).to(weight.device)
        else:
            if ids is None:
                drawn = torch.tensor(frequent)[torch.randint(len(frequent), (tokens,))]
            else:
                drawn = torch.tensor(ids)
            rows = weight[drawn.to(weight.device)].clone()
        self.embeddings = nn.Parameter(rows)
        self.ahead = tokens

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        p, earlier = len(self.embeddings), tokens_before(kwargs)
        if earlier:  # a KV cache, which holds them
            self.positions.check("prompt", p, earlier - p + kwargs["input_ids"].shape[1])
            if kwargs.get("position_ids") is not None:
                kwargs = {**kwargs, "position_ids": kwargs["position_ids"] + p}
            return args, kwargs
        kwargs = dict(kwargs)
        real = self.table[0](kwargs.pop("input_ids"))  # [B, T, D]
        self.positions.check("prompt", p, real.shape[1])
        virtual = self.embeddings.to(real.dtype).expand(len(real), -1, -1)  # [B, p, D]
        kwargs["inputs_embeds"] = torch.cat([virtual, real], dim=1)  # [B, p + T, D]
        for name, fill in (("attention_mask", 1), ("token_type_ids", 0)):
            if kwargs.get(name) is not None:
                front = kwargs[name].new_full((len(real), p), fill)
                kwargs[name] = torch.cat([front, kwargs[name]], dim=1)  # [B, p + T]
        if kwargs.get("position_ids") is not None:
            given = kwargs["position_ids"].expand(len(real), -1)
            front = torch.arange(p, device=given.device).expand(len(real), -1) + self.positions.first
            kwargs["position_ids"] = torch.cat([front, given + p], dim=1)  # [B, p + T]
        return args, kwargs

    def after(self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        if "inputs_embeds" in kwargs:
            output["last_hidden_state"] = output["last_hidden_state"][:, len(self.embeddings) :]  # [B, T, D]
        return output
