"""Backbones: pretrained models without their heads, the ladders of their rungs, and the loaders that read them."""

from __future__ import annotations

from typing import Any

from headstart.core.showing import TEXT


def _drawn(backbone: Any) -> str:
    from headstart.backbones.ladder.drawing import draw

    return draw(backbone)


TEXT["Backbone"] = _drawn  # registered here, because the contract must not import its drawing
