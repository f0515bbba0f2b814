"""Built-in backbones: folders inside the package, usable offline."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headstart.backbones.backbone import Backbone
from headstart.backbones.loaders.files import read_config, read_weights
from headstart.backbones.loaders.hub import quiet
from headstart.backbones.loaders.packaged import builtin_names, is_builtin, place
from headstart.core.errors import HeadstartError, ModelError, suggestion


def load_builtin(
    name: str, *, max_length: int | None = None, image_size: int | None = None, weights: bool = True, **options: Any
) -> Backbone:
    """Loads the built-in backbone of this name. options: those of the loader of its format."""
    names = builtin_names()
    if name not in names:
        listed = f"Built in: {', '.join(f'builtin/{n}' for n in names)}." if names else "None is built into this copy."
        raise ModelError(f"there is no built-in backbone {name!r}.{suggestion(name, names)} {listed}")
    folder, source = place() / name, f"builtin/{name}"
    if "architecture" in read_config(folder):
        from headstart.backbones.loaders.timm import load_timm

        return load_timm(source, loader="builtin", folder=folder, image_size=image_size, weights=weights, **options)
    return _text(folder, source, max_length=max_length, weights=weights, **options)


@contextlib.contextmanager
def unpacked(source: str) -> Iterator[str]:
    """Context with a folder of a built-in text encoder for transformers; other sources are returned unchanged.

    Raises `ModelError` for a built-in backbone of images.
    """
    if not is_builtin(source):
        yield source
        return
    backbone: Any = load_builtin(source.removeprefix("builtin/"))
    if backbone.modality != "text":
        raise ModelError(
            f"{source} reads {backbone.modality}s, and texts are read here; builtin/gist is a text encoder."
        )
    with tempfile.TemporaryDirectory(prefix="headstart-") as folder:
        with quiet():
            backbone.module.save_pretrained(folder)
            backbone.preparation.tokenizer.save_pretrained(folder)
        try:
            yield folder
        except HeadstartError as error:  # because the user knows it by this name
            raise type(error)(str(error).replace(folder, source)) from error


def _text(folder: Path, source: str, *, weights: bool, **options: Any) -> Backbone:
    """A folder in transformers' format with 8-bit weights."""
    from headstart.backbones.loaders.eight_bits import restored
    from headstart.backbones.loaders.transformers import load_transformers

    backbone = load_transformers(str(folder), weights=False, **options)
    if weights:
        backbone.module.load_state_dict(restored(read_weights(folder / "model.safetensors")))
        del backbone.options["weights"]
    backbone.source = backbone.reload = source
    return backbone
