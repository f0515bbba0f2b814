"""Verification of a checkpoint against the model in memory: samples, and the tolerance of the logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone, Batch
from headstart.backbones.ladder.modes import evaluating
from headstart.core.errors import ArtifactError

TOLERANCE = 1e-3
"largest difference of a logit between the model in memory and the checkpoint, relative to the largest logit"
Reader = Callable[[], Callable[[Any], Tensor]]
"loads the folder with its library only, and returns a function from a sample to logits, including tokenization"


@torch.no_grad()
def logits_in_memory(backbone: Backbone, head: nn.Linear, batch: Batch) -> Tensor:
    """Logits [B, C] of the model in memory, in eval mode."""
    with evaluating(backbone.module):
        logits: Tensor = head(backbone.features(batch).to(head.weight.dtype))
    return logits


def difference(found: Tensor, wanted: Tensor) -> float:
    """Maximum difference, relative to the largest logit if that is above 1."""
    if found.shape != wanted.shape or not torch.isfinite(found).all():
        return float("inf")
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1.0))


TEXT = "a checkpoint is read again and gives what the model in memory gives or it is not written at all"
Sample = list[str] | Batch
"texts as a user types them, or a batch of images"


def samples(backbone: Backbone) -> list[Sample]:
    """Samples: texts of many lengths, texts with special tokens at the end, truncated texts; random images."""
    preparation: Any = backbone.preparation
    if backbone.modality == "text":
        words = TEXT.split()
        texts = [" ".join((words * 3)[row % 7 : row % 7 + 1 + (5 * row) % 23]) for row in range(12)]
        special = sorted({str(token) for token in getattr(preparation.tokenizer, "all_special_tokens", ())})
        marked = [text for token in special for text in (f"it is good{token}", f"{token} it is{token}{token}", token)]
        long = " ".join(words * (preparation.max_length // len(words) + 1))
        cut = [f"{long} {token}" for token in ("good", *special[:1])]
        found = [texts[:7], texts[7:], [*marked, "it is"] if marked else [], ["it is", *cut], ["", "it is good"], [" "]]
        return [readable for some in found if (readable := [text for text in some if _tokens(preparation, text)])]
    generator = torch.Generator().manual_seed(1)
    shape = (preparation.channels, *preparation.size)
    return [{"pixel_values": torch.randn((n, *shape), generator=generator)} for n in (4, 1)]


def _tokens(preparation: Any, text: str) -> bool:
    """False for an empty text without special tokens, because no library computes on zero tokens."""
    return len(preparation.tokenizer(text, truncation=True, max_length=preparation.max_length)["input_ids"]) > 0


def batch_of(backbone: Backbone, sample: Sample) -> Batch:
    """The sample as a batch of this backbone, on its device."""
    preparation: Any = backbone.preparation
    batch: Batch = sample if isinstance(sample, dict) else preparation.collate(preparation.encode(sample))
    device = next(backbone.module.parameters()).device
    return {name: value.to(device) for name, value in batch.items()}


def examples(backbone: Backbone) -> list[Batch]:
    """The first samples as batches, for fitting a classifier."""
    return [batch_of(backbone, sample) for sample in samples(backbone)[:2]]


def verify(backbone: Backbone, head: nn.Linear, read_again: Reader) -> None:
    run = read_again()
    for sample in samples(backbone):
        wanted = logits_in_memory(backbone, head, batch_of(backbone, sample)).cpu()
        with torch.no_grad():
            found = run(sample)
        gap = difference(found, wanted)
        if gap > TOLERANCE:
            raise ArtifactError(
                f"the checkpoint, read again, gives logits that differ by {gap:.1e} from the model in memory"
                + (f", on texts such as {sample[0][:40]!r}" if isinstance(sample, list) else "")
                + ", so it was not kept. Save the run as an artifact instead."
            )
