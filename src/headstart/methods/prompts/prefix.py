"""Prefix tuning: learned keys and values before the real ones, at each attention site."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from headstart.backbones.backbone import Backbone
from headstart.backbones.inputs.positions import Positions, positions
from headstart.backbones.kept import tokens_before
from headstart.backbones.ladder.attention import Projections, fused_attention, projections
from headstart.backbones.ladder.modes import evaluating
from headstart.core.errors import MethodError, ModelError
from headstart.methods.method import METHODS, GradientMethod, head_group
from headstart.methods.plan import Beside, Edit, Group, Model, Plan


@METHODS.register("prefix")
@dataclass(frozen=True)
class Prefix(GradientMethod):
    """`softmax(Q [P_k; K]^T / sqrt d) [P_v; V]` with p learned rows P_k, P_v for each attention site.

    The prefix acts like p earlier tokens: every query sees it, also under a causal mask, its keys are not rotated, and
    the positions of the real tokens start at p (as in PEFT). With `reparametrise` the rows come from an embedding [p,
    D] through a two-layer MLP in training. The model's attention must be able to use `scaled_dot_product_attention`,
    which is tried before the training. Source: Li & Liang 2021, "Prefix-Tuning: Optimizing Continuous Prompts for
    Generation", sections 4.2 and 4.3.
    """

    summary: ClassVar[str] = "learned keys and values before the real ones, at each attention site"
    base_rate: ClassVar[float] = 1e-2

    tokens: int = 16
    "length p of the prefix, in tokens"
    reparametrise: bool = False
    "compute the prefix from an embedding through an MLP in training"
    hidden: int = 128
    "width of that MLP, in hidden units"
    spread: float = 1.0
    "standard deviation of the initial keys and values"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        if self.tokens < 1:
            raise MethodError(f"prefix: tokens is {self.tokens}, but has to be at least 1.")
        sites = _sites(backbone)
        shift = _takes_positions(backbone)
        source: list[Tensor] = []  # rows of all sites, filled by the MLP
        edits, groups = [], []
        for number, found in enumerate(sites):
            path = f"backbone.{found.site.path}"
            size = found.key_value_heads * found.head_size
            build = partial(AttentionPrefix, tokens=self.tokens, heads=found.key_value_heads)
            if self.reparametrise:
                edits.append(Edit(path, partial(build, rows=_from(source, number)), "prefix"))
            else:
                edits.append(Edit(path, partial(build, size=size, spread=self.spread), "prefix"))
                # rung 0, because shifted positions change even the embeddings
                rung = 0 if shift and number == 0 else found.site.rung
                groups.append(Group(f"prefix:{number}", (f"{path}.prefix.keys", f"{path}.prefix.values"), rung=rung))
        if shift or self.reparametrise:
            sizes = [found.key_value_heads * found.head_size for found in sites] if self.reparametrise else []
            root = partial(_root, shift, self.tokens, sizes, self.hidden, self.spread, source)
            edits.append(Edit("backbone", root, "prefix"))
        if self.reparametrise:
            names = tuple(f"backbone.prefix.{name}" for name in Rows.NAMES)
            groups.append(Group("prefix", names, rung=0 if shift else min(found.site.rung for found in sites)))
        return self.plan(backbone, (*groups, head_group(backbone, head)), edits=tuple(edits))


def _sites(backbone: Backbone) -> list[Projections]:
    """Projections of the attention sites. Raises `MethodError` if there is no site, or one that can't take a prefix."""
    attention = backbone.ladder.sites_of("attention")
    if not attention:
        raise MethodError("prefix: this backbone has no attention; train conv_adapter on convolutions, or lora.")
    told = [projections(backbone.module, site) for site in attention]
    sites = [found for found in told if found is not None]
    reason = "its keys and values can't be separated" if len(sites) < len(told) else _tried(backbone, sites)
    if reason:
        raise MethodError(f"prefix: no prefix can be put into the attention of this backbone: {reason}. Train lora.")
    return sites


def _tried(backbone: Backbone, sites: list[Projections]) -> str | None:
    """None if an empty prefix reaches every attention site and changes nothing; else the reason."""
    batch = backbone.probes()[0]
    module = backbone.module
    edits = tuple(
        Edit(f"backbone.{s.site.path}", partial(AttentionPrefix, tokens=0, heads=s.key_value_heads, size=0), "prefix")
        for s in sites
    )
    try:
        with torch.no_grad(), evaluating(module):
            plain = backbone.features(batch)
            with Plan((), edits=edits).applied(Model(module, nn.Identity())):
                placed: list[Any] = [module.get_submodule(f"{s.site.path}.prefix") for s in sites]
                found = backbone.features(batch)
                missed = [s.site.path for s, m in zip(sites, placed) if not m.reached]
    except Exception as error:  # because foreign code may raise anything, for instance if it caps scores
        return f"it fails with {type(error).__name__}: {str(error)[:120]}"
    if missed:
        return f"{missed[0]} does not use scaled_dot_product_attention"
    if not torch.allclose(found, plain, rtol=1e-3, atol=1e-4):
        return "its attention does more than scaled_dot_product_attention can"
    return None


def _takes_positions(backbone: Backbone) -> bool:
    return "position_ids" in inspect.signature(backbone.module.forward).parameters


