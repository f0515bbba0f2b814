"""AWD-LSTM: an LSTM language model whose every part is regularised by a dropout of its own; ULMFiT's network."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from headstart.backbones.networks.lstm import lstm_autocast


@dataclass(frozen=True)
class Shape:
    """width: of the embedding, and of the last layer, since both share their weights. hidden: of the layers between.

    dropout: factor on all five rates: of words 0.02, of the input 0.25, between layers 0.15, of the recurrent weights
    0.2, of the output 0.1 (fastai's for language models; about half of those of Howard & Ruder 2018, section 4.1).
    """

    vocabulary: int
    width: int = 200
    hidden: int = 400
    layers: int = 3
    dropout: float = 1.0


RATES = {"words": 0.02, "input": 0.25, "between": 0.15, "weights": 0.2, "output": 0.1}


def locked(hidden: Tensor, rate: float, training: bool) -> Tensor:
    """Dropout with one mask for all times of an example. hidden: [B, T, D]

    Source: Gal & Ghahramani 2016, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks".
    """
    if not training or not rate:
        return hidden
    mask = torch.empty(hidden.shape[0], 1, hidden.shape[2], device=hidden.device).bernoulli_(1 - rate)
    return hidden * (mask / (1 - rate)).to(hidden.dtype)


class Words(nn.Embedding):
    """Rows of words, of which some words are dropped wholly, wherever they stand; then locked dropout.

    rate: of words. after: of the rows' numbers; it is here so that a frozen embedding gives the same each time.
    """

    def __init__(self, vocabulary: int, width: int, rate: float, after: float = 0.0) -> None:
        super().__init__(vocabulary, width)
        self.rate, self.after = rate, after
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.uniform_(self.weight, -0.1, 0.1)

    def forward(self, input: Tensor) -> Tensor:
        hidden = super().forward(input)  # [B, T, D]
        if self.training and self.rate:
            kept = torch.empty(self.num_embeddings, 1, device=hidden.device).bernoulli_(1 - self.rate)
            hidden = hidden * (kept / (1 - self.rate))[input]
        return locked(hidden, self.after, self.training)


class Layer(nn.LSTM):
    """One layer whose recurrent weights are dropped, then locked dropout.

    weights: share of the recurrent weights that a pass leaves out (DropConnect); the gradient reaches the whole ones.
    """

    def __init__(self, inputs: int, outputs: int, weights: float, after: float) -> None:
        super().__init__(inputs, outputs, batch_first=True)
        self.weights, self.after = weights, after

    def forward(self, hidden: Tensor) -> Tensor:  # type: ignore[override]
        return locked(self.undropped(hidden), self.after, self.training)

    def undropped(self, hidden: Tensor) -> Tensor:
        """What the layer says before its dropout. [B, T, D] to [B, T, outputs]"""
        inner = _Inner(self)
        if not self.training or not self.weights:
            found: Tensor = inner(hidden.float())
            return found
        weight = self.weight_hh_l0
        assert isinstance(weight, Tensor)
        return functional_call(inner, {"lstm.weight_hh_l0": F.dropout(weight, self.weights)}, (hidden.float(),))


class _Inner(nn.Module):
    """The layer as torch has it: `functional_call` calls a module's own forward."""

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self.lstm = lstm

    def forward(self, hidden: Tensor) -> Tensor:
        with lstm_autocast():
            return nn.LSTM.forward(self.lstm, hidden)[0]


class AwdLstm(nn.Module):
    """Words through the layers from left to right; each window begins with a state of zeros.

    Returns the hidden states, [B, T, D]; the output's dropout is for what predicts. Right padding changes nothing
    before it. Source: Merity et al. 2018, "Regularizing and Optimizing LSTM Language Models", sections 2 to 4.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        rates = {name: min(0.9, rate * shape.dropout) for name, rate in RATES.items()}
        self.embedding = Words(shape.vocabulary, shape.width, rates["words"], rates["input"])
        sizes = [shape.width, *[shape.hidden] * (shape.layers - 1), shape.width]
        self.layers = nn.ModuleList(
            Layer(a, b, rates["weights"], rates["between"] if number < shape.layers - 1 else 0.0)
            for number, (a, b) in enumerate(itertools.pairwise(sizes))
        )
        self.output = rates["output"]

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> tuple[Tensor]:
        hidden = self.embedding(input_ids)
        for layer in self.layers:
            hidden = layer(hidden)
        return (hidden,)


class Dropped(nn.Module):
    """What predicts: the hidden states after the output's dropout, and before it."""

    def __init__(self, body: AwdLstm) -> None:
        super().__init__()
        self.body = body

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        (hidden,) = self.body(input_ids, attention_mask)
        return locked(hidden, self.body.output, self.training), hidden
