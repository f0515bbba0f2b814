"""Names of the options of the API, and checks of their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.core.errors import ConfigurationError, unknown

READ = ("text", "label", "prompt", "answer", "messages", "group", "cluster_by", "validation", "test", "kind", "seed",
        "class_weights", "documents")  # fmt: skip
"options of reading the data"
LOAD = ("pooling", "max_length", "image_size", "blocks", "trust_remote_code", "train_on", "too_long")
"options of loading the model"
OTHER = ("methods", "seeds", "trials", "metric", "device", "precision", "workers", "settings", "race", "budget", "keep",
         "by", "folds", "prefer", "margin")  # fmt: skip
"options of a comparison"


def configuration_of(data: Any, model: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration that a run saves, so that its data and model can be loaded again.

    Results of `read` and `load` are saved as their sources and options. Objects without a source, such as a module or
    a list, are listed under `from_python`, because the user must pass them again.
    """
    found: dict[str, Any] = {"data": data, "model": model}
    if (origin := getattr(data, "origin", None)) is not None:
        found |= origin
    if (name := getattr(model, "reload", None)) is not None:
        found |= {"model": name, **only(model.options, LOAD)}
    nameless = [key for key in ("data", "model") if not isinstance(found[key], (str, Path, type(None)))]
    found |= {key: type(found[key]).__name__ for key in nameless}
    if nameless:
        found["from_python"] = nameless
    return {key: _plain(value) for key, value in {**found, **options}.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple, range)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def names_of(cls: Any) -> set[str]:
    import dataclasses

    return {field.name for field in dataclasses.fields(cls)}


def known(options: Mapping[str, Any], allowed: Sequence[str]) -> None:
    for name in options:
        if name not in allowed:
            raise unknown("option", name, allowed)


def in_range(options: Any) -> None:
    least = {"epochs": 1, "batch_size": 1, "batch_tokens": 1, "patience": 1, "cache_bytes": 0}
    for name, lowest in least.items():
        value = getattr(options, name)
        if value is not None and value < lowest:
            raise ConfigurationError(f"{name} is {value}, but has to be at least {lowest}.")
    if not options.clip > 0:
        raise ConfigurationError(f"clip is {options.clip}, but has to be above 0.")
    if not 0 <= options.word_dropout < 1:
        raise ConfigurationError(f"word_dropout is {options.word_dropout}, but has to lie in [0, 1).")


def only(options: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: options[name] for name in names if name in options}


def workers_of(data: Any, workers: int) -> dict[str, int]:
    return {} if data is None else {"workers": workers}


def title_of(data: Any) -> str:
    if data is None:
        return "digits"
    source = data.record.source if hasattr(data, "record") else data
    return (Path(source).stem if isinstance(source, (str, Path)) else "") or "data"
