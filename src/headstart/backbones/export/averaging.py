"""Export of mean pooling to classes that read only the first token: another encoder block computes mean and head.

With zero queries and keys, attention is uniform over the real tokens: its output is the mean of the values, which is
the value projection of the mean. Value rows are the head's (and their negatives, so that the mean over features is 0).
The block sits behind a LayerNorm; scaling that down by t and the value rows up by 1/t lets the block's result stand
alone, its residual t h being below rounding. Its own LayerNorms see variances far below their epsilon, where
LN(v) = gamma v / sqrt(eps) to a relative error of var(v) / (2 eps). The feed-forward part is zero.

sentence-transformers' format (Transformer, Pooling, Dense) would need no such block, but its last layer gives scores as
an embedding without labels: transformers' own classifiers and pipelines, which this is for, do not read it.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.export.verification import examples, logits_in_memory
from headstart.backbones.ladder.sites import is_attention, is_norm

RESIDUAL = 1e-9
"scale of the residual relative to the block's result"
REGIME = 1e-4
"standard deviation of the LayerNorms' inputs, in units of sqrt(eps)"


@torch.no_grad()
def append_averaging_block(backbone: Backbone, head: nn.Linear, factory: Any, config: Any, blank: Any) -> Any | None:
    """The classification model one block deeper, whose first token carries [z, -z, 0, …]; None if impossible.

    Needs a post-norm encoder whose blocks are alike and have six linear layers (query, key, value, output, two of the
    feed-forward part) and two LayerNorms, and at most half as many classes as features.
    """
    classes, width = head.out_features, head.in_features
    depth = next((k for k in ("num_hidden_layers", "n_layers") if k in config.to_dict() or hasattr(config, k)), None)
    if depth is None or 2 * classes > width:
        return None
    deeper = copy.deepcopy(config)
    setattr(deeper, depth, getattr(config, depth) + 1)
    try:
        model = blank(backbone, factory, deeper)
    except (TypeError, ValueError):
        return None
    blocks = chain_of(backbone)
    if blocks is None:
        return None
    container, count = blocks
    stack = model.base_model.get_submodule(container)
    if len(stack) != count + 1:
        return None
    last, new = _parts(stack[count - 1]), _parts(stack[count])
    if last is None or new is None:
        return None
    biggest = max(float(logits_in_memory(backbone, head, b).abs().max()) for b in examples(backbone))
    rows = head.weight / max(biggest, 1e-6)
    root = math.sqrt(new.norms[0].eps)
    size = REGIME * root
    tiny = size * RESIDUAL
    for parameter in (last.norms[1].weight, last.norms[1].bias):
        parameter.mul_(tiny)
    for layer in new.linears:
        layer.weight.zero_()
        if layer.bias is not None:
            layer.bias.zero_()
    value, output = new.linears[2], new.linears[3]
    value.weight[:classes], value.weight[classes : 2 * classes] = rows * (size / tiny), -rows * (size / tiny)
    output.weight.copy_(torch.eye(width))
    new.norms[0].weight.fill_(root)  # gives size * [z, -z, 0, …] again
    new.norms[1].weight.fill_(root / size)  # gives [z, -z, 0, …]
    for norm in new.norms:
        norm.bias.zero_()
    return model


class _Parts:
    def __init__(self, linears: list[nn.Linear], norms: list[nn.LayerNorm]) -> None:
        self.linears, self.norms = linears, norms


def _parts(block: nn.Module) -> _Parts | None:
    """The linear layers and norms of a post-norm block, in order; None for any other kind of block."""
    modules = list(block.modules())
    linears = [m for m in modules if isinstance(m, nn.Linear)]
    norms = [m for m in modules if is_norm(m)]
    layer_norms = [m for m in norms if isinstance(m, nn.LayerNorm)]
    order = [m for m in modules if m in linears or m in norms]
    kinds = "".join("n" if m in norms else "l" for m in order)
    attends = any(is_attention(m) for m in modules)
    # DistilBERT registers in the order of execution; in the others the norm comes after its layer
    if not attends or len(layer_norms) != len(norms) or kinds != "llllnlln":
        return None
    return _Parts(linears, layer_norms)


def chain_of(backbone: Backbone) -> tuple[str, int] | None:
    """Container and number of the backbone's blocks, if they are one plain list."""
    names = [r.name.rpartition(".") for r in backbone.ladder.rungs if r.name.rpartition(".")[2].isdigit()]
    containers = {n[0] for n in names}
    if len(containers) != 1:
        return None
    return containers.pop(), len(names)
