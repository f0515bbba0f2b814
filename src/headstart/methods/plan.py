"""Plan: what a method does to a model, as data. The engine reads plans; it knows no method."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from headstart.backbones.backbone import Reads
from headstart.backbones.ladder.upper import left_out
from headstart.core.errors import MethodError
from headstart.methods.solver import Solver
from headstart.methods.term import Stream, TaskTerm, Term


class Model(nn.Module):
    """A backbone's network with a head on its pooled features; names in plans are relative to this module."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head


class Beside(nn.Module):
    """What an edit adds to a module that stays in its place: it may change what goes in and what comes out."""

    row_wise: ClassVar[bool] = False
    "whether it does to each row of a batch what it would do to that row alone, and keeps its shape"

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with which the module is called."""
        return args, kwargs

    def after(self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        """What the call returns; `args` and `kwargs` are those that the module got."""
        return output

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self.before(args, kwargs)

    def _leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        return self.after(args, kwargs, output)


@dataclass(frozen=True)
class Edit:
    """Puts `build(module at path)` in the place of the module at `path`; with a `name`, beside it.

    With a name the module stays, keeps its type, its attributes and the names of its parameters, and gets what was
    built, a `Beside`, as a child of this name. Several edits at one path act in the order of the plan.
    """

    path: str
    build: Callable[[nn.Module], nn.Module]
    name: str = ""

    @property
    def place(self) -> str:
        """The path of what was built."""
        return f"{self.path}.{self.name}" if self.name else self.path


@dataclass(frozen=True)
class Group:
    """Parameters that train together at `scale` times the plan's learning rate.

    rung: the lowest rung that they touch; the number of rungs for the head.
    decays: False for what weight decay leaves alone; it always leaves alone what has one dimension.
    """

    name: str
    parameters: tuple[str, ...]
    rung: int
    scale: float = 1.0
    decays: bool = True


@dataclass(frozen=True)
class Phase:
    """From the fraction `start` of all steps on, the groups named here train and no others."""

    start: float
    groups: tuple[str, ...]


ScheduleName = Literal["constant", "linear", "cosine", "one_cycle", "slanted_triangular", "exponential"]


@dataclass(frozen=True)
class Schedule:
    """The learning rate over the steps, as a factor of its peak; the formulas stand in `engine/optim/schedules.py`.

    warmup: share of the steps in which the rate rises (the `cut` of the slanted triangle).
    ratio: peak over lowest rate (slanted triangular, one-cycle), or last over first (exponential).
    """

    name: ScheduleName = "linear"
    warmup: float = 0.1
    ratio: float = 32.0


@dataclass(frozen=True)
class Plan:
    """What trains, how and when. Making a plan changes nothing; `applied` does, for as long as its context lasts.

    edits: what is put into the model or beside its modules.
    reads: what the head gets, the pooled features at the top or those of all rungs.
    solver: finds the head, or the weights, without any step; None: the training loop.
    start: the solver of a head that is then trained; None: it begins at random.
    terms: the losses that are added up.
    streams: further data by name, which terms read beside the training examples.
    balanced: each batch holds the classes as evenly as it can, whatever the lengths of its examples.
    solved_after: solves the head on what was learned, after the steps and for each evaluation.
    fresh: numbers of the rungs that begin with random weights: all in the control `scratch`.
    dropped: paths of modules that are left out of their containers while the plan is applied.
    interpolation: shares a of the tuned weights in `(1 - a) start + a tuned`, of which validation chooses one.
    stretch: times as many epochs as the run's other methods: for what learns slowly by its nature.
    batch_size: examples a step where the method needs other than the run's.
    average: decay a step of a moving average of the weights, which is judged and kept in their place; 0: none.
    tail_average: evaluations without improvement after which the mean of the further steps' weights is; 0: never.
    """

    groups: tuple[Group, ...]
    learning_rate: float = 0.0
    weight_decay: float = 0.01
    edits: tuple[Edit, ...] = ()
    timeline: tuple[Phase, ...] = ()
    schedule: Schedule = field(default_factory=Schedule)
    reads: Reads = "top"
    solver: Solver | None = None
    start: Solver | None = None
    terms: tuple[Term, ...] = (TaskTerm(),)
    streams: tuple[Stream, ...] = ()
    balanced: bool = False
    solved_after: Solver | None = None
    interpolation: tuple[float, ...] = ()
    fresh: tuple[int, ...] = ()
    dropped: tuple[str, ...] = ()
    stretch: float = 1.0
    batch_size: int | None = None
    average: float = 0.0
    tail_average: int = 0
    optimizer: Literal["adamw", "sgd"] = "adamw"

    @property
    def begins_well(self) -> bool:
        """Whether the head says something before training: what is trained is judged from there on."""
        return self.start is not None

    @property
    def altered(self) -> bool:
        """Whether the features before the first step are other than the base's."""
        return bool(self.fresh or self.dropped)

    @property
    def parts(self) -> tuple[Term | Solver, ...]:
        """All that may refuse a task."""
        solvers = (self.solver, self.start, self.solved_after)
        return (*self.terms, *(solver for solver in solvers if solver is not None))

    @property
    def averages(self) -> bool:
        """Whether its weights may go into an average with those of other trainings."""
        return not self.altered and (self.solver is None or self.solver.averages)

    @property
    def calibrates(self) -> bool:
        """Whether its scores get a temperature."""
        return self.solver is None or self.solver.calibrates

    def active(self, fraction: float) -> tuple[Group, ...]:
        """The groups that train at this fraction of the steps."""
        phase = None
        for candidate in self.timeline:
            if candidate.start <= fraction + 1e-9:
                phase = candidate
        return self.groups if phase is None else tuple(g for g in self.groups if g.name in phase.groups)

    def cut(self, fraction: float) -> int:
        """The lowest rung touched up to this fraction: below it, activations are still those of the base."""
        starts = [0.0, *(phase.start for phase in self.timeline if phase.start <= fraction + 1e-9)]
        return min([*(group.rung for start in starts for group in self.active(start)), *self.fresh])

    def prefixes(self, top: int) -> list[tuple[int, Reads]]:
        """The cuts, of `top` rungs, whose states a training asks the cache for, and what the head reads above them."""
        cuts = [self.cut(at) for at in (0.0, *(phase.start for phase in self.timeline))]
        solvers = [solver for solver in (self.start, self.solver) if solver is not None]
        if not self.altered and any(solver.reads_features for solver in solvers):
            cuts.append(top)
        return [(cut, self.reads) for cut in cuts]

    def trained(self) -> tuple[str, ...]:
        """Names of all parameters that train at some time."""
        return tuple(name for group in self.groups for name in group.parameters)

    @contextlib.contextmanager
    def applied(self, model: Model, reinitialise: Callable[[nn.Module], None] | None = None) -> Iterator[Model]:
        """The model with the edits in place and only this plan's parameters requiring gradients.

        On exit the base is bit-identical to what it was: edits are taken out, and every parameter and buffer that
        could have changed is put back from a copy.
        """
        stack = contextlib.ExitStack()
        flags = {name: p.requires_grad for name, p in model.named_parameters()}
        modes = {name: m.training for name, m in model.named_modules()}
        placed: list[tuple[Edit, nn.Module]] = []
        trained = set(self.trained())
        kept = {
            name: _aside(value)
            for name, value in [*model.named_parameters(), *model.named_buffers()]
            if name.startswith("backbone.") and (self.fresh or name in trained or name not in flags)
        }
        try:
            if self.fresh:
                if reinitialise is None:
                    raise MethodError("this backbone's loader can't give it random weights, so `scratch` can't run")
                reinitialise(model.backbone)
            stack.enter_context(left_out(model, self.dropped))
            for edit in self.edits:
                module = model.get_submodule(edit.path)
                built = edit.build(module)
                if edit.name:
                    put_beside(module, edit.name, built)
                else:
                    _place(model, edit.path, built)
                placed.append((edit, module))
            parameters = dict(model.named_parameters())
            if missing := sorted(trained - set(parameters)):
                raise MethodError(f"the plan trains parameters that do not exist: {', '.join(missing[:5])}")
            for name, parameter in parameters.items():
                parameter.requires_grad_(name in trained)
            yield model
        finally:
            for edit, module in reversed(placed):
                if edit.name:
                    take_off(module, edit.name)
                else:
                    _place(model, edit.path, module)
            stack.close()
            with torch.no_grad():
                for name, value in [*model.named_parameters(), *model.named_buffers()]:
                    if name in kept:
                        value.copy_(kept[name])
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(flags[name])
                parameter.grad = None
            for name, module in model.named_modules():
                module.training = modes[name]


