"""Vocabulary head: a language model's own output layer, which gives the scores in place of a new head."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.backbones.backbone import Backbone
from headstart.backbones.ladder.ladder import Rung
from headstart.backbones.networks.head_in_parts import ROWS, Loss, summed
from headstart.core.errors import ModelError

VOCABULARY = "vocabulary"
"name of the output layer, as a child of the network and as its highest rung"


class VocabularyHead(nn.Module):
    """The network's own layer as the head of a model. It has no parameters: they belong to the network.

    dtype: number format of the products, set by the job.
    """

    dtype = torch.float32

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self._layer = [layer_of(backbone)]  # in a list, so that it is no submodule of this module

    @property
    def layer(self) -> nn.Linear:
        return self._layer[0]

    def forward(self, hidden: Tensor) -> Tensor:
        """[S, V] scores of hidden states [S, D], in fp32."""
        layer, kind = self.layer, self.dtype
        bias = None if layer.bias is None else layer.bias.to(kind)
        return F.linear(hidden.to(kind), layer.weight.to(kind), bias).float()

    def summed(self, hidden: Tensor, targets: Tensor, loss: Loss) -> Tensor:
        """`loss(self(hidden), targets)`, summed over rows, without all scores at once."""
        return summed(self.layer, hidden.to(self.dtype), targets, loss)

    @torch.no_grad()
    def surprise(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """[S] -log p of each target token, in nats."""
        parts = [
            F.cross_entropy(self(hidden[at : at + ROWS]), targets[at : at + ROWS], reduction="none")
            for at in range(0, len(hidden), ROWS)
        ]
        return torch.cat([hidden.new_empty(0, dtype=torch.float32), *parts])


def has_vocabulary(backbone: Backbone) -> bool:
    return hasattr(backbone.module, VOCABULARY)


def layer_of(backbone: Backbone) -> nn.Linear:
    """The output layer. Raises `ModelError` if the backbone was loaded without it."""
    layer: Any = getattr(backbone.module, VOCABULARY, None)
    if layer is None:
        raise ModelError(
            f"{backbone.source} was loaded without its head over the vocabulary, which generates answers: "
            "load(…, vocabulary=True)."
        )
    found: nn.Linear = layer
    return found


def give_vocabulary(backbone: Backbone, layer: nn.Linear) -> None:
    """Makes the layer a child of the network, which does not call it; untied weights are a rung above all others.

    Tied weights stay on the rung of the embeddings.
    """
    backbone.module.add_module(VOCABULARY, layer)
    known = {name for rung in backbone.ladder.rungs for name in rung.parameters}
    own = tuple(name for name, _ in backbone.module.named_parameters() if name not in known)
    if own:
        rungs = (*backbone.ladder.rungs, Rung(VOCABULARY, (), own))
        backbone.ladder = replace(backbone.ladder, rungs=rungs)
