"""Combining (merging) adapters by weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Literal

import torch
from torch import Tensor

from headstart.artifacts.bank.entry import Entry, plan_of
from headstart.backbones.backbone import Backbone
from headstart.core.errors import ConfigurationError, unknown
from headstart.methods.adapters.lora import FACTORS, LORA, Lora
from headstart.methods.method import GradientMethod

TRAINING = {f.name for f in fields(GradientMethod)} | {"dropout"}
"settings that only affect training"
Kind = Literal["auto", "cat", "svd", "linear"]


def combined(
    backbone: Backbone, parts: Mapping[str, Entry], shares: Mapping[str, float], kind: Kind, rank: int | None,
    head: str | None,
) -> Entry:  # fmt: skip
    """The new adapter; see `Adapters.combine`."""
    if not parts:
        raise ConfigurationError("nothing to combine: give at least one adapter with its weight.")
    if kind not in ("auto", "cat", "svd", "linear"):
        raise unknown("kind", kind, ["auto", "cat", "svd", "linear"])
    plain = all(_plain_lora(entry) for entry in parts.values())
    if kind == "auto":
        kind = "cat" if plain else "linear"
    if kind in ("cat", "svd") and not plain:
        raise ConfigurationError(f"{kind} combines LoRA without DoRA and PiSSA alone; use kind='linear'.")
    first = next(iter(parts.values()))
    if kind == "linear":
        body, method = _linear(backbone, parts, shares), first.method
    else:
        if kind == "svd" and (rank is None or rank < 1):
            raise ConfigurationError("kind='svd' needs the rank of the result: rank=8.")
        body, method = _lora(backbone, parts, shares, rank if kind == "svd" else None)
    weights = body | _heads(parts, shares, head)
    task = parts[head].task if head else first.task
    bias = parts[head].head_bias if head else first.head_bias
    return Entry(task, method, bias, weights, tuple(weights))


def _plain_lora(entry: Entry) -> bool:
    method = entry.method
    return isinstance(method, Lora) and not method.dora and method.start == "zero"


def _heads(parts: Mapping[str, Entry], shares: Mapping[str, float], head: str | None) -> dict[str, Tensor]:
    """The head of the named adapter, or the average of all."""
    if head is not None:
        if head not in parts:
            raise unknown("adapter whose head it gets", head, parts)
        return {n: v for n, v in parts[head].weights.items() if n.startswith("head.")}
    if len({(entry.task.labels, entry.task.kind) for entry in parts.values()}) > 1:
        raise ConfigurationError(
            f"the labels of {', '.join(parts)} differ, so their heads can't be averaged; say whose head it gets: "
            f"head={next(iter(parts))!r}."
        )
    total = sum(shares.values()) or 1.0
    heads = [{n: v for n, v in entry.weights.items() if n.startswith("head.")} for entry in parts.values()]
    if len({tuple((n, tuple(v.shape)) for n, v in sorted(h.items())) for h in heads}) > 1:
        raise ConfigurationError("the heads have different shapes; choose one: head='…'.")
    return {n: sum((shares[k] / total * h[n] for k, h in zip(parts, heads)), torch.zeros(())) for n in heads[0]}


def _linear(backbone: Backbone, parts: Mapping[str, Entry], shares: Mapping[str, float]) -> dict[str, Tensor]:
    """`w_0 + sum share (w - w_0)` for weights of the base, the weighted mean for added parameters."""
    bodies = [{n: v for n, v in e.weights.items() if not n.startswith("head.")} for e in parts.values()]
    shapes = [{n: tuple(v.shape) for n, v in body.items()} for body in bodies]
    methods = [entry.method for entry in parts.values()]
    if any(type(method) is not type(methods[0]) for method in methods):
        raise ConfigurationError("adapters of different methods can't be averaged; combine those of one method.")
    differ = [f.name for f in fields(methods[0]) if f.name not in TRAINING
              and len({getattr(method, f.name) for method in methods}) > 1]  # fmt: skip
    if differ and plan_of(backbone, next(iter(parts.values()))).edits:
        raise ConfigurationError(f"the adapters' {', '.join(differ)} differ; only equal settings can be averaged.")
    if any(shape != shapes[0] for shape in shapes):
        raise ConfigurationError("the adapters change different tensors; only equal names and shapes can be averaged.")
    return _summed(backbone, bodies, list(shares.values()))


def _summed(backbone: Backbone, bodies: list[dict[str, Tensor]], shares: list[float]) -> dict[str, Tensor]:
    """The combination of tensors of equal shapes; tensors that an adapter lacks equal the base's."""
    base = {f"backbone.{n}": v for n, v in backbone.module.state_dict().items()}
    total = sum(shares)
    out: dict[str, Tensor] = {}
    for name, value in {n: v for body in bodies for n, v in body.items()}.items():
        if not value.is_floating_point():
            out[name] = value
            continue
        if name not in base and total <= 0:
            raise ConfigurationError(f"shares of adapters that are averaged have to add up to more than {total:g}.")
        zero, scale = (base[name].cpu(), 1.0) if name in base else (torch.zeros_like(value), 1 / total)
        parted = (scale * share * (b.get(name, zero) - zero) for share, b in zip(shares, bodies))
        out[name] = zero + sum(parted, torch.zeros(()))
    return out


def _lora(
    backbone: Backbone, parts: Mapping[str, Entry], shares: Mapping[str, float], rank: int | None
) -> tuple[dict[str, Tensor], Lora]:
    """A's and B's side by side, so that the update is the exact weighted sum; or its best approximation of a rank."""
    pieces: dict[str, list[tuple[Tensor, Tensor]]] = {}
    own = ("head.", *(f"{edit.place}." for entry in parts.values() for edit in plan_of(backbone, entry).edits))
    statistics = [
        {n: v for n, v in e.weights.items() if not n.startswith(own)} for e in parts.values()
    ]  # statistics of norms
    for name, entry in parts.items():
        for edit in plan_of(backbone, entry).edits:
            a, b = (entry.weights[f"{edit.place}.{factor}"] for factor in FACTORS[:2])
            scale = edit.build.keywords["scale"]  # type: ignore[attr-defined]
            pieces.setdefault(edit.path, []).append((a, shares[name] * scale * b))
    ranks, out = {}, _summed(backbone, statistics, list(shares.values()))
    for path, factors in pieces.items():
        a, b = torch.cat([a for a, _ in factors]), torch.cat([b for _, b in factors], dim=1)
        if rank is not None:
            u, s, v = torch.linalg.svd(b.flatten(1) @ a.flatten(1), full_matrices=False)
            k = min(rank, len(s))
            a, b = v[:k].reshape(k, *a.shape[1:]), (u[:, :k] * s[:k]).reshape(b.shape[0], k, *b.shape[2:])
        ranks[path.removeprefix("backbone.")] = len(a)
        # B includes the rest of the scale, because alpha = 1 makes a layer's scale 1 / r
        out |= dict(zip((f"{path}.{LORA}.{factor}" for factor in FACTORS), (a, len(a) * b)))
    return out, Lora(rank=1, alpha=1.0, targets=tuple(ranks), ranks=tuple(f"{p}={r}" for p, r in ranks.items()))
