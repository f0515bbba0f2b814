"""`load`: dispatches a model's source to its loader, by the name or the folder's content."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.inputs.chat import Trained
from headstart.backbones.inputs.chat_lengths import TooLong
from headstart.backbones.inputs.preparation import TextPreparation
from headstart.backbones.loaders.files import check_finite, read_config
from headstart.backbones.vocabulary import has_vocabulary
from headstart.core.errors import ConfigurationError, ModelError, unknown

if TYPE_CHECKING:
    from headstart.backbones.loaders.two_towers import TwoTowers


def load(
    source: str | Path | nn.Module,
    *,
    pooling: str | None = None,
    max_length: int | None = None,
    image_size: int | None = None,
    blocks: str | None = None,
    trust_remote_code: bool = False,
    weights: bool = True,
    vocabulary: bool = False,
    train_on: Trained | None = None,
    too_long: TooLong | None = None,
    **live: Any,
) -> Backbone:
    """A backbone from a live module, a folder, `timm/…`, `torchvision/…`, `builtin/…` or a hub name for transformers.

    pooling: `mean`, `cls` or `last`; each loader has its own default.
    max_length: maximum length of a text, in tokens.
    image_size: side of the square images, in pixels.
    blocks: path of the chain of blocks, for a model with several.
    weights: False for the architecture with random weights.
    vocabulary: True for a causal language model of transformers with its head over the vocabulary, for generation.
    train_on: answers of a conversation that are trained, `all` (the default) or the `last`.
    too_long: what becomes of a conversation of more than `max_length` tokens: `raise` (the default), `drop`, or `cut`
        the start of its prompt.
    live: options of live modules: `features`, `tokenizer`, `mean`, `std`.

    Raises `ModelError` with advice if the source can't be loaded.
    """
    loaded = _loaded(
        source, pooling=pooling, max_length=max_length, image_size=image_size, blocks=blocks,
        trust_remote_code=trust_remote_code, weights=weights, vocabulary=vocabulary, **live,
    )  # fmt: skip
    if vocabulary and not has_vocabulary(loaded):
        raise ModelError(
            f"{loaded.source} is no causal language model, so that it generates no answers; give the folder or the hub "
            "name of one, such as SmolLM2 or GPT-2."
        )
    _set_chats(loaded, {"train_on": train_on, "too_long": too_long})
    if weights:
        check_finite(loaded.module, loaded.source)
    return loaded


def _set_chats(loaded: Backbone, given: dict[str, Any]) -> None:
    """Raises `ConfigurationError` for another choice than the allowed ones, and for a model that reads no texts."""
    given = {name: value for name, value in given.items() if value is not None}
    preparation = loaded.preparation
    for name, value in given.items():
        if not isinstance(preparation, TextPreparation):
            raise ConfigurationError(f"{name} is for conversations, and {loaded.source} reads images; leave it out.")
        if value not in get_args(Trained if name == "train_on" else TooLong):
            raise unknown(name, value, get_args(Trained if name == "train_on" else TooLong))
        setattr(preparation, "trained" if name == "train_on" else name, value)
    loaded.options |= given


def _loaded(
    source: str | Path | nn.Module, *, pooling: str | None, max_length: int | None, image_size: int | None,
    blocks: str | None, trust_remote_code: bool, weights: bool, vocabulary: bool, **live: Any,
) -> Backbone:  # fmt: skip
    if isinstance(source, nn.Module):
        # a copy, because the loader removes the classifier of the user's network
        from headstart.backbones.loaders.module import load_module

        return load_module(
            copy.deepcopy(source), pooling=pooling, max_length=max_length, image_size=image_size, blocks=blocks,
            vocabulary=vocabulary, **live,
        )  # fmt: skip
    if live:
        raise ConfigurationError(f"{', '.join(live)}: only for a live nn.Module, not for {source!s}.")
    name = str(source)
    common: dict[str, Any] = {"pooling": pooling, "blocks": blocks, "weights": weights}
    text: dict[str, Any] = {"max_length": max_length, "trust_remote_code": trust_remote_code}
    folder = Path(name).expanduser()
    if folder.is_dir():
        config = read_config(folder)
        if config.get("library") == "torchvision":
            from headstart.backbones.loaders.torchvision import load_torchvision

            return load_torchvision(str(folder), image_size=image_size, **common)
        if config.get("kind") == "word_vectors":
            from headstart.backbones.loaders.vector_backbone import load_word_vectors

            return load_word_vectors(str(folder), max_length=max_length, **common)
        if config.get("kind") == "clip":
            from headstart.backbones.loaders.two_towers import load_clip

            return load_clip(str(folder), load, image_size=image_size, **common)
        if config.get("kind") in ("awd_lstm", "elmo"):
            from headstart.backbones.loaders.recurrent import load_recurrent

            return load_recurrent(str(folder), max_length=max_length, **common)
        if "architecture" in config:
            from headstart.backbones.loaders.timm import load_timm

            return load_timm(str(folder), image_size=image_size, **common)
        from headstart.backbones.loaders.transformers import load_transformers

        return load_transformers(str(folder), image_size=image_size, vocabulary=vocabulary, **text, **common)
    if folder.is_file():
        from headstart.backbones.loaders.vector_files import is_vector_file

        if is_vector_file(folder):
            from headstart.backbones.loaders.vector_backbone import load_word_vectors

            return load_word_vectors(str(folder), max_length=max_length, **common)
        raise ModelError(f"{name} is a file; give the folder that holds config.json and model.safetensors.")
    prefix, _, rest = name.partition("/")
    if prefix == "builtin":
        from headstart.backbones.loaders.builtin import load_builtin

        return load_builtin(rest, image_size=image_size, max_length=max_length, **common)
    if prefix == "timm":
        from headstart.backbones.loaders.timm import load_timm

        return load_timm(name, image_size=image_size, **common)
    if prefix == "torchvision":
        from headstart.backbones.loaders.torchvision import load_torchvision

        return load_torchvision(name, image_size=image_size, **common)
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ModelError(f"there is no folder {name}; give a folder, a hub name, timm/…, torchvision/… or builtin/….")
    from headstart.backbones.loaders.transformers import load_transformers

    return load_transformers(name, image_size=image_size, vocabulary=vocabulary, **text, **common)


def two_towers(source: str | Path) -> TwoTowers:
    """Loads both towers of a folder of `headstart pretrain clip`, or of CLIP or SigLIP of transformers.

    Raises `ModelError` for other models.
    """
    from headstart.backbones.loaders.transformers_towers import transformers_towers
    from headstart.backbones.loaders.two_towers import KIND, read_towers

    folder = Path(source).expanduser()
    if folder.is_dir() and read_config(folder).get("kind") == KIND:
        return read_towers(folder, load)[0]
    return transformers_towers(str(source))
