"""Workshop: data and model opened once for many trainings, with the cache and the tokenized examples that they share.

A spec names its data and model; a workshop has them in memory. Trainings in one process share one, so that nothing is
loaded twice; another machine opens its own from the spec (`opened`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from types import TracebackType
from typing import Any

import numpy as np
import xxhash

from headstart.artifacts.artifact import fields_of
from headstart.backbones.backbone import Backbone
from headstart.comparison.selection import same_modality
from headstart.core.errors import ConfigurationError, MethodError
from headstart.core.fields import configured
from headstart.core.records.trial import DataSpec, IngredientSpec, ModelSpec, TrialSpec
from headstart.data.examples import Data
from headstart.engine.adapt import Setting
from headstart.engine.cache.cache import Cache
from headstart.engine.feed.augment import Augment
from headstart.engine.feed.feed import Feed
from headstart.engine.job import Options
from headstart.engine.machine.precision import Compute, compute
from headstart.engine.state.surroundings import put
from headstart.methods.method import METHODS, Method, method_class, settled
from headstart.methods.solver import Ingredient
from headstart.stats.metric_choice import chosen_metric
from headstart.stats.metrics import Metric
from headstart.stats.predictions import Predictions

DIGITS = "builtin/digits"
"source of the embedded data set"


@dataclass(eq=False)
class Workshop:
    """The model is on the device until `close`, which restores it and frees the cache."""

    data: Data
    backbone: Backbone
    options: Options
    compute: Compute
    metric: Metric
    workers: int = 0
    "threads that prepare examples"

    def __post_init__(self) -> None:
        same_modality(self.data, self.backbone)
        self.options = self.options.sized(len(self.data.train))
        augment = Augment(self.options.augment, self.options.word_dropout)
        backbone, data = self.backbone, self.data
        self._back = put(backbone, self.compute)
        self.cache = Cache(backbone, self.compute, self.options.cache_bytes)
        self.train = Feed("train", data.train, backbone, augment, self.workers)
        self.validation = Feed("validation", data.validation, backbone, workers=self.workers)
        self.setting = Setting(
            backbone, data.task, self.train, self.validation, self.options, self.compute, self._score, self.cache,
            documents=data.documents,
        )  # fmt: skip
        self._plain = (
            Feed("train:plain", data.train, backbone, workers=self.workers) if self.train.fresh else self.train
        )

    def __enter__(self) -> Workshop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.cache.close()
        self._back.close()

    @cached_property
    def test(self) -> Feed:
        """Read lazily, because work on validation alone must not read it."""
        return Feed("test", self.data.test, self.backbone, workers=self.workers)

    def _score(self, scores: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
        value = self.metric.of(Predictions(np.arange(len(scores)), targets, scores))
        return value, value if self.metric.higher_is_better else -value

    def settled(self, method: Method) -> Method:
        """The method with its starting learning rate."""
        return settled(method, self.backbone)

    def epochs(self, share: float) -> float:
        """Epochs in this share of a usual training; below 1, only some examples are used."""
        assert self.options.epochs is not None
        return share * self.options.epochs

    def seen(self, share: float) -> tuple[float, int]:
        """Epochs of a training of this share, and the number of training examples that it uses."""
        epochs = self.epochs(share)
        return epochs, min(len(self.train), math.ceil(epochs * len(self.train)))

    @cached_property
    def _opened(self) -> tuple[DataSpec, ModelSpec]:
        return data_spec(self.data), model_spec(self.backbone)

    def spec(
        self, name: str, method: Method, seed: int, share: float = 1.0, ingredients: Sequence[IngredientSpec] = (),
        keeps: bool = True,
    ) -> TrialSpec:  # fmt: skip
        """The spec of a training here. name: the method's in tables and messages."""
        data, model = self._opened
        return TrialSpec(
            data, model, name, registered(method), fields_of(method), asdict(self.options), self.metric.name, seed,
            str(self.compute.device), self.compute.precision, share, tuple(ingredients), keeps,
        )  # fmt: skip

    def check(self, spec: TrialSpec) -> None:
        """Raises `ConfigurationError` unless this training is of the data, model and options that are open here."""
        mine = replace(
            spec, data=self._opened[0], model=self._opened[1], options=asdict(self.options), metric=self.metric.name,
            device=str(self.compute.device), precision=self.compute.precision,
        )  # fmt: skip
        if changed := spec.changed(mine):
            raise ConfigurationError(
                f"{spec.title} can't be trained here: its {' and '.join(changed)} are not those that are open. If the "
                "data or the model have changed, make the spec anew."
            )

    def setting_of(self, spec: TrialSpec, method: Method, ingredients: Sequence[Ingredient]) -> Setting:
        """What the engine needs for this training."""
        # plain examples, because a head can't be solved on endless augmented views
        setting = replace(self.setting, train=self._plain) if method.solved else self.setting
        return replace(setting, share=spec.share, ingredients=tuple(ingredients))


def registered(method: Method) -> str:
    """The name by which another process finds this method's class: registered, or joined such as `distill+lora`."""
    kind = type(method)
    name = next((name for name in METHODS if METHODS[name] is kind), kind.__name__)
    if name.partition("+")[0] not in METHODS or method_class(name) is not kind:
        raise MethodError(f"{kind.__name__} is registered under no name, by which another process could find it.")
    return name


def data_spec(data: Data) -> DataSpec:
    digest = xxhash.xxh3_128(repr(data.task).encode())
    for part in (data.train, data.validation, data.test):
        for array in (part.ids, part.targets):
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(array.tobytes())
    if data.documents is not None:
        digest.update(data.documents.fingerprint.encode())
    options: dict[str, Any] = json.loads(json.dumps(dict(data.origin or {}), default=str))
    source = options.pop("data", None) if data.origin is not None else None
    if data.origin is not None and source is None:
        source = DIGITS
    return DataSpec(data.record.fingerprint, digest.hexdigest(), source, options)


def model_spec(backbone: Backbone) -> ModelSpec:
    return ModelSpec(backbone.fingerprint, backbone.reload, json.loads(json.dumps(backbone.options, default=str)))


def opened(spec: TrialSpec) -> Workshop:
    """Reads the data and loads the model that a spec names.

    Raises `ConfigurationError` if they have changed since, or if no file holds them. Code that comes with a model never
    runs here.
    """
    from headstart.backbones.loaders.load import load
    from headstart.data.embedded import digits
    from headstart.data.read import read

    for what, place in (("data", spec.data.source), ("model", spec.model.source)):
        if place is None:
            raise ConfigurationError(
                f"the {what} of {spec.title} were objects of Python, which no file holds; train it in a workshop that "
                "was opened with them."
            )
    source = str(spec.data.source)
    data = digits() if source == DIGITS else read(source, **spec.data.options)
    backbone = load(str(spec.model.source), **spec.model.options)
    options = configured(Options, spec.options, "training")
    workshop = Workshop(
        data, backbone, options, compute(spec.device, spec.precision), chosen_metric(data, spec.metric)[0]
    )
    workshop.check(spec)
    return workshop
