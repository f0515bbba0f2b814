"""Pooling: one vector per example from one vector per token, without padding."""

from __future__ import annotations

import torch
from torch import Tensor

from headstart.backbones.inputs.answer_marks import ANSWER_PLACES
from headstart.backbones.inputs.windows import WINDOWS
from headstart.backbones.inputs.word_marks import WORD_STARTS, states_at
from headstart.core.errors import ConfigurationError, unknown

POOLINGS: tuple[str, ...] = ("mean", "cls", "last", "concat")


def read_out(hidden: Tensor, batch: dict[str, Tensor], how: str) -> Tensor:
    """What a head gets of hidden states [B, T, D]: pooled, [B, D], or one state a word, [B, W, D].

    The batch decides: of texts in words it says where each begins, of passages where each of its places lies, and of
    conversations which places are read, [S, D].
    """
    if (places := batch.get(ANSWER_PLACES)) is not None:
        return hidden.flatten(0, 1)[places]
    if (starts := batch.get(WORD_STARTS)) is None:
        return pool(hidden, batch.get("attention_mask"), how)
    if how == "concat":
        raise ConfigurationError(
            "pooling concat joins three summaries of a text, and a word has one state: load the "
            "model with --pooling mean."
        )
    if (windows := batch.get(WINDOWS)) is not None:
        starts = torch.where(starts < 0, starts, windows * hidden.shape[1] + starts)
        hidden = hidden.reshape(len(starts), -1, hidden.shape[-1])  # [B, K T, D]
    return states_at(hidden, starts)


def pool(hidden: Tensor, mask: Tensor | None, how: str) -> Tensor:
    """Pools hidden states over the real tokens of each example.

    mean: sum_t mask_t h_t / sum_t mask_t;  cls: h of the first real token;  last: h of the last real token;
    concat: mean, maximum and last side by side.

    hidden: [B, T, D]; mask: [B, T], 1 for real tokens, or None if all are. Returns [B, D], for concat [B, 3 D].
    Values at padded positions have no influence, even if they are NaN.
    """
    if how not in POOLINGS:
        raise unknown("pooling", how, POOLINGS)
    if mask is None:
        mask = hidden.new_ones(hidden.shape[:2])
    real = mask.bool()
    if how == "concat":
        largest = hidden.masked_fill(~real[..., None], -torch.inf).amax(dim=1)  # [B, D]
        return torch.cat([pool(hidden, mask, "mean"), largest, pool(hidden, mask, "last")], dim=1)
    if how == "mean":
        total = hidden.masked_fill(~real[..., None], 0.0).sum(dim=1)  # [B, D]
        return total / real.sum(dim=1, keepdim=True).clamp(min=1).to(hidden.dtype)
    positions = torch.arange(hidden.shape[1], device=hidden.device).expand_as(real)  # [B, T]
    if how == "last":
        index = positions.masked_fill(~real, 0).amax(dim=1)  # [B]
    else:
        index = positions.masked_fill(~real, hidden.shape[1] - 1).amin(dim=1)  # [B]
    return hidden[torch.arange(len(hidden), device=hidden.device), index]  # [B, D]
