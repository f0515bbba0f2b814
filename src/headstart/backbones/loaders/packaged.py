"""Names and folders of the backbones that come with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

DEFAULTS = {
    "image": "builtin/glance",
    "text": "builtin/gist",
    "text_pair": "builtin/gist",
    "text_words": "builtin/gist",
    "passage": "builtin/gist",
}
"default backbone by the modality of the data"


def place() -> Path:
    """The folder of the built-in backbones, with one subfolder per name."""
    return Path(str(resources.files("headstart.backbones"))) / "builtin_weights"


def builtin_names() -> list[str]:
    """Names of the built-in backbones, by the existing folders."""
    if not place().is_dir():
        return []
    return sorted(p.name for p in place().iterdir() if (p / "config.json").is_file())


def is_builtin(source: str) -> bool:
    """True if the name means a built-in backbone; a folder of the user has priority, as in `load`."""
    return source.startswith("builtin/") and not Path(source).is_dir()


def place_of(source: str) -> Path:
    """The folder of `builtin/…`, or the source as a path."""
    return place() / source.removeprefix("builtin/") if is_builtin(source) else Path(source).expanduser()
