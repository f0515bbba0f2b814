"""Attention projections: the layers for queries, keys and values of an attention site, and the heads.

Recognised by structure and by common names of the projections (`q_proj`, `query`, `k_lin`, `qkv`, …), never by the
model's name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.ladder.ladder import Ladder, Site
from headstart.backbones.ladder.modes import evaluating
from headstart.backbones.ladder.sites import linear_sizes

FEW_PATCHES = 256
"maximum number of patches at which plain attention is faster on a CPU"


@dataclass(frozen=True)
class Part:
    """The outputs `start` to `stop` of the linear layer at `path`: the whole layer, or a part of a fused one."""

    path: str
    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Projections:
    """An attention site's projections. Grouped-query attention has fewer key-value heads than heads."""

    site: Site
    query: Part
    key: Part
    value: Part
    head_size: int

    @property
    def heads(self) -> int:
        return self.query.size // self.head_size

    @property
    def key_value_heads(self) -> int:
        return self.key.size // self.head_size


def plain_attention(module: nn.Module) -> None:
    """Disables timm's fused attention on a CPU, because it is slower over few patches, most of all backwards.

    Measured by `benchmarks/cases/attention.py`; `fused_forward` is the exception. Plain attention keeps [heads,
    patches, patches] of each layer for the gradient.
    """
    patches = getattr(getattr(module, "patch_embed", None), "num_patches", None)
    gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    if not gpu and patches is not None and patches <= FEW_PATCHES:
        part: Any
        for part in module.modules():
            if getattr(part, "fused_attn", False) is True:
                part.fused_attn, part.was_fused = False, True


@contextlib.contextmanager
def fused_forward(module: nn.Module) -> Iterator[None]:
    """Enables timm's fused attention inside the context on a CPU with AMX, where it is faster without gradients."""
    able: Any = getattr(torch.cpu, "get_capabilities", dict)()
    parts: list[Any] = list(module.modules()) if able.get("amx_bf16") else []
    plain = [part for part in parts if getattr(part, "was_fused", False) and not part.fused_attn]
    try:
        for part in plain:
            part.fused_attn = True
        yield
    finally:
        for part in plain:
            part.fused_attn = False


@contextlib.contextmanager
def fused_attention(module: Any) -> Iterator[None]:
    """Makes this attention module use `scaled_dot_product_attention` inside the context, if it can."""
    config: Any = getattr(module, "config", None)
    implementation, fused = getattr(config, "_attn_implementation", None), getattr(module, "fused_attn", None)
    try:
        if implementation is not None:
            config._attn_implementation = "sdpa"
        if fused is not None:
            module.fused_attn = True
        yield
    finally:
        if implementation is not None:
            config._attn_implementation = implementation
        if fused is not None:
            module.fused_attn = fused


def projections(root: nn.Module, site: Site) -> Projections | None:
    """The projections of an attention site; None if they can't be found (`nn.MultiheadAttention` fuses them)."""
    module = root.get_submodule(site.path)
    named = {name: linear_sizes(child) for name, child in module.named_children()}
    linear = {name: sizes for name, sizes in named.items() if sizes is not None}
    roles = {role: [n for n in linear if _role(n) == role] for role in ("query", "key", "value")}
    parts: dict[str, Part] = {}
    if all(len(found) == 1 for found in roles.values()):
        parts = {r: Part(f"{site.path}.{n[0]}", 0, linear[n[0]][1]) for r, n in roles.items()}
    else:
        # fused: a layer with three times as many outputs as inputs, or with grouped queries any number above
        fused = [n for n, (inputs, outputs) in linear.items() if outputs > inputs]
        if len(fused) != 1:
            return None
        outputs = linear[fused[0]][1]
        query = _fused_queries(module, *linear[fused[0]])
        if query is None:
            return None
        key_value, path = (outputs - query) // 2, f"{site.path}.{fused[0]}"
        bounds = {"query": (0, query), "key": (query, query + key_value), "value": (query + key_value, outputs)}
        parts = {role: Part(path, *bound) for role, bound in bounds.items()}
    size = _head_size(module, parts["query"].size)
    if size is None or any(part.size % size for part in parts.values()):
        return None
    return Projections(site, parts["query"], parts["key"], parts["value"], size)


def _role(name: str) -> str:
    """`query`, `key` or `value` by the name of a projection, else an empty string."""
    name = name.lower().lstrip("w_")
    if name.startswith("qk"):
        return ""  # a fused layer
    return {"q": "query", "k": "key", "v": "value"}.get(name[:1], "")


def _said(module: nn.Module, *names: str) -> int | None:
    """The first of these numbers in the module or its configuration."""
    for owner in (module, getattr(module, "config", None)):
        for name in names:
            value: Any = getattr(owner, name, None)
            if isinstance(value, int) and value > 0:
                return value
    return None


def _heads(module: nn.Module) -> int | None:
    return _said(module, "num_heads", "num_attention_heads", "n_heads", "n_head")


def _head_size(module: nn.Module, query: int) -> int | None:
    size = _said(module, "head_dim", "attention_head_size", "key_value_proj_dim")
    if size is not None:
        return size
    heads = _heads(module)
    return query // heads if heads and query % heads == 0 else None


def _fused_queries(module: nn.Module, inputs: int, outputs: int) -> int | None:
    """Number of outputs of a fused layer that are queries."""
    heads, size = _heads(module), _said(module, "head_dim", "attention_head_size")
    if heads and size and heads * size < outputs and (outputs - heads * size) % (2 * size) == 0:
        return heads * size
    return outputs // 3 if outputs == 3 * inputs else None


def output_projection(root: nn.Module, ladder: Ladder, rung: int, part: str) -> Site | None:
    """The last linear layer of a block's `attention` or `feedforward` with as many outputs as the stream.

    For `nn.MultiheadAttention` it is the attention site, because the output layer is never called.
    """
    linear = [s for s in ladder.sites_of("linear") if s.rung == rung and s.part == part]
    attention = [s for s in ladder.sites_of("attention") if s.rung == rung]
    if part == "attention" and not linear:
        return attention[-1] if attention else None
    width = attention[0].inputs if attention else 0
    fitting = [s for s in linear if s.outputs == width]
    return fitting[-1] if fitting else None


def values_reach(backbone: Backbone, found: Sequence[Projections]) -> bool:
    """True if the parts of fused layers are right: with values set to zero, the output projection gets zeros.

    It runs the model, because some have queries, keys and values side by side in a fused layer, others by head.
    """
    module, handles, seen = backbone.module, [], []

    def silence(part: Part, layer: nn.Module, args: Any, output: Tensor) -> Tensor:
        output = output.clone()
        output[..., part.start : part.stop] = 0
        return output

    fused = [p for p in found if p.value.path == p.key.path]
    outputs = [output_projection(module, backbone.ladder, p.site.rung, "attention") for p in fused]
    try:
        for p, out in zip(fused, outputs):
            if out is not None and out.path != p.value.path:
                layer = module.get_submodule(p.value.path)
                handles.append(layer.register_forward_hook(partial(silence, p.value)))
                entered = module.get_submodule(out.path)
                handles.append(
                    entered.register_forward_pre_hook(lambda _, args: seen.append(float(args[0].abs().max())))
                )
        if handles:
            with torch.no_grad(), evaluating(module):
                backbone.features(backbone.probes()[0])
    finally:
        for handle in handles:
            handle.remove()
    return not any(seen)
