"""What a comparison is asked for, beside its data and its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from headstart.backbones.backbone import Backbone
from headstart.comparison.selection import check_methods, same_modality
from headstart.comparison.verdict.verdict import check_preference
from headstart.core.errors import ConfigurationError
from headstart.data.examples import Data
from headstart.engine.feed.augment import Augment
from headstart.engine.job import Options
from headstart.methods.method import Method
from headstart.stats.guess import margin_in
from headstart.stats.metric_choice import chosen_metric


@dataclass(frozen=True)
class Asked:
    methods: Mapping[str, Method]
    "by their names in the table"
    options: Options = Options()  # noqa: RUF009 - frozen
    seeds: tuple[int, ...] = (0, 1, 2)
    trials: int = 3
    "configurations tried per method"
    metric: str | None = None
    "None for the default metric of the task"
    race: bool = False
    "stop trainings early that are clearly behind on validation (`race/race.py`)"
    budget: float | None = None
    "seconds for the whole run, for a race"
    keep: bool = False
    "keep the models of all methods and seeds, as `models/METHOD/seed0`"
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    "positions of test examples by name (`data.parts`), with separate results in the record"
    prefer: str = "quality"
    "criterion of the verdict"
    margin: float | None = None
    "its non-inferiority margin (`guess.margin_in`)"
    workers: int = 0
    "threads that prepare examples"

    def check(self, data: Data, backbone: Backbone) -> None:
        """Raises a subclass of `HeadstartError` for mistakes that can be found before the run writes anything."""
        if not self.seeds or self.trials < 1:
            raise ConfigurationError(
                f"seeds and trials have to be at least 1, not {len(self.seeds)} and {self.trials}."
            )
        same_modality(data, backbone)
        margin_in(chosen_metric(data, self.metric)[0], self.margin)
        check_preference(self.prefer)
        self._check_augmentation(data)
        check_methods(self.methods, backbone, data.task)

    def _check_augmentation(self, data: Data) -> None:
        """Raises `ConfigurationError` for an augmentation without effect."""
        task, options = data.task, self.options
        if options.augment != "none" and not task.input.is_image:
            raise ConfigurationError(f"augment={options.augment} is for images; for texts there is word_dropout.")
        if Augment(options.augment).blends and not task.exclusive:
            raise ConfigurationError(f"{options.augment} is for single_label tasks; choose augment light or strong.")
        if options.word_dropout and not task.pooled:
            raise ConfigurationError("word_dropout leaves out words, on each of which answers rest here; leave it out.")
        if options.word_dropout and task.input.is_image:
            raise ConfigurationError("word_dropout is for texts; for images there is augment.")