def _aside(value: torch.Tensor) -> torch.Tensor:
    """A copy in the host's memory, where a GPU's is short."""
    return value.detach().clone() if value.device.type == "cpu" else value.detach().cpu()


def put_beside(module: nn.Module, name: str, built: nn.Module) -> None:
    """Makes `built` a child of the module and calls it around the module's own forward."""
    assert isinstance(built, Beside), f"{type(built).__name__} stands beside a module and has to be a Beside"
    if hasattr(module, name):
        raise MethodError(f"{type(module).__name__} has a {name!r} already, where the method would put its own.")
    if isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
        raise MethodError(f"a {type(module).__name__} runs its children in turn: nothing can stand beside it.")
    module.add_module(name, built)
    built.train(module.training)
    if type(built).before is not Beside.before:
        module.register_forward_pre_hook(built._enter, with_kwargs=True)
    if type(built).after is not Beside.after:
        module.register_forward_hook(built._leave, with_kwargs=True)


def take_off(module: nn.Module, name: str) -> None:
    """The inverse of `put_beside`; also on a deep copy, whose hooks belong to the copied child."""
    built = module.get_submodule(name)
    delattr(module, name)
    hooks: tuple[Any, ...] = (
        module._forward_pre_hooks, module._forward_pre_hooks_with_kwargs,
        module._forward_hooks, module._forward_hooks_with_kwargs,
    )  # fmt: skip
    ours = {i for h in (hooks[0], hooks[2]) for i, hook in h.items() if getattr(hook, "__self__", None) is built}
    for kept in hooks:
        for i in ours & set(kept):
            del kept[i]


def _place(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)