class AttentionPrefix(Beside):
    """Learned rows before the keys and values of an attention module.

    keys, values: [p, key_value_heads * head_size]; with an MLP, `rows()` returns both instead.
    """

    inside = True

    def __init__(
        self, base: nn.Module, tokens: int, heads: int, size: int = 0, spread: float = 0.0,
        rows: Callable[[], tuple[Tensor, Tensor]] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.site, self.heads, self.rows, self.reached = [base], heads, rows, False
        if rows is None:
            like = next(base.parameters())
            self.keys, self.values = (
                nn.Parameter(spread * torch.randn(tokens, size, device=like.device, dtype=like.dtype)) for _ in range(2)
            )

    def folded(self, module: nn.Module) -> None:
        raise ModelError(
            "a prefix can't be merged into the weights of a model; export the adapter of a text model with "
            "--format peft, or serve it with headstart."
        )

    def run(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        keys, values = (self.keys, self.values) if self.rows is None else self.rows()
        with fused_attention(self.site[0]), _Prefixed(keys, values, self.heads) as mode:
            output = call(*args, **kwargs)
        self.reached = mode.reached
        return output


class _Prefixed(TorchFunctionMode):
    """Inside this context, attention runs over the keys and values [prefix; real]."""

    def __init__(self, keys: Tensor, values: Tensor, heads: int) -> None:
        super().__init__()
        self.keys, self.values, self.heads, self.reached = keys, values, heads, False

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is not F.scaled_dot_product_attention:
            return function(*args, **(kwargs or {}))
        self.reached = True
        return self._attention(*args, **(kwargs or {}))

    def _rows(self, rows: Tensor, like: Tensor) -> Tensor:
        """[p, kv * d] as [B, H, p, d], with the number of heads of `like`."""
        rows = rows.to(like.dtype).reshape(len(rows), self.heads, like.shape[-1]).transpose(0, 1)  # [kv, p, d]
        rows = rows.repeat_interleave(like.shape[1] // self.heads, dim=0)  # [H, p, d]
        return rows.expand(len(like), *rows.shape)

    def _attention(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
        is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
    ) -> Tensor:  # fmt: skip
        p = len(self.keys)
        if is_causal:
            attn_mask = query.new_ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril()
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype).masked_fill(
                ~attn_mask, torch.finfo(query.dtype).min
            )
        key = torch.cat([self._rows(self.keys, key), key], dim=-2)  # [B, H, p + T, d]
        value = torch.cat([self._rows(self.values, value), value], dim=-2)  # [B, H, p + T, d]
        if enable_gqa and key.shape[1] != query.shape[1]:
            times = query.shape[1] // key.shape[1]
            key, value = key.repeat_interleave(times, dim=1), value.repeat_interleave(times, dim=1)
        # written out, because on a CPU the fused kernel's backward pass with a mask is slower
        scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)  # [B, H, T, p+T]
        if attn_mask is not None:
            scores = scores + F.pad(attn_mask.to(scores.dtype), (p, 0))
        weights = F.dropout(scores.softmax(dim=-1), dropout_p, dropout_p > 0)
        return weights.to(value.dtype) @ value  # [B, H, T, d]


class Rows(Beside):
    """At the root of the model: shifts positions, and with `reparametrise` computes the rows of all sites."""

    NAMES = ("embedding", "inner.weight", "inner.bias", "outer.weight", "outer.bias")

    def __init__(self, shift: bool, tokens: int, sizes: list[int], hidden: int, spread: float) -> None:
        super().__init__()
        self.shift, self.tokens, self.sizes = shift, tokens, sizes
        self.ahead = tokens if shift else 0
        self.positions = Positions(0, None)
        self.source: list[Tensor] = []
        if sizes:
            width = max(sizes)
            self.embedding = nn.Parameter(torch.randn(tokens, width))
            self.inner, self.outer = nn.Linear(width, hidden), nn.Linear(hidden, 2 * sum(sizes))
            nn.init.normal_(self.outer.bias, std=spread)

    def rows(self) -> Tensor:
        """[p, 2 * sum of sizes]: the key and value rows of each site in turn."""
        return self.outer(torch.tanh(self.inner(self.embedding)))

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self.sizes:
            self.source[:] = self.rows().split([size for each in self.sizes for size in (each, each)], dim=1)
        if self.shift:
            ids, earlier, given = kwargs["input_ids"], tokens_before(kwargs), kwargs.get("position_ids")
            self.positions.check("prefix", self.tokens, earlier + ids.shape[1])
            if given is None:
                given = torch.arange(ids.shape[1], device=ids.device) + self.positions.first + earlier
            kwargs = {**kwargs, "position_ids": given.expand(len(ids), -1) + self.tokens}
        return args, kwargs


def _root(
    shift: bool, tokens: int, sizes: list[int], hidden: int, spread: float, source: list[Tensor], module: nn.Module
) -> Rows:
    rows = Rows(shift, tokens, sizes, hidden, spread)
    rows.source, rows.positions = source, positions(module)
    like = next(module.parameters())
    return rows.to(like.device, like.dtype)


def _from(source: list[Tensor], number: int) -> _Read:
    return _Read(source, number)


@dataclass
class _Read:
    """Reads the rows of one site from those of `Rows`."""

    source: list[Tensor]
    number: int

    def __call__(self) -> tuple[Tensor, Tensor]:
        return self.source[2 * self.number], self.source[2 * self.number + 1]
