"""Levels: pooled features of each rung of a frozen backbone, side by side (Head2Toe).

Lower rungs are more general, and may suit a task better than the top; a linear head on all levels uses each as needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from headstart.backbones.inputs.pictures import channels_last
from headstart.backbones.inputs.pooling import pool, read_out
from headstart.backbones.inputs.preparation import Batch
from headstart.backbones.ladder.ladder import Ladder
from headstart.backbones.ladder.shapes import first_tensor


def levels(module: nn.Module, ladder: Ladder, run: Callable[[nn.Module, Batch], Tensor], batch: Batch) -> list[Tensor]:
    """[B, D_k] each: the state entering each rung above the first, pooled, and the backbone's own pooled features.

    States [B, T, D] are averaged over real tokens, feature maps [B, C, H, W] (or [B, H, W, C]) over their area; [B, D]
    stay unchanged. Texts in words give [B, W, D_k]. Rungs that are not called with a tensor are left out.
    """
    kept: dict[str, Tensor] = {}

    def keeper(name: str) -> Callable[..., None]:
        def keep(entered: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            state = first_tensor(args, kwargs)
            if name not in kept and state is not None and state.is_floating_point():
                kept[name] = _pooled(state.float(), batch)

        return keep

    entries = [(rung.name, rung.modules[0]) for rung in ladder.rungs[1:] if rung.modules]
    hooks = [
        module.get_submodule(path).register_forward_pre_hook(keeper(name), with_kwargs=True) for name, path in entries
    ]
    try:
        top = run(module, batch)
    finally:
        for hook in hooks:
            hook.remove()
    return [*(kept[name] for name, _ in entries if name in kept), top.float()]


def _pooled(state: Tensor, batch: Batch) -> Tensor:
    mask = batch.get("attention_mask")
    if state.dim() == 3:
        if mask is not None and mask.shape == state.shape[:2]:
            return read_out(state, batch, "mean")
        return pool(state, None, "mean")
    if state.dim() == 4:
        return state.mean(dim=(1, 2) if channels_last(state.shape, batch) else (2, 3))
    return state.flatten(1)
