"""AWD-LSTM (ULMFiT's network): an LSTM language model with five kinds of dropout."""

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
    """width: of the embedding and of the last layer, because they share weights. hidden: of the layers between.

    dropout: factor on the five rates: words 0.02, input 0.25, between layers 0.15, recurrent weights 0.2, output 0.1
    (fastai's for language models; about half of those of Howard & Ruder 2018, section 4.1).
    """

    vocabulary: int
    width: int = 200
    hidden: int = 400
    layers: int = 3
    dropout: float = 1.0


RATES = {"words": 0.02, "input": 0.25, "between": 0.15, "weights": 0.2, "output": 0.1}


def locked(hidden: Tensor, rate: float, training: bool) -> Tensor:
    """Variational (locked) dropout: one mask for all time steps of an example. hidden: [B, T, D]

    Source: Gal & Ghahramani 2016, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks".
    """
    if not training or not rate:
        return hidden
    mask = torch.empty(hidden.shape[0], 1, hidden.shape[2], device=hidden.device).bernoulli_(1 - rate)
    return hidden * (mask / (1 - rate)).to(hidden.dtype)


class Words(nn.Embedding):
    """Embedding dropout: drops whole words at all their places; then locked dropout.

    rate: of words. after: rate of the locked dropout; it is applied here, so that a frozen embedding is constant.
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
    """An LSTM layer with weight dropout (DropConnect), then locked dropout.

    weights: dropout rate of the recurrent weights; the gradient reaches the full weights.
    """

    def __init__(self, inputs: int, outputs: int, weights: float, after: float) -> None:
        super().__init__(inputs, outputs, batch_first=True)
        self.weights, self.after = weights, after

    def forward(self, hidden: Tensor) -> Tensor:  # type: ignore[override]
        return locked(self.undropped(hidden), self.after, self.training)

    def undropped(self, hidden: Tensor) -> Tensor:
        """Output of the layer before its dropout. [B, T, D] to [B, T, outputs]"""
        inner = _Inner(self)
        if not self.training or not self.weights:
            found: Tensor = inner(hidden.float())
            return found
        weight = self.weight_hh_l0
        assert isinstance(weight, Tensor)
        return functional_call(inner, {"lstm.weight_hh_l0": F.dropout(weight, self.weights)}, (hidden.float(),))


class _Inner(nn.Module):
    """The plain torch layer, because `functional_call` needs a module's forward."""

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self.lstm = lstm

    def forward(self, hidden: Tensor) -> Tensor:
        with lstm_autocast():
            return nn.LSTM.forward(self.lstm, hidden)[0]


class AwdLstm(nn.Module):
    """The LSTM layers over words; each window starts with a zero state.

    Returns the hidden states [B, T, D]; only the head applies the output's dropout. Right padding does not change
    states before it. Source: Merity et al. 2018, "Regularizing and Optimizing LSTM Language Models", sections 2 to 4.
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
    """Inputs of the head: the hidden states after and before the output's dropout."""

    def __init__(self, body: AwdLstm) -> None:
        super().__init__()
        self.body = body

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        (hidden,) = self.body(input_ids, attention_mask)
        return locked(hidden, self.body.output, self.training), hidden
