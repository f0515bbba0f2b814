"""Names and folders of the backbones that come with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

DEFAULTS = {"image": "builtin/glance", "text": "builtin/gist", "text_pair": "builtin/gist"}
"what is taken for data of a modality where the user names nothing"


def place() -> Path:
    """The folder that holds them, one folder a name."""
    return Path(str(resources.files("headstart.backbones"))) / "builtin_weights"


def builtin_names() -> list[str]:
    """Names of the backbones that come with Headstart: the folders present."""
    if not place().is_dir():
        return []
    return sorted(p.name for p in place().iterdir() if (p / "config.json").is_file())


def is_builtin(source: str) -> bool:
    """Whether the name means one of the package's; a folder of the user's goes before it, as in `load`."""
    return source.startswith("builtin/") and not Path(source).is_dir()


def place_of(source: str) -> Path:
    """The folder of `builtin/…`, or the source as a path."""
    return place() / source.removeprefix("builtin/") if is_builtin(source) else Path(source).expanduser()
