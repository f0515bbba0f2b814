"""Built-in backbones: folders inside the package, in timm's format, that need no network."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from headstart.backbones.backbone import Backbone
from headstart.core.errors import ModelError, suggestion


def place() -> Path:
    """The folder that holds them, one folder a name."""
    return Path(str(resources.files("headstart.backbones"))) / "builtin_weights"


def builtin_names() -> list[str]:
    """Names of the backbones that come with Headstart: the folders present."""
    if not place().is_dir():
        return []
    return sorted(p.name for p in place().iterdir() if (p / "config.json").is_file())


def load_builtin(name: str, **options: Any) -> Backbone:
    """The built-in backbone of this name; `options` are those of `load_timm`."""
    from headstart.backbones.timm import load_timm

    names = builtin_names()
    if name not in names:
        listed = f"Built in: {', '.join(f'builtin/{n}' for n in names)}." if names else "None is built into this copy."
        raise ModelError(f"there is no built-in backbone {name!r}.{suggestion(name, names)} {listed}")
    return load_timm(f"builtin/{name}", loader="builtin", folder=place() / name, **options)
