"""Mixed batches (multi-LoRA): rows of one batch use different adapters; the base's layers run once for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from headstart.artifacts.bank.entry import Entry
from headstart.backbones.backbone import Backbone, Batch
from headstart.methods.adapters.lora_layer import LoraLayer
from headstart.methods.plan import Beside, Edit, Model, Plan


class Flattened(Exception):
    """Raised for a tensor whose first dimension is not the batch, so that its rows can't be separated."""


@dataclass
class Rows:
    """Assignment of the rows of the batch to adapters; rows of one adapter are adjacent."""

    count: int = 0
    slices: dict[str, slice] = field(default_factory=dict)

    def check(self, x: Tensor) -> None:
        if x.shape[0] != self.count:
            raise Flattened


def plan_of(backbone: Backbone, entry: Entry) -> Plan:
    return entry.method.attach(backbone, entry.method.head(backbone, entry.task.outputs, bias=entry.head_bias))


def mixable(backbone: Backbone, entry: Entry) -> bool:
    """True if the adapter only has row-wise edits, and its head reads the top."""
    plan = plan_of(backbone, entry)
    places = tuple(f"{edit.place}." for edit in plan.edits) + ("head.",)
    own = backbone.module.state_dict()
    changed = [  # because statistics of norms are saved even if they are the base's
        name
        for name, value in entry.weights.items()
        if not name.startswith(places) and not torch.equal(value, own[name.removeprefix("backbone.")].cpu())
    ]
    if plan.reads != "top" or not plan.edits or changed:
        return False
    built = [edit.build(_module(backbone, edit)) for edit in plan.edits]
    return all(isinstance(one, LoraLayer) or (isinstance(one, Beside) and one.row_wise) for one in built)


def _module(backbone: Backbone, edit: Edit) -> nn.Module:
    return backbone.module.get_submodule(edit.path.partition(".")[2])


Place = tuple[str, str]
"(path, name) of an edit"


class Parts:
    """Modules and head of one adapter, built once for all batches."""

    def __init__(self, backbone: Backbone, entry: Entry) -> None:
        self.built: dict[Place, Any] = {}
        with torch.random.fork_rng(devices=[]):
            for edit in plan_of(backbone, entry).edits:
                part = edit.build(_module(backbone, edit))
                prefix = f"{edit.place}."
                own = {k.removeprefix(prefix): v for k, v in entry.weights.items() if k.startswith(prefix)}
                part.load_state_dict(own, strict=False)  # keys were checked before; those of the base stay
                self.built[edit.path, edit.name] = part.requires_grad_(False)
            self.head = _head(backbone, entry)
        self.factors: dict[Place, tuple[Tensor, Tensor]] = {}
        for place, part in self.built.items():
            if isinstance(part, LoraLayer) and (found := part.factors()) is not None:
                self.factors[place] = found


class Mixed:
    """Several adapters that share batches; their modules are referenced, never copied."""

    def __init__(self, backbone: Backbone, parts: Mapping[str, Parts]) -> None:
        self.backbone, self._rows = backbone, Rows()
        self._plan = _mixed_plan(backbone, parts, self._rows)
        self._heads = {name: one.head for name, one in parts.items()}

    def logits(self, batch: Batch, names: Sequence[str]) -> list[Tensor]:
        """[outputs] for each row, by its adapter.

        Raises `Flattened` if a module moves rows into another dimension.
        """
        order = sorted(range(len(names)), key=lambda i: names[i])
        ends = [i + 1 for i, place in enumerate(order) if i + 1 == len(order) or names[order[i + 1]] != names[place]]
        starts = [0, *ends[:-1]]
        self._rows.count = len(order)
        self._rows.slices = {names[order[s]]: slice(s, e) for s, e in zip(starts, ends)}
        sorted_batch = {key: value[torch.tensor(order, device=value.device)] for key, value in batch.items()}
        with self._plan.applied(Model(self.backbone.module, nn.Identity())) as model:
            model.eval()
            with torch.no_grad():
                features = self.backbone.features(sorted_batch).float()  # [B, D]
        out: list[Tensor] = [torch.empty(0)] * len(names)
        for name, own in self._rows.slices.items():
            for place, scores in zip(order[own], self._heads[name](features[own])):
                out[place] = scores
        return out


