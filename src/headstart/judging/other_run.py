"""Another run as the reference of an evaluation: its models, and a check that it did not train on the test examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from headstart.artifacts.artifact import Artifact
from headstart.artifacts.predictor import base_of
from headstart.backbones.backbone import Backbone
from headstart.core.disk.kept import kept_models
from headstart.core.errors import ConfigurationError, HeadstartError
from headstart.data.examples import Data, Examples
from headstart.judging.checks.labelled import same_inputs
from headstart.tasks.task import Task


@dataclass(frozen=True)
class Reference:
    """The models of another run, one per seed, on their base."""

    method: str
    folders: tuple[Path, ...]
    backbone: Backbone
    order: tuple[int, ...] | None
    "columns of its scores in the order of the task's labels"


def references(
    run: Path, methods: Mapping[str, str], task: Task, backbone: Backbone, base: str, trust_remote_code: bool
) -> dict[str, Reference]:
    """References by model: the other run's model of the same method, else its recommended one.

    backbone: base of this run with the fingerprint `base`; reused if the other run has the same. Raises
    `ConfigurationError` for another kind of task or other classes.
    """
    kept = kept_models(run)
    artifacts = {name: Artifact.open(folders[0]) for name, folders in kept.items()}
    first = next(iter(artifacts.values()))
    if first.task.kind != task.kind or first.task.modality != task.modality:
        raise ConfigurationError(
            f"{run} solves a {first.task.kind} task of {first.task.modality}s, this run a {task.kind} one of "
            f"{task.modality}s; they can't be compared."
        )
    if away := sorted(set(first.task.labels) ^ set(task.labels)):
        raise ConfigurationError(
            f"{run} has other classes; only one of the two runs has {', '.join(away[:5])}. Compare runs with the same."
        )
    same_order = first.task.labels == task.labels
    order = None if same_order else tuple(first.task.labels.index(label) for label in task.labels)
    own = backbone if first.base.fingerprint == base else base_of(first, None, trust_remote_code)
    found = {}
    for name, method in methods.items():
        same = next((each for each in kept if each == name or artifacts[each].method == method), next(iter(kept)))
        found[name] = Reference(same, tuple(kept[same]), own, order)
    return found


def refuse_trained_on(run: Path, tests: Iterable[tuple[str, Examples]], trained: Callable[[], Data]) -> None:
    """Raises `ConfigurationError` if test examples are among the training examples of the other run."""
    try:
        train = trained().train
    except HeadstartError as error:
        raise ConfigurationError(
            f"the training examples of {run}, which may hold these test examples, can't be read: {error}"
        ) from error
    for name, test in tests:
        known = same_inputs(test, train)
        if known.any():
            shown = ", ".join(test.places(known.nonzero()[0][:3]))
            raise ConfigurationError(
                f"{int(known.sum())} of the {len(test)} examples of {name} are among those that {run} was trained on, "
                f"such as {shown}: it would look better than it is. Give examples that neither saw with --test FILE."
            )
