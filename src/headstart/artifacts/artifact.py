"""Artifacts: the trained changes of a model, and the reference to its base.

A folder with `artifact.json` and `weights.safetensors`. The weights are the head, the parameters that trained (LoRA
factors, unfrozen rungs) and the statistics of norms above the cut; the base is given by name and fingerprint.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone, fingerprint
from headstart.core.disk.files import replacing_folder, write_json
from headstart.core.disk.runs import PROGRESS
from headstart.core.errors import ArtifactError
from headstart.core.fields import configured
from headstart.core.records.record import Record
from headstart.data.documents.library import PASSAGES, read_passages, write_passages
from headstart.data.documents.passages import Passage
from headstart.engine.state.tensors import write_tensors
from headstart.methods.chat_view import ChatView
from headstart.methods.method import METHODS, Method, head_for, method_class
from headstart.methods.plan import BESIDE, Model, Plan
from headstart.methods.view import View
from headstart.tasks.task import Task

SCHEMA = "headstart.artifact/2"
UNNAMED = {
    "lora": r"(?<!\.lora)\.(lora_[ab]\.weight|magnitude|first_[ab])$",
    "prefix": r"(?<!\.prefix)\.(keys|values)$",
}
"by method, the tensors that lay at the layer itself in schema 1; now they lie at the part beside it, `LAYER.METHOD`"


@dataclass(frozen=True)
class Base(Record):
    """The base of an artifact."""

    source: str
    loader: str
    fingerprint: str
    reload: str | None
    "hub name or folder of the base; None for a live module, which the user must pass"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Artifact(Record):
    method: str
    configuration: dict[str, Any]
    task: Task
    base: Base
    preparation: dict[str, Any]
    "preprocessing: image size, mean, interpolation; maximum text length, hash of the tokenizer"
    head_bias: bool
    tensors: tuple[str, ...]
    "exact keys of weights.safetensors"
    columns: dict[str, str] = field(default_factory=dict)
    "columns of the training data by role, to find the input in similar files"
    precision: str = "fp32"
    "number format of matrix products in training and prediction"
    libraries: dict[str, str] = field(default_factory=dict)
    answer_tokens: int = 0
    "most tokens of a generated answer"
    temperature: float = 1.0
    "temperature of the head's scores, fitted on validation; already included in the weights"
    view: View | None = None
    "prompt around an input, of a prompted model: instruction, demonstrations, words"
    chat_view: ChatView | None = None
    "demonstrations and passages around a question whose answer is generated"
    schema: str = SCHEMA

    @classmethod
    def open(cls, folder: str | Path) -> Artifact:
        """Reads `artifact.json` of an artifact's folder or of a run folder."""
        for place in (Path(folder), Path(folder) / "model"):
            if (place / "artifact.json").is_file():
                found = cls.read(place / "artifact.json")
                return replace(found, tensors=tuple(map(found._today, found.tensors)))
        if not Path(folder).is_dir():
            raise ArtifactError(f"there is no folder {folder}; give a run folder such as runs/NAME.")
        if (Path(folder) / "adapter_config.json").exists():
            raise ArtifactError(f"{folder} is an adapter of PEFT; headstart adopt {folder} makes a run of it.")
        if (Path(folder) / PROGRESS).is_dir():
            raise ArtifactError(
                f"{folder} holds no trained model yet: its run was interrupted. The same command "
                "with --resume continues it."
            )
        raise ArtifactError(f"{folder} holds no trained model (artifact.json); give a run folder such as runs/NAME.")

    def trained_with(self) -> Method:
        """The method with its settings in training."""
        if any(name not in METHODS for name in self.method.split("+")):
            raise ArtifactError(
                f"this run was trained with the method {self.method!r}, which is not here; install the package that "
                "brings it."
            )
        made: Method = configured(method_class(self.method), self.configuration, self.method)
        return made

    def weights(self, folder: str | Path) -> dict[str, Tensor]:
        """The tensors in this artifact's folder, by their names in the model."""
        return {self._today(name): value for name, value in read_tensors(folder).items()}

    def _today(self, name: str) -> str:
        """The name of a tensor that an earlier version may have written."""
        if self.method not in UNNAMED or not name.startswith("backbone."):
            return name
        return re.sub(UNNAMED[self.method], rf".{self.method}.\1", name)

    def check_base(self, backbone: Backbone) -> None:
        """Raises `ArtifactError` if the backbone is not, or no longer, the base of this artifact."""
        found = fingerprint(
            backbone.module
        )  # computed now, because the backbone's fingerprint is that of its first access
        if not self.base.fingerprint == found == backbone.fingerprint:
            raise ArtifactError(
                f"the base model {backbone.source!r} is not the one this artifact was trained on: its fingerprint is "
                f"{found}, not {self.base.fingerprint}. Give the unchanged base, or train again."
            )

    def check_inputs(self, backbone: Backbone) -> None:
        """Raises `ArtifactError` if the backbone's preprocessing or pooling differs from training."""
        if not backbone.preparation.like(self.preparation):
            raise ArtifactError("the base prepares inputs in another way than in training; give the unchanged base.")
        for option in ("pooling", "blocks", "features"):
            was, now = self.base.options.get(option), backbone.options.get(option)
            if was != now:
                raise ArtifactError(f"the base was trained with {option}={was}, and is given with {option}={now}.")