def _head(backbone: Backbone, entry: Entry) -> nn.Module:
    head = entry.method.head(backbone, entry.task.outputs, bias=entry.head_bias).requires_grad_(False)
    own = {name.removeprefix("head."): v for name, v in entry.weights.items() if name.startswith("head.")}
    head.load_state_dict(own)
    return head.to(next(backbone.module.parameters()).device)


def _mixed_plan(backbone: Backbone, parts: Mapping[str, Parts], rows: Rows) -> Plan:
    """One edit per place that an adapter edits."""
    edits = []
    for path, name in dict.fromkeys(place for one in parts.values() for place in one.built):
        here = {each: one.built[path, name] for each, one in parts.items() if (path, name) in one.built}
        factors = {each: one.factors[path, name] for each, one in parts.items() if (path, name) in one.factors}
        base = backbone.module.get_submodule(path.partition(".")[2])
        built = MixedBeside(here, rows) if name else MixedLora(base, here, factors, rows)
        edits.append(Edit(path, partial(_built, built), f"mixed_{name}" if name else ""))
    return Plan((), edits=tuple(edits))


def _built(part: nn.Module, module: nn.Module) -> nn.Module:
    """Returns the prepared module."""
    return part


class MixedLora(nn.Module):
    """Runs the base's layer once for all rows, and each adapter's update on its rows."""

    def __init__(
        self, base: nn.Module, parts: dict[str, Any], factors: dict[str, tuple[Tensor, Tensor]], rows: Rows
    ) -> None:
        super().__init__()
        self.base, self.parts, self.factors, self.rows = base, parts, factors, rows

    @property
    def weight(self) -> Any:
        return self.base.weight

    @property
    def bias(self) -> Any:
        return self.base.bias

    def forward(self, x: Tensor) -> Tensor:
        self.rows.check(x)
        y: Tensor = self.base(x)
        if self.factors:
            y = y.contiguous()
            each = x.numel() // x.shape[-1] // len(x)  # places per row
            flat, out = x.reshape(-1, x.shape[-1]), y.view(-1, y.shape[-1])  # [B T, in], [B T, out]
        for name, own in self.rows.slices.items():
            if name in self.factors:
                down, up = self.factors[name]
                here = slice(own.start * each, own.stop * each)
                low = (down @ flat[here].T).T  # [places, r]; in this order, because the other product is slow
                out[here].addmm_(low, up)
            elif name in self.parts:  # not for DoRA, which also scales the base's output, nor for convolutions
                y[own] = self.parts[name](x[own])
        return y


class MixedBeside(Beside):
    """Modules beside a layer, each adapter's for its rows."""

    def __init__(self, parts: dict[str, Any], rows: Rows) -> None:
        super().__init__()
        self.parts, self.rows = parts, rows

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        self.rows.check(args[0])
        here = {name: self.parts[name] for name in self.rows.slices if name in self.parts}
        changing = {name: part for name, part in here.items() if type(part).before is not Beside.before}
        x = args[0].clone() if changing else args[0]
        for name, part in changing.items():
            own = self.rows.slices[name]
            x[own] = part.before((args[0][own],), {})[0][0]
        return (x, *args[1:]), kwargs

    def after(self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        first: Tensor = output[0] if isinstance(output, tuple) else output
        self.rows.check(first)
        out = first.clone()
        for name, own in self.rows.slices.items():
            if name in self.parts:
                out[own] = self.parts[name].after((), {}, first[own])
        return (out, *output[1:]) if isinstance(output, tuple) else out
