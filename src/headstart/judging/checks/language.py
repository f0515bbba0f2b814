"""Check `perplexity`: forgetting of general text by a tuned language model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from headstart.backbones.inputs.preparation import TextPreparation
from headstart.backbones.networks.language import predicting, with_head
from headstart.backbones.tokenizers.tokenizer import frame
from headstart.core.errors import ConfigurationError
from headstart.data.corpus.corpus import Corpus
from headstart.judging.checks.checks import CHECKS, Check
from headstart.judging.checks.material import Material, within
from headstart.judging.system import System
from headstart.stats.metrics import Metric
from headstart.stats.predictions import Predictions

TURNS = 7
"number of passes for a masked model; each hides a seventh of the tokens, about as many as in pretraining"

LOG_PERPLEXITY = Metric(
    "log_perplexity",
    higher_is_better=False,
    rows=lambda found: np.stack([found.scores[:, 0], found.targets], 1).astype(np.float64),
    value=lambda sums: sums[..., 0] / sums[..., 1],
    bounds=(0.0, np.inf),
    percent=False,
)
"nats per token, from predictions whose scores are the nats and whose targets are the tokens of a window"


@CHECKS.register("perplexity")
@dataclass(frozen=True, kw_only=True)
class Perplexity(Check):
    """Perplexity of general text, by the base's vocabulary head on the base's and on the tuned hidden states.

    Causal: `-1/N sum_t log p(x_t | x_<t)` over windows of the text. Masked: the pseudo-perplexity's logarithm,
    `-1/N sum_t log p(x_t | the rest)`, with every seventh token hidden at once instead of one (Salazar et al. 2020,
    "Masked Language Model Scoring", section 2).
    """

    kind: ClassVar[str] = "perplexity"
    summary: ClassVar[str] = (
        "perplexity of general text by the language model's head, in nats per token (hidden ones if masked)"
    )

    data: str = ""
    "running text: a file with one paragraph per line, a table or a folder; the path is relative to the suite's file"
    text: str | None = None
    "text column of tables [default: detected]"
    windows: int = 200
    "maximum number of windows of the text"
    length: int = 128
    "length of a window in tokens; less if the model reads less"
    tolerance: float = 0.05

    def title(self) -> str:
        return self.name or f"perplexity of {Path(self.data).name.partition('.')[0]}"

    def measure(self, material: Material) -> Metric:
        return LOG_PERPLEXITY

    def check(self, material: Material) -> None:
        if not self.data:
            raise ConfigurationError("a check of kind perplexity needs data: running text, such as a text file.")
        if material.data.task.input.is_image:
            raise ConfigurationError(f"{self.title()}: the model reads images, and has no perplexity.")
        if self.metric:
            raise ConfigurationError(f"{self.title()}: its metric is nats per token; leave metric out.")
        if self.windows < 2 or self.length < 8:
            raise ConfigurationError(f"{self.title()}: at least 2 windows of at least 8 tokens are needed.")

    def ask(self, system: System, material: Material) -> dict[str, Predictions]:
        preparation = system.backbone.preparation
        assert isinstance(preparation, TextPreparation)
        if system.backbone.loader != "transformers":
            raise ConfigurationError(
                f"{self.title()}: {system.backbone.source} has no head over a vocabulary that transformers reads, so "
                "there is no perplexity to measure; leave the check out."
            )
        network, kind = with_head(str(system.backbone.reload), system.backbone.module)
        special = 0 if kind == "causal" else sum(map(len, frame(preparation.tokenizer)))
        length = min(self.length, preparation.max_length - special)
        windows = self._windows(preparation.tokenizer, material.place, length)
        network.to(system.compute.device)
        found = [
            _nats(network, kind, window, preparation.tokenizer, system.compute.autocast, system.compute.device)
            for window in windows.split(16)
        ]
        nats = torch.cat(found).numpy()
        tokens = np.full(len(nats), length - (kind == "causal"), dtype=np.float32)
        return {self.title(): Predictions(np.arange(len(nats)), tokens, nats[:, None])}

    def _windows(self, tokenizer: Any, place: Path, length: int) -> Tensor:
        """[n, length] ids of windows spread over the text, with paragraphs joined by a space."""
        corpus = Corpus((within(place, self.data),), self.text, all_splits=True)
        ids: list[int] = []
        for paragraph in corpus.paragraphs():
            ids += tokenizer(" " + paragraph, add_special_tokens=False, verbose=False)["input_ids"]
            if len(ids) > 50 * self.windows * length:
                break
        count = len(ids) // length
        if count < 2:
            raise ConfigurationError(
                f"{self.title()}: {self.data} has {len(ids)} tokens, fewer than two windows of {length}."
            )
        whole = torch.tensor(ids[: count * length]).reshape(count, length)
        return whole[np.linspace(0, count - 1, min(count, self.windows)).round().astype(int)]


def _nats(network: Any, kind: str, ids: Tensor, tokenizer: Any, autocast: Any, device: torch.device) -> Tensor:
    """[n] `-sum log p` of each window [n, T]."""
    total = torch.zeros(len(ids))
    with torch.no_grad(), autocast():
        if kind == "causal":
            logits = network(input_ids=ids.to(device)).logits[:, :-1].float()
            return F.cross_entropy(logits.transpose(1, 2), ids[:, 1:].to(device), reduction="none").sum(1).cpu()
        before, after = (torch.tensor(marks, dtype=torch.long).expand(len(ids), -1) for marks in frame(tokenizer))
        for turn in range(TURNS):
            hidden = torch.arange(ids.shape[1]) % TURNS == turn
            shown = torch.cat([before, ids.masked_fill(hidden, tokenizer.mask_token_id), after], 1)  # [n, T + special]
            asked = torch.cat(
                [torch.zeros_like(before), hidden.expand(len(ids), -1).long(), torch.zeros_like(after)], 1
            )
            places = asked.flatten().nonzero()[:, 0].to(device)
            with predicting(network, places):
                scores = network(input_ids=shown.to(device)).logits[0].float()  # [n * hidden, V]
            nats = F.cross_entropy(scores, ids[:, hidden].flatten().to(device), reduction="none")
            total += nats.reshape(len(ids), -1).sum(1).cpu()
    return total
