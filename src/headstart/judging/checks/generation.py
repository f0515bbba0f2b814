"""Check `generation`: answers of a causal language model, by exact match, by number, or by choice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch.nn import functional as F

from headstart.backbones.inputs.preparation import TextPreparation
from headstart.backbones.networks.language import with_head
from headstart.core.errors import ConfigurationError
from headstart.data.audit.findings import Findings
from headstart.data.tables.formats import FORMATS, format_of
from headstart.data.tables.table import readable
from headstart.judging.checks.checks import CHECKS, Check, hits
from headstart.judging.checks.material import Material, within
from headstart.judging.system import System
from headstart.stats.metrics import Metric, metric
from headstart.stats.predictions import Predictions

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
AT_ONCE = 16


@CHECKS.register("generation")
@dataclass(frozen=True, kw_only=True)
class Generation(Check):
    """Share of right answers to questions, by the base's vocabulary head on the base's and on the tuned states.

    exact: the generated text up to `stop` equals the answer, ignoring case and white space. number: its last number is
    the last number of the answer, as in GSM8K. choice: the answer has the highest mean log-likelihood per token among
    the choices.
    """

    kind: ClassVar[str] = "generation"
    summary: ClassVar[str] = "share of right answers of a causal language model: exact, by number, or by choice"

    data: str = ""
    "table of questions (.csv, .jsonl, .parquet, …); the path is relative to the suite's file"
    match: Literal["exact", "number", "choice"] = "exact"
    "criterion of a right answer: exact, number or choice"
    prompt: str = "question"
    "column of questions"
    answer: str = "answer"
    "column of answers; for choice, one of the choices, or its index from 0"
    choices: str = "choices"
    "column of lists of choices, for choice"
    template: str = "{prompt}"
    "prompt template with {prompt} for the question"
    stop: str = "\n"
    "text that ends an answer"
    max_tokens: int = 64
    "maximum length of an answer, in tokens"
    examples: int = 200
    "maximum number of questions, from the start of the table"
    tolerance: float = 0.02

    def title(self) -> str:
        return self.name or f"generation, {Path(self.data).stem} ({self.match})"

    def measure(self, material: Material) -> Metric:
        return metric("single_label")

    def check(self, material: Material) -> None:
        if material.data.task.input.is_image:
            raise ConfigurationError(f"{self.title()}: the model reads images, and answers no questions.")
        if not self.data:
            raise ConfigurationError("a check of kind generation needs data: a table of questions and answers.")
        if "{prompt}" not in self.template:
            raise ConfigurationError(f"{self.title()}: template is {self.template!r}, but has to hold {{prompt}}.")
        if self.metric:
            raise ConfigurationError(f"{self.title()}: its metric is the share of right answers; leave metric out.")
        self._rows(material.place)

    def ask(self, system: System, material: Material) -> dict[str, Predictions]:
        preparation = system.backbone.preparation
        assert isinstance(preparation, TextPreparation)
        network, kind = with_head(str(system.backbone.reload), system.backbone.module)
        if kind != "causal":
            raise ConfigurationError(f"{self.title()}: {system.backbone.source} is no causal language model.")
        network.to(system.compute.device)
        speaker = Speaker(network, preparation.tokenizer, preparation.pad_id, system.compute.autocast)
        rows = self._rows(material.place)
        prompts = [self.template.replace("{prompt}", str(row[self.prompt])) for row in rows]
        if self.match == "choice":
            right = [self._chosen(speaker, text, row) for text, row in zip(prompts, rows)]
        else:
            said = speaker.answers(prompts, self.max_tokens)
            right = [self._is_right(text, str(row[self.answer])) for text, row in zip(said, rows)]
        return {self.title(): hits(np.arange(len(right)), np.array(right))}

    def _is_right(self, said: str, answer: str) -> bool:
        said = said.partition(self.stop)[0] if self.stop else said
        if self.match == "number":
            numbers = [last_number(text) for text in (said, answer)]
            return numbers[0] is not None and numbers[0] == numbers[1]
        return " ".join(said.split()).casefold() == " ".join(answer.split()).casefold()

    def _chosen(self, speaker: Speaker, prompt: str, row: dict[str, Any]) -> bool:
        choices = [str(choice) for choice in row[self.choices]]
        best = int(np.argmax(speaker.likelihoods(prompt, choices)))
        answer = row[self.answer]
        return str(answer) == choices[best] or (str(answer) not in choices and str(answer) == str(best))

    def _rows(self, place: Path) -> list[dict[str, Any]]:
        path = Path(within(place, self.data))
        if not path.is_file() or format_of(path) not in FORMATS:
            raise ConfigurationError(f"{self.title()}: there is no table {self.data} ({', '.join(FORMATS)}).")
        table = FORMATS[format_of(path)](path)
        names = [self.prompt, self.answer, *([self.choices] if self.match == "choice" else [])]
        known = [column.name for column in table.sample()]
        if missing := [name for name in names if name not in known]:
            raise ConfigurationError(
                f"{self.title()}: {self.data} has no column {missing[0]!r}; it has {', '.join(known)}."
            )
        rows: list[dict[str, Any]] = []
        for chunk in readable(table, names, Findings()):
            rows += [dict(zip(names, values)) for values in zip(*(chunk.columns[name] for name in names))]
            if len(rows) >= self.examples:
                break
        if self.match == "choice" and not all(isinstance(row[self.choices], (list, tuple)) for row in rows):
            raise ConfigurationError(f"{self.title()}: the column {self.choices} has to hold lists, as in .jsonl.")
        return rows[: self.examples]


def last_number(text: str) -> float | None:
    """`1,234.5` as 1234.5."""
    found = NUMBER.findall(text)
    return float(found[-1].replace(",", "")) if found else None


class Speaker:
    """A causal network with its tokenizer."""

    def __init__(self, network: Any, tokenizer: Any, pad: int, autocast: Any) -> None:
        self.network, self.tokenizer, self.pad, self.autocast = network, tokenizer, pad, autocast
        self.device = next(network.parameters()).device

    def answers(self, prompts: Sequence[str], most: int) -> list[str]:
        """Greedy decoding after each prompt, in batches of similar length."""
        ids = [self.tokenizer(text)["input_ids"] for text in prompts]
        found = [""] * len(ids)
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        for at in range(0, len(order), AT_ONCE):
            rows = order[at : at + AT_ONCE]
            width = max(len(ids[i]) for i in rows)
            batch = torch.tensor([[self.pad] * (width - len(ids[i])) + ids[i] for i in rows], device=self.device)
            mask = torch.tensor([[0] * (width - len(ids[i])) + [1] * len(ids[i]) for i in rows], device=self.device)
            with torch.no_grad(), self.autocast():
                out = self.network.generate(
                    input_ids=batch, attention_mask=mask, max_new_tokens=most, do_sample=False, pad_token_id=self.pad
                )
            for i, row in zip(rows, out):
                found[i] = self.tokenizer.decode(row[width:], skip_special_tokens=True)
        return found

    def likelihoods(self, prompt: str, choices: Sequence[str]) -> list[float]:
        """Mean `log p` of each choice's tokens after the prompt."""
        start = self.tokenizer(prompt)["input_ids"]
        found = []
        for choice in choices:
            end = self.tokenizer(choice, add_special_tokens=False)["input_ids"]
            ids = torch.tensor([start + end], device=self.device)
            with torch.no_grad(), self.autocast():
                logits = self.network(input_ids=ids).logits[0, len(start) - 1 : -1].float()
            found.append(-float(F.cross_entropy(logits, ids[0, len(start) :])))
        return found
