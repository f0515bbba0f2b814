"""`predict`: labels new examples with a run's model."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.api.loading import load
from headstart.api.options import known
from headstart.core.disk.history import folder_of
from headstart.core.disk.kept import model_of
from headstart.core.errors import ConfigurationError, DataError
from headstart.core.inputs import INPUT_KINDS
from headstart.core.records.comparison import Comparison

if TYPE_CHECKING:
    from headstart.artifacts.artifact import Artifact
    from headstart.artifacts.predictor import Predictor
    from headstart.backbones.backbone import Backbone
    from headstart.tasks.task import Prediction


def predict(
    run: str | Path | int, inputs: Sequence[Any] | str, *, method: str | None = None, model: Any = None, **options: Any
) -> list[Prediction]:
    """Predicts labels and probabilities of texts, pairs of texts, or images.

    run: a run's folder, or its number in `headstart runs`.
    inputs: a list of texts, of pairs of texts, or of images (paths, bytes, Pillow images, arrays, tensors), or one of
        them; or the path of a table or of a folder of images, as on the command line.
    method: method of the run whose model predicts [default: the recommended one].
    model: needed only if the run's base was a torch module built in Python: that module, or the result of `load`.
    options: source (new place of the base, if it was moved), device, precision, trust_remote_code, documents
        (a folder in which a model that reads passages looks for them, instead of those of the training).

    The model of the last call stays loaded, so that the next call with the same run is fast; it is loaded again if its
    files have changed. Raises `DataError` for inputs that the model can't read, and names the first.
    """
    from headstart.artifacts.artifact import Artifact

    if isinstance(run, Comparison):
        raise ConfigurationError("predict takes the run's folder, as in compare(…, out='runs/film'), not the record.")
    known(options, OPTIONS)
    folder = model_of(folder_of(run if isinstance(run, Path) else str(run)), method)
    artifact = Artifact.open(folder)
    rows = _rows(inputs, artifact)
    if model is not None:
        from headstart.artifacts.predictor import Predictor

        backbone = model if hasattr(model, "ladder") else _as_trained(model, artifact)
        predictor = Predictor(folder, backbone=backbone, **options)
        try:
            return predictor(rows)
        finally:
            predictor.close()  # restores the caller's backbone
    with _LOCK:
        return _warm(folder, artifact, options)(rows)


OPTIONS = ("source", "device", "precision", "trust_remote_code", "documents")
_LOCK = threading.Lock()
_LAST: dict[Any, Predictor] = {}
"predictor of the last call, under the state of its files and its options"


def _warm(folder: Path, artifact: Artifact, options: Mapping[str, Any]) -> Predictor:
    """The predictor of the last call if its files and options are unchanged, else a new one."""
    from headstart.artifacts.predictor import Predictor

    own = folder if (folder / "artifact.json").is_file() else folder / "model"
    places = [
        own,
        *(Path(place) for place in (artifact.base.reload, options.get("source"), options.get("documents")) if place),
    ]
    key = (tuple(_state(place) for place in places), tuple(sorted(options.items())))
    if key not in _LAST:
        for old in _LAST.values():
            old.close()
        _LAST.clear()  # first, because two models may not fit into memory
        _LAST[key] = Predictor(folder, **options)
    return _LAST[key]


def _state(place: Path) -> tuple[Any, ...]:
    """Path of a file or folder, with sizes and times of all files in it."""
    files = sorted(place.rglob("*")) if place.is_dir() else [place]
    states = ((str(file), file.stat()) for file in files if file.is_file())
    return (str(place.resolve()), *((name, now.st_size, now.st_mtime_ns, now.st_ino) for name, now in states))


def _rows(inputs: Any, artifact: Artifact) -> list[Any]:
    """The inputs as a list that the model reads. Raises `DataError` for anything else."""
    modality, kind = artifact.task.modality, artifact.task.input
    if isinstance(inputs, Mapping) or hasattr(inputs, "columns") or hasattr(inputs, "column_names"):
        column = artifact.columns.get("text") or artifact.columns.get("image") or "text"
        raise DataError(
            f"predict reads a list of inputs, not a {type(inputs).__name__}: its names would be taken for inputs. Give "
            f"one column as a list, such as list(table[{column!r}])."
        )
    if isinstance(inputs, (set, frozenset)):
        raise DataError("predict reads a list: a set has no order in which its answers could come.")
    if isinstance(inputs, (str, Path)):
        from headstart.data.ingest.unlabelled import unlabelled

        single = not (kind.is_image or kind.is_pair)
        if single and isinstance(inputs, str) and (not inputs.strip() or "\n" in inputs):
            return list(_checked([inputs], modality))
        return [row.value for row in unlabelled([str(inputs)], modality, None, artifact.columns)]
    if isinstance(inputs, (bytes, bytearray)) or (kind.is_image and _is_one_image(inputs)):
        inputs = [inputs]
    if not isinstance(inputs, Iterable) or getattr(inputs, "shape", None) == ():
        raise DataError(f"predict reads a list of inputs; a {type(inputs).__name__} was given.")
    return list(_checked(inputs, modality))


def _is_one_image(value: Any) -> bool:
    """True for bytes, a Pillow image, or an array or tensor [H, W], [H, W, C] or [C, H, W]; False for [N, …]."""
    if isinstance(value, (bytes, bytearray)) or hasattr(value, "getbands"):
        return True
    shape = tuple(getattr(value, "shape", ()))
    if not hasattr(value, "__array__") or len(shape) not in (2, 3):
        return False
    if len(shape) == 3 and not {shape[0], shape[2]} & {1, 3, 4}:
        raise DataError(f"an array of shape {shape} may be one image or several; give a list of images.")
    return True


def _checked(inputs: Iterable[Any], modality: Any) -> Iterator[Any]:
    """The inputs, checked as in training; images are checked when they are decoded."""
    from headstart.data.ingest.model_input import model_input
    from headstart.data.tables.formats import FORMATS, format_of
    from headstart.data.tables.table import Problem

    kind = INPUT_KINDS[modality]
    for at, value in enumerate(inputs):
        if kind.is_image:
            if value is None or isinstance(value, (bool, int, float, tuple)):
                raise DataError(f"input {at} is no image: {value!r:.80}. Nothing was predicted.")
            yield value
            continue
        if isinstance(value, Path):
            raise DataError(f"input {at} is a path ({value}); give it alone to have its rows read, or give texts.")
        if (
            isinstance(value, str)
            and len(value) < 1_000
            and format_of(Path(value)) in FORMATS
            and Path(value).is_file()
        ):
            raise DataError(f"input {at}, {value!r}, names a file; give its path alone to have its rows read.")
        if kind.chat:
            if isinstance(made := model_input([value], modality), Problem):
                raise DataError(f"input {at} is one {made}: {value!r:.80}. Nothing was predicted.")
            yield made
            continue
        value = value.tolist() if getattr(value, "shape", ()) else value  # a row of an array is a list
        inner = list(value) if isinstance(value, (tuple, list)) else [value]
        if wrong := [one for one in inner if not isinstance(one, str) and one is not None and one == one]:
            raise DataError(f"input {at} holds a {type(wrong[0]).__name__}; this model reads {kind.plural}.")
        if isinstance(made := model_input([value] if kind.words else inner, modality), Problem):
            raise DataError(f"input {at} is one {made}: {value!r:.80}. Nothing was predicted.")
        yield made


def _as_trained(model: Any, artifact: Artifact) -> Backbone:
    """The module as a backbone, with the image preparation of the run's artifact."""
    if not artifact.task.input.is_image:
        raise ConfigurationError("a module for texts needs its tokenizer: model=headstart.load(module, tokenizer=…).")
    recorded, options = artifact.preparation, artifact.base.options
    if "features" in options:
        raise ConfigurationError("this module was given with features=…: model=headstart.load(module, features=…).")
    kept = {name: tuple(recorded[key]) for name, key in (("image_size", "size"), ("mean", "mean"), ("std", "std"))}
    return load(model, **{**options, **kept})