def kept_tensors(model: Model, plan: Plan, backbone: Backbone) -> dict[str, Tensor]:
    """All differences of the model from its base: trained parameters, head, buffers above the cut."""
    state = model.state_dict()
    parameters = {name for name, _ in model.named_parameters()}
    aliases = {name for name, _ in model.named_parameters(remove_duplicate=False)} - parameters  # tied weights
    wanted = set(plan.served.trained()) | {name for name in state if name.startswith("head.")}
    wanted |= {f"backbone.{name}" for rung in plan.fresh for name in backbone.ladder.rungs[rung].parameters}
    below = tuple(f"backbone.{path}." for rung in backbone.ladder.rungs[: plan.cut(1.0)] for path in rung.modules)
    for name in state.keys() - aliases:
        if name not in parameters and not name.startswith((BESIDE, *below)):
            wanted.add(name)
    return {name: state[name] for name in sorted(wanted)}


def save(
    folder: str | Path, model: Model, plan: Plan, backbone: Backbone, *, method: str, configuration: dict[str, Any],
    task: Task, columns: dict[str, str], precision: str, libraries: dict[str, str],
    temperature: float = 1.0, answer_tokens: int = 0, passages: Sequence[Passage] = (),
) -> Artifact:  # fmt: skip
    """Writes the artifact's folder atomically. Raises `ResourceError` if it can't be written."""
    tensors = kept_tensors(model, plan, backbone)
    artifact = Artifact(
        method=method,
        configuration=configuration,
        task=task,
        base=Base(
            backbone.source, backbone.loader, backbone.fingerprint, lasting(backbone.reload), dict(backbone.options)
        ),
        preparation=backbone.preparation.to_json(),
        head_bias=any(name.endswith("bias") for name, _ in model.head.named_parameters()),
        tensors=tuple(tensors),
        columns=columns,
        precision=precision,
        libraries=libraries,
        answer_tokens=answer_tokens,
        temperature=temperature,
        view=plan.view if isinstance(plan.view, View) else None,
        chat_view=plan.view if isinstance(plan.view, ChatView) else None,
    )
    with replacing_folder(folder) as temporary:
        write_tensors(temporary / "weights.safetensors", tensors)
        write_json(temporary / "artifact.json", artifact.to_json())
        if passages:
            write_passages(temporary / PASSAGES, passages)
    return artifact


def passages_of(folder: str | Path) -> list[Passage]:
    """The passages that the saved model searches; none for another model."""
    files = (Path(folder) / PASSAGES, Path(folder) / "model" / PASSAGES)
    return next((read_passages(file) for file in files if file.is_file()), [])


