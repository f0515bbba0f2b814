"""Targets of what the model sees: of the words that were not cut off, and of the places of a passage."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from headstart.backbones.inputs.windows import own
from headstart.engine.feed.tokens import Tokens


def seen(targets: Tensor, tokens: Tokens) -> Tensor:
    """Targets of examples as a loss reads them: [n, L] tags, [n, 2] signs in passages, others as they are."""
    if tokens.signs is not None and targets.dim() == 3:
        return _places(targets, tokens)
    return _words(targets, tokens) if tokens.starts is not None and targets.dim() == 2 else targets


def _words(targets: Tensor, tokens: Tokens) -> Tensor:
    """[n, L] tags, -1 for words that were cut off."""
    assert tokens.starts is not None
    word = np.arange(len(tokens.starts.values)) - tokens.starts.start[tokens.starts.owner]
    cut = tokens.starts.values < 0
    found = targets.clone()
    found[torch.from_numpy(tokens.starts.owner[cut]), torch.from_numpy(word[cut])] = -1
    return found


def _places(targets: Tensor, tokens: Tokens) -> Tensor:
    """[n, 2] first and last sign of the tokens in which the first accepted answer begins and ends; -1 without any."""
    assert tokens.signs is not None
    found = np.full((len(targets), 2), -1, dtype=np.int64)
    for at, (first, last) in enumerate(targets[:, 0].tolist()):
        if first == 0:  # no answer
            found[at] = 0
            continue
        signs = tokens.signs[at]
        held = np.flatnonzero((signs[:, 0] <= last) & (signs[:, 1] >= first) & (signs[:, 0] > 0))
        if len(held):
            found[at] = signs[held[0], 0], signs[held[-1], 1]
    return torch.from_numpy(found)


def by_row(targets: Tensor, tokens: Tokens) -> Tensor:
    """Targets of all rows of features: [R] tags, -1 for unseen words; of passages [R, 3]: example, begins, ends."""
    assert tokens.words is not None
    if tokens.signs is None:
        return targets[torch.arange(targets.shape[1]) < torch.from_numpy(tokens.words)[:, None]]
    owner = torch.from_numpy(tokens.signs.owner)
    signs = np.concatenate([own(tokens.signs[at]) for at in range(len(targets))]).astype(np.int64)
    hits = torch.from_numpy(signs) == targets[owner]  # [R, 2]
    return torch.cat([owner[:, None], hits.long()], dim=1)
