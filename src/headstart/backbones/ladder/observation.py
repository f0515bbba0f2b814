"""Observes one run of a module: the units that ran, their order, and those on the stream of activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from headstart.backbones.ladder.modes import evaluating


@dataclass
class Observation:
    """Observations about the units (paths) in one run.

    first: position of a unit's first call among all calls.
    stream: units that ran and whose output starts with the batch size; others (norms of relative embeddings, rotary
        tables) run beside the stream of activations.
    touched: ids of the parameters in the graph of the pooled features; no gradient is computed.
    """

    first: dict[str, int] = field(default_factory=dict)
    stream: set[str] = field(default_factory=set)
    touched: set[int] = field(default_factory=set)

    def influences(self, module: nn.Module) -> bool:
        return any(id(p) in self.touched for p in module.parameters())


def observe(root: nn.Module, paths: Iterable[str], run: Callable[[], Tensor]) -> Observation:
    """Runs the module once, in eval mode, with gradients; restores modes, flags, gradients and hooks."""
    seen = Observation()
    outputs: dict[str, Tensor | None] = {}

    def note(path: str, module: nn.Module, args: Any, output: Any) -> None:
        if path not in seen.first:
            seen.first[path] = len(seen.first)
            outputs[path] = next(tensors(output), None)

    flags = {p: p.requires_grad for p in root.parameters()}
    hooks = [root.get_submodule(path).register_forward_hook(partial(note, path)) for path in paths]
    try:
        for p in flags:
            p.requires_grad_(p.is_floating_point())
        with torch.enable_grad(), evaluating(root):
            features = run()
            seen.touched = _leaves_of(features)
    finally:
        for hook in hooks:
            hook.remove()
        for p, flag in flags.items():
            p.requires_grad_(flag)
    for path, output in outputs.items():
        module = root.get_submodule(path)
        buffers_alone = not any(True for _ in module.parameters()) and any(True for _ in module.buffers())
        if output is not None and output.dim() and output.shape[0] == len(features) and not buffers_alone:
            seen.stream.add(path)
    return seen


def _leaves_of(value: Tensor) -> set[int]:
    """Ids of the leaf tensors of this tensor's graph."""
    found, waiting, done = set(), [value.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in done:
            continue
        done.add(node)
        if (leaf := getattr(node, "variable", None)) is not None:
            found.add(id(leaf))
        waiting += [following for following, _ in node.next_functions]
    return found


def tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in nested tuples, lists and dicts (model outputs among them), in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors(item)
