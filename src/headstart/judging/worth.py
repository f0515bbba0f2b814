"""Gain of a pretraining on a task: a probe on its features, and on those of the network without it."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.backbones.loaders.load import load
from headstart.comparison.rank import subset_of
from headstart.comparison.selection import same_modality
from headstart.core.records.record import Record
from headstart.data.examples import Data
from headstart.engine.machine.precision import Compute
from headstart.judging.system import base_system
from headstart.stats.intervals import interval
from headstart.stats.metric_choice import chosen_metric
from headstart.stats.paired import compare

EXAMPLES = 1_000
"maximum number of training examples of the probe"


@dataclass(frozen=True)
class Against(Record):
    """Difference of the pretrained network from another one, paired by example."""

    name: str
    "`from scratch`: the same network with random weights; `base`: the start of the pretraining"
    value: float
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float
    p_value: float


@dataclass(frozen=True)
class Worth(Record):
    """A probe on frozen features, on the validation examples, with a 95 % interval."""

    data: str
    metric: str
    examples: int
    "trained on"
    validation: int
    value: float
    low: float
    high: float
    against: tuple[Against, ...]

    def lines(self) -> list[str]:
        """Summary for the terminal."""
        told = [f"a probe on {self.data} ({self.examples:,} examples, judged by {self.validation:,} of validation): "
                f"{self.metric} {self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"]  # fmt: skip
        return told + [
            f"  {one.name} {one.value:.3f} [{one.low:.3f}, {one.high:.3f}]; pretraining brought {one.difference:+.3f} "
            f"[{one.difference_low:+.3f}, {one.difference_high:+.3f}], p = {one.p_value:.2g}"
            for one in self.against
        ]


def worth(source: str, data: Data, compute: Compute, base: str | None = None) -> Worth:
    """Worth of the folder `source`. base: start of the pretraining, for comparison. Never uses the test split."""
    measure, _ = chosen_metric(data)
    train = subset_of(data.train, EXAMPLES)
    sides = {"": (source, True), "from scratch": (source, False)}
    if base is not None:
        sides["base"] = (base, True)
    found = {}
    for name, (place, weights) in sides.items():
        backbone = load(place, weights=weights)
        same_modality(data, backbone)
        if not weights:
            backbone.reinitialise(backbone.module, 0)
        backbone.module.to(compute.device)
        system = base_system(backbone, compute, train, data.task)
        scores = system.scores(data.validation.inputs())
        found[name] = [data.task.predictions(data.validation, scores)]
    against = []
    for name, runs in found.items():
        if name:
            test = compare(found[""], runs, measure)
            against.append(Against(name, *interval(runs, measure), test.difference, test.low, test.high, test.p_value))
    return Worth(
        data.record.source, measure.name, len(train), len(data.validation), *interval(found[""], measure),
        tuple(against),
    )  # fmt: skip
