"""Plan: what a method does to a model, as data. The engine reads plans; it knows no method."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from torch import Tensor, nn

from headstart.backbones.backbone import Batch, Reads
from headstart.backbones.inputs.word_marks import SIGNS
from headstart.backbones.ladder.upper import left_out
from headstart.backbones.snapshot import Snapshot
from headstart.core.errors import MethodError
from headstart.methods.chat_view import ChatView
from headstart.methods.slots import Beside as Beside
from headstart.methods.slots import Edit as Edit
from headstart.methods.slots import Slots
from headstart.methods.solver import Solver
from headstart.methods.term import Outputs, Stream, TaskTerm, Term
from headstart.methods.view import View

if TYPE_CHECKING:
    from headstart.tasks.task import Task

ONLY = "only"
"the name of a plan's edits in slots that hold no other adapter"


BESIDE = "beside."
"what the names of parameters of a plan's modules begin with"


class Model(nn.Module):
    """A backbone's network with a head on its pooled features; names in plans are relative to it."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, batch: Batch, read: Callable[[Batch], Tensor]) -> Outputs:
        """Features and scores of a batch.

        read: the backbone's features, by its whole forward or from kept activations on; autocast is for them alone.
        """
        return Outputs(read(batch).float(), self.head, batch.get(SIGNS))


@dataclass(frozen=True)
class Group:
    """Parameters that train together at `scale` times the plan's learning rate.

    rung: the lowest rung that they touch; the number of rungs for the head.
    decays: False to exempt them from weight decay; parameters of one dimension are always exempt.
    """

    name: str
    parameters: tuple[str, ...]
    rung: int
    scale: float = 1.0
    decays: bool = True


