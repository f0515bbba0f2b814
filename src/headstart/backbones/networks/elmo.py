"""ELMo: character convolutions for words, and two layers of LSTMs in both directions."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.backbones.tokenizers.lexicon import ALPHABET, Lexicon

CHARACTER = 16
"width of a character's embedding"
FILTERS = ((1, 32), (2, 32), (3, 64), (4, 128))
"widths of the character convolutions, and the number of filters of each"


@dataclass(frozen=True)
class Shape:
    """width: of a word, and of the projected state of each direction. cells: of each LSTM, before the projection."""

    width: int = 128
    cells: int = 512
    layers: int = 2


class Characters(nn.Module):
    """A word's vector from its characters: convolutions, max pooling, a highway layer, a projection.

    Each distinct word of a batch is computed once. Source: Kim et al. 2016, "Character-Aware Neural Language Models",
    section 2.
    """

    def __init__(self, width: int, lexicon: Lexicon) -> None:
        super().__init__()
        self.lexicon = lexicon
        self.embedding = nn.Embedding(ALPHABET, CHARACTER, padding_idx=0)
        self.filters = nn.ModuleList(nn.Conv1d(CHARACTER, count, size) for size, count in FILTERS)
        total = sum(count for _, count in FILTERS)
        self.gate, self.carried = nn.Linear(total, total), nn.Linear(total, total)
        self.projection = nn.Linear(total, width)

    def forward(self, input_ids: Tensor) -> Tensor:
        words, places = input_ids.unique(return_inverse=True)
        spelled = self.lexicon.characters(words)  # [n, letters]
        # one filter width of padding is enough, because more gives the same maximum
        longest = int((spelled != 0).sum(1).amax()) + max(size for size, _ in FILTERS)
        letters = self.embedding(spelled[:, :longest]).transpose(1, 2)  # [n, CHARACTER, letters]
        found = torch.cat([F.relu(one(letters)).amax(2) for one in self.filters], 1)  # [n, total]
        gate = torch.sigmoid(self.gate(found))
        found = gate * F.relu(self.carried(found)) + (1 - gate) * found
        return self.projection(found).float()[places]  # [B, T, width]


class Layer(nn.Module):
    """An LSTM per direction, each projected to `width`. The second layer has a residual connection."""

    def __init__(self, width: int, cells: int, residual: bool) -> None:
        super().__init__()
        self.forwards = nn.LSTM(width, cells, batch_first=True, proj_size=width)
        self.backwards = nn.LSTM(width, cells, batch_first=True, proj_size=width)
        self.residual = residual

    def forward(self, state: Tensor, mask: Tensor | None = None) -> Tensor:
        """[B, T, 2 width]: left to right, right to left. mask: [B, T] 1 for words, which come first."""
        left, right = state.float().chunk(2, dim=-1)
        turned = reversed_in_time(right, mask)
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "LSTM with projections"
            )  # silenced, because it only warns that projections are slower
            both = (self.forwards(left)[0], reversed_in_time(self.backwards(turned)[0], mask))
        found = torch.cat(both, -1)
        return found + state if self.residual else found


def reversed_in_time(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """Reverses the words of each example; padding stays in place. hidden: [B, T, D]"""
    if mask is None:
        return hidden.flip(1)
    lengths = mask.sum(1, keepdim=True)
    at = torch.arange(hidden.shape[1], device=hidden.device)[None]
    places = torch.where(at < lengths, lengths - 1 - at, at)  # [B, T]
    return hidden.gather(1, places[..., None].expand_as(hidden))


class Elmo(nn.Module):
    """Returns the states of the last layer, [B, T, 2 width]; `levels` reads those below.

    Unlike the paper, cells and projections are not clipped, and there is no dropout. Source: Peters et al. 2018,
    "Deep contextualized word representations", section 3.
    """

    def __init__(self, shape: Shape, lexicon: Lexicon) -> None:
        super().__init__()
        self.shape = shape
        self.characters = Characters(shape.width, lexicon)
        self.layers = nn.ModuleList(Layer(shape.width, shape.cells, number > 0) for number in range(shape.layers))

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> tuple[Tensor]:
        words = self.characters(input_ids)
        hidden = torch.cat([words, words], -1)
        for layer in self.layers:
            hidden = layer(hidden, attention_mask)
        return (hidden,)


class BothSides(nn.Module):
    """Inputs of the head: for each word the state from the left and that from the right, [B, 2 T, width]."""

    def __init__(self, body: Elmo) -> None:
        super().__init__()
        self.body = body

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> tuple[Tensor]:
        (hidden,) = self.body(input_ids, attention_mask)
        return (hidden.reshape(len(hidden), -1, hidden.shape[-1] // 2),)
