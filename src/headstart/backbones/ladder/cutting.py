"""Activation caching: runs a backbone from a rung up, on cached activations, with the model's own forward.

Rungs below the cut are replaced by stand-ins that return zeros of the right shape, and the first module of the rung
at the cut gets the cached state in place of its first tensor. All modules from there on run normally.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone, Batch, Reads
from headstart.backbones.ladder.modes import evaluating
from headstart.backbones.ladder.shapes import Sizes, Spec, first_tensor, shown, spec_of

RELATIVE, ABSOLUTE = 1e-4, 1e-5
"tolerance of `check`, in float32"


class _Reached(Exception):
    """Stops a forward pass at the cut, as soon as the state is known."""


class Cut:
    """A backbone cut below rung `rung`; with `rung == len(ladder)` the state is the features.

    A cut learns the shapes of its stand-ins from the batches that it records; call `check` before using a cut, which
    records two batches of different shape.
    """

    def __init__(self, backbone: Backbone, rung: int) -> None:
        if not 0 <= rung <= len(backbone.ladder):
            raise ValueError(f"rung {rung} of a ladder with {len(backbone.ladder)}")
        self.backbone, self.rung = backbone, rung
        rungs = backbone.ladder.rungs
        self._entry = next((r.modules[0] for r in rungs[rung:] if r.modules), None)
        self._lower = tuple(path for r in rungs[:rung] for path in r.modules)
        self._specs: dict[str, list[Spec]] = {}

    @property
    def _module(self) -> nn.Module:
        return self.backbone.module

    @property
    def is_top(self) -> bool:
        return self.rung == len(self.backbone.ladder) or self._entry is None

    # ------------------------------------------------------------------------------------------------- recording
    @torch.no_grad()
    def record(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Runs the whole forward; returns the features [B, D] and the state that enters the rung at the cut."""
        if self.is_top:
            features = self.backbone.features(batch)
            return features, features
        with self.capturing() as kept, self._watching(batch):
            features = self.backbone.features(batch)
        if not kept:
            raise RuntimeError(f"{self._entry} never ran")
        return features, kept[0]

    @torch.no_grad()
    def state(self, batch: Batch, reads: Reads = "top") -> Tensor:
        """The state only; the forward stops at the cut. reads: the features to return for a cut above all rungs."""
        if self.is_top:
            return self.backbone.features(batch, reads)
        with self.capturing(stop=True) as kept, contextlib.suppress(_Reached):
            self.backbone.features(batch)
        return kept[0]

    @contextlib.contextmanager
    def capturing(self, stop: bool = False) -> Iterator[list[Tensor]]:
        kept: list[Tensor] = []

        def keep(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if not kept:
                state = first_tensor(args, kwargs)
                if state is None:
                    raise RuntimeError("the module at the cut is called without a tensor")
                kept.append(state.detach().clone())
                if stop:
                    raise _Reached

        entry = self._module.get_submodule(self._entry or "")
        hook = entry.register_forward_pre_hook(keep, with_kwargs=True, prepend=True)
        try:
            yield kept
        finally:
            hook.remove()

    @contextlib.contextmanager
    def _watching(self, batch: Batch) -> Iterator[None]:
        """Records the shapes of the outputs of the lower modules, call by call."""
        sizes, calls, hooks = Sizes.of(batch), dict.fromkeys(self._lower, 0), []

        def watch(path: str, output: Any) -> None:
            specs, call = self._specs.setdefault(path, []), calls[path]
            calls[path] += 1
            spec = spec_of(output, sizes)
            if call < len(specs):
                specs[call] = specs[call].merged(spec)
            else:
                specs.append(spec)

        for path in self._lower:
            module = self._module.get_submodule(path)
            hooks.append(module.register_forward_hook(lambda m, args, out, path=path: watch(path, out)))  # type: ignore[misc]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    # -------------------------------------------------------------------------------------------------- resuming
    def resume(self, batch: Batch, state: Tensor) -> Tensor:
        """Features [B, D] from the state of the same examples, padded as `batch` is; gradients flow above the cut."""
        if self.is_top:
            return state
        if any(path not in self._specs for path in self._lower):
            self.record(batch)
        # the widest, because frozen layers may be rounded during a training
        dtype = max((p.dtype for p in self._module.parameters()), key=lambda kind: kind.itemsize)
        state = state.to(dtype) if state.is_floating_point() else state
        with self._standing_in(batch, state):
            return self.backbone.features(batch)

    @contextlib.contextmanager
    def _standing_in(self, batch: Batch, state: Tensor) -> Iterator[None]:
        sizes = Sizes.of(batch)
        own: dict[nn.Module, Any] = {}  # module -> its instance-level forward, or None
        used = False

        def stand_in(path: str) -> Any:
            call = -1

            def forward(*args: Any, **kwargs: Any) -> Any:
                nonlocal call
                call = min(call + 1, len(self._specs[path]) - 1)
                return self._specs[path][call].zeros(sizes, state)

            return forward

        def restore() -> None:
            while own:
                module, forward = own.popitem()
                if forward is None:
                    del module.forward
                else:
                    module.forward = forward

        def enter(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            nonlocal used
            if used:  # only once, because a block may run several times (ALBERT)
                return None
            used = True
            restore()  # restored now, because layers may be shared with the lower rungs
            return _with_first(args, kwargs, state)

        # prepended before a method's hooks, because the cache holds the base's state
        entry = self._module.get_submodule(self._entry or "")
        hook = entry.register_forward_pre_hook(enter, with_kwargs=True, prepend=True)
        try:
            for path in self._lower:
                module = self._module.get_submodule(path)
                if self._specs.get(path):
                    own[module] = module.__dict__.get("forward")
                    module.forward = stand_in(path)
            yield
        finally:
            hook.remove()
            restore()

    # -------------------------------------------------------------------------------------------------- checking
    def check(self, batches: Sequence[Batch] | None = None) -> str | None:
        """None if resuming equals the whole forward on two batches of different shape; else the reason.

        Runs in eval mode; padded positions of the state are zeroed first, like in a cache without padding.
        """
        batches = self.backbone.probes() if batches is None else batches
        try:
            with torch.no_grad(), evaluating(self._module):
                recorded = [(batch, *self.record(batch)) for batch in batches]
                for batch, whole, state in recorded:
                    resumed = self.resume(batch, _without_padding(batch, state))
                    if resumed.shape != whole.shape:
                        return f"from rung {self.rung} the features have shape {shown(resumed)}, not {shown(whole)}"
                    if not torch.allclose(resumed, whole, rtol=RELATIVE, atol=ABSOLUTE):
                        worst = float((resumed - whole).abs().max())
                        return (
                            f"features from rung {self.rung} differ from the whole forward's by up to {worst:.1e}: "
                            "something below the cut reaches above it besides the state"
                        )
        except Exception as error:
            return f"running from rung {self.rung} fails with {type(error).__name__}: {str(error)[:200]}"
        return None


@torch.no_grad()
def states(cuts: Sequence[Cut], batch: Batch, reads: Reads = "top") -> list[Tensor]:
    """The state of each cut, from one forward that stops at the highest."""
    highest = max(cuts, key=lambda c: c.rung)
    with contextlib.ExitStack() as stack:
        kept = {c: stack.enter_context(c.capturing()) for c in cuts if not c.is_top and c is not highest}
        top = highest.state(batch, reads)
    return [kept[c][0] if c in kept else top for c in cuts]


def check(backbone: Backbone, rung: int, batches: Sequence[Batch] | None = None) -> str | None:
    """None if the cut is exact, else the reason; see `Cut.check`."""
    return Cut(backbone, rung).check(batches)


def _without_padding(batch: Batch, state: Tensor) -> Tensor:
    mask = batch.get("attention_mask")
    if mask is None or state.dim() < 2 or state.shape[:2] != mask.shape:
        return state
    return state * mask.reshape(*mask.shape, *(1,) * (state.dim() - 2)).to(state.dtype)


def _with_first(args: tuple[Any, ...], kwargs: dict[str, Any], state: Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if args and isinstance(args[0], Tensor):
        return (state, *args[1:]), kwargs
    name = next(k for k, v in kwargs.items() if isinstance(v, Tensor))
    return args, {**kwargs, name: state}