def lasting(place: str | None) -> str | None:
    """Absolute path of a folder or file, because predictions may run in another directory."""
    return str(Path(place).resolve()) if place is not None and Path(place).exists() else place


@contextlib.contextmanager
def reloaded(folder: str | Path, backbone: Backbone) -> Iterator[tuple[Artifact, Model, Plan]]:
    """The saved model on its base inside the context; the base is restored afterwards.

    Raises `ArtifactError` if the base is another one, or if a tensor is missing, unexpected or of another shape.
    """
    artifact = Artifact.open(folder)
    artifact.check_base(backbone)
    artifact.check_inputs(backbone)
    method, weights = artifact.trained_with(), artifact.weights(folder)
    with restored(backbone, method, artifact.task, artifact.head_bias, weights, artifact.tensors) as (model, plan):
        yield artifact, model, replace(plan, view=artifact.view or artifact.chat_view)


@contextlib.contextmanager
def restored(
    backbone: Backbone,
    method: Method,
    task: Task,
    head_bias: bool,
    weights: dict[str, Tensor],
    tensors: tuple[str, ...],
) -> Iterator[tuple[Model, Plan]]:
    """The method on the bare base with these weights, inside the context.

    tensors: required names. Raises `ArtifactError` if one is missing, unexpected or does not fit.
    """
    with contextlib.ExitStack() as stack:
        # because random values drawn here are overwritten, and must not change the caller's generator
        with torch.random.fork_rng(devices=[]):
            model, plan = planned(backbone, method, task, head_bias, weights)
            stack.enter_context(plan.applied(model, lambda module: None))
        fill(model, weights, {*tensors, *kept_tensors(model, plan, backbone)})
        model.eval()
        yield model, plan


def planned(
    backbone: Backbone, method: Method, task: Task, head_bias: bool, weights: dict[str, Tensor]
) -> tuple[Model, Plan]:
    """The base with a new head of the size of these weights, and the method's plan, which is not applied."""
    head = head_for(method, backbone, task, bias=head_bias)
    size_head(head, weights)
    model = Model(backbone.module, head.to(next(backbone.module.parameters()).device))
    return model, method.attach(backbone, head).served


def size_head(head: nn.Module, weights: dict[str, Tensor]) -> None:
    """Resizes the head's buffers, because heads that store examples grow with their number."""
    for name, buffer in list(head.named_buffers()):
        value = weights.get(f"head.{name}")
        if value is not None and value.dim() == buffer.dim():
            owner, _, last = name.rpartition(".")
            setattr(head.get_submodule(owner), last, torch.zeros_like(value))


def read_tensors(folder: str | Path) -> dict[str, Tensor]:
    place = Path(folder)
    file = next(
        (p for p in (place / "weights.safetensors", place / "model" / "weights.safetensors") if p.exists()), None
    )
    if file is None:
        raise ArtifactError(f"{folder} has no weights.safetensors; the artifact is incomplete.")
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise ArtifactError(f"{file} can't be read ({error}); it was cut short or changed.") from error


def fill(model: Model, weights: dict[str, Tensor], wanted: set[str]) -> None:
    """Raises `ArtifactError` unless the keys are those of the artifact and the plan, so that no head stays random."""
    state = model.state_dict()
    missing = sorted(wanted - set(weights))
    unexpected = sorted(set(weights) - (wanted & set(state)))
    if missing or unexpected:
        raise ArtifactError(
            f"the artifact's weights do not fit: missing {missing[:5] or 'none'}, "
            f"unexpected {unexpected[:5] or 'none'}."
        )
    for name, value in weights.items():
        if state[name].shape != value.shape:
            raise ArtifactError(
                f"{name} has shape {tuple(value.shape)} in the artifact, {tuple(state[name].shape)} in the model."
            )
        with torch.no_grad():
            state[name].copy_(value)


def fields_of(method: Any) -> dict[str, Any]:
    """A method's settings as plain data, for artifacts and records."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(method).items()}