@dataclass(frozen=True)
class Alongside:
    """A module that terms use and that trains with the model, such as a discriminator; it is never saved.

    build: makes it on the CPU. Its parameters are named `beside.NAME.…`, and groups of the plan have to name them.
    """

    name: str
    build: Callable[[], nn.Module] = field(repr=False)


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
    """A training as data: what trains, how and when. Making a plan changes nothing; only `applied` changes a model.

    edits: modules that are put beside the model's modules.
    reads: features that the head reads, the pooled ones at the top or those of all rungs.
    solver: finds the head, or the weights, without steps; None for the training loop.
    start: solver of a head that is then trained; None for a random head.
    view: prompt around an input, its instruction and demonstrations; the head then reads log likelihoods of the
        words of each class. A `ChatView` stands around questions whose answers are generated, also in training.
    terms: losses, which are summed.
    streams: further data by name, which terms read in addition to the training examples.
    modules: modules that train with the model and are never saved; a term finds one as `at.module.beside[name]`.
    balanced: True for batches with as equal numbers of each class as possible, whatever the lengths of the examples.
    solved_after: solver of the head on the learned features, after the steps and for each evaluation.
    fresh: numbers of the rungs that begin with random weights; all of them in the control `scratch`.
    dropped: paths of modules that are left out of their containers while the plan is applied.
    interpolation: shares a of the tuned weights in `(1 - a) start + a tuned`, of which validation chooses one.
    stretch: factor on the run's number of epochs, for methods that learn slowly.
    batch_size: examples per step, if the method needs another number than the run's.
    average: decay per step of a moving average of the weights, which is judged and kept instead of them; 0 for none.
    tail_average: evaluations without improvement after which the mean of all later weights is judged and kept; 0 for
        never.
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
    view: View | ChatView | None = None
    terms: tuple[Term, ...] = (TaskTerm(),)
    streams: tuple[Stream, ...] = ()
    modules: tuple[Alongside, ...] = ()
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
        """True if the head starts fitted (LP-FT, zero-shot); step 0 is then a candidate."""
        return self.start is not None

    @property
    def altered(self) -> bool:
        """True if the features before the first step differ from the base's."""
        return bool(self.fresh or self.dropped)

    @property
    def of_modules(self) -> frozenset[str]:
        """Names of the groups whose parameters lie in `modules`."""
        return frozenset(g.name for g in self.groups if any(n.startswith(BESIDE) for n in g.parameters))

    @property
    def served(self) -> Plan:
        """The plan of the saved model, without what only training needs."""
        own = self.of_modules
        return replace(self, modules=(), groups=tuple(group for group in self.groups if group.name not in own))

    @property
    def parts(self) -> tuple[Term | Solver, ...]:
        """Terms and solvers, each of which may refuse a task."""
        solvers = (self.solver, self.start, self.solved_after)
        return (*self.terms, *(solver for solver in solvers if solver is not None))

    @property
    def averages(self) -> bool:
        """True if its weights may go into an average with those of other trainings."""
        return not self.altered and (self.solver is None or self.solver.averages)

    @property
    def calibrates(self) -> bool:
        """True if its scores get a temperature."""
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
        if self.view is not None:
            return []
        cuts = [self.cut(at) for at in (0.0, *(phase.start for phase in self.timeline))]
        solvers = [solver for solver in (self.start, self.solver) if solver is not None]
        if not self.altered and any(solver.reads_features for solver in solvers):
            cuts.append(top)
        return [(cut, self.reads) for cut in cuts]

    def trained(self) -> tuple[str, ...]:
        """Names of all parameters that train at some time."""
        return tuple(name for group in self.groups for name in group.parameters)

    def check(self, task: Task) -> None:
        """Raises `MethodError` for a task that the plan has no meaning for."""
        for part in self.parts:
            part.check(task)
        if not self.solver and not self.trained():
            raise MethodError("it trains a new head alone, and here the model's own head answers; train lora or full")

    @contextlib.contextmanager
    def applied(self, model: Model, reinitialise: Callable[[nn.Module], None] | None = None) -> Iterator[Model]:
        """The model with the edits in its slots and only this plan's parameters requiring gradients.

        On exit the base is bit-identical to before: the slots are taken out, and every parameter and buffer that
        could have changed is restored from a copy.
        """
        slots, trained = Slots(model), set(self.trained())
        with contextlib.ExitStack() as stack:
            stack.enter_context(_as_before(model, lambda name: bool(self.fresh) or name in trained))
            if self.fresh:
                if reinitialise is None:
                    raise MethodError("this backbone's loader can't give it random weights, so `scratch` can't run")
                reinitialise(model.backbone)
            stack.enter_context(left_out(model, self.dropped))
            if self.modules:
                device = next(model.parameters()).device
                model.beside = nn.ModuleDict({one.name: one.build().to(device) for one in self.modules})
                stack.callback(delattr, model, "beside")
            stack.callback(slots.close)
            slots.put(ONLY, self.edits)
            stack.enter_context(slots.using(ONLY))
            parameters = dict(model.named_parameters())
            if missing := sorted(trained - set(parameters)):
                raise MethodError(f"the plan trains parameters that do not exist: {', '.join(missing[:5])}")
            for name, parameter in parameters.items():
                parameter.requires_grad_(name in trained)
            yield model


@contextlib.contextmanager
def _as_before(model: Model, changes: Callable[[str], bool]) -> Iterator[None]:
    """On exit, flags, modes, buffers and the parameters that change are those from before."""
    flags = {name: p.requires_grad for name, p in model.named_parameters()}
    modes = {name: m.training for name, m in model.named_modules()}
    buffers = [name for name, _ in model.named_buffers() if name.startswith("backbone.")]
    changed = [*filter(changes, (n for n in flags if n.startswith("backbone."))), *buffers]
    with restoring(model, changed, brief=False):
        try:
            yield
        finally:
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(flags[name])
                parameter.grad = None
            for name, module in model.named_modules():
                module.training = modes[name]


@contextlib.contextmanager
def restoring(model: nn.Module, names: Collection[str], brief: bool = True) -> Iterator[None]:
    """On exit these parameters and buffers have the values from before, from copies.

    brief: False if the context lasts a training or a predictor's life, so that large copies go into a file.
    """
    own = set(names)

    def present() -> dict[str, Tensor]:
        return {n: value for n, value in [*model.named_parameters(), *model.named_buffers()] if n in own}

    kept = Snapshot(present(), brief)
    try:
        yield
    finally:
        kept.put_back(present())
