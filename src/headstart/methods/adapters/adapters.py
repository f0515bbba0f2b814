"""Bottleneck adapters (Houlsby, Pfeiffer, parallel, convolutional) inside the blocks of a frozen backbone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from headstart.backbones.backbone import Backbone
from headstart.backbones.ladder.attention import output_projection
from headstart.backbones.ladder.ladder import Site
from headstart.backbones.ladder.outputs import outputs_of
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, GradientMethod, head_group, rung_groups
from headstart.methods.plan import Beside, Edit, Group, Plan


@dataclass(frozen=True)
class Place:
    """Place of an adapter: the path of its module, and the numbers of features that it reads and returns."""

    rung: int
    path: str
    inputs: int
    outputs: int
    picture: bool = False
    "True if its tensors are [B, C, H, W]"


@dataclass(frozen=True)
class Bottleneck(GradientMethod):
    """`y + s (f(x W_down + b_down) W_up + b_up)`, with W_up = b_up = 0 at the start, so that step 0 equals the base."""

    base_rate: ClassVar[float] = 1e-3
    conv_rate: ClassVar[float] = 3e-3

    reduction: float = 16.0
    "reduction factor: stream width divided by bottleneck width (at least 1 unit)"
    activation: Literal["relu", "gelu"] = "gelu"
    "activation f between the two projections: relu or gelu"
    scale: float = 1.0
    "factor s on the adapter's output"
    norms: bool = False
    "train the norms of the adapted rungs too"

    def places(self, backbone: Backbone) -> list[Place]:
        """Places of the adapters. Raises `MethodError` if the backbone has none."""
        raise NotImplementedError

    def edits(self, backbone: Backbone, places: list[Place]) -> list[Edit]:
        return [Edit(f"backbone.{place.path}", partial(self.build, place), "adapter") for place in places]

    def build(self, place: Place, module: nn.Module) -> Adapter:
        width = max(1, round(place.outputs / self.reduction))
        adapter = Adapter(place, width, self.activation, self.scale)
        weight = next(iter(module.parameters()), None)
        return adapter if weight is None else adapter.to(weight.device, weight.dtype)

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        if not self.reduction > 0:
            raise MethodError(f"reduction is {self.reduction}, but has to be above 0; 16 is usual.")
        places = self.places(backbone)
        groups, rungs = [], sorted({place.rung for place in places})
        for rung in rungs:
            paths = [place.path for place in places if place.rung == rung]
            names = tuple(f"backbone.{path}.adapter.{name}" for path in paths for name in Adapter.NAMES)
            groups.append(Group(f"adapter:{backbone.ladder.rungs[rung].name}", names, rung=rung))
        if self.norms:
            sites = [site.path for site in backbone.ladder.sites_of("norm") if site.rung in rungs]
            owners = [(path, backbone.module.get_submodule(path)) for path in sites]
            own = {f"{path}.{name}" for path, norm in owners for name, _ in norm.named_parameters(recurse=False)}
            groups.extend(rung_groups(backbone, only=own))
        edits = tuple(self.edits(backbone, places))
        return self.plan(backbone, (*groups, head_group(backbone, head)), edits=edits)


def _blocks(backbone: Backbone, name: str) -> list[int]:
    """Rungs with attention."""
    rungs = sorted({site.rung for site in backbone.ladder.sites_of("attention")})
    if not rungs:
        raise MethodError(
            f"{name}: this backbone has no attention blocks; train conv_adapter on convolutions, lora on the others."
        )
    return rungs


def _after(backbone: Backbone, rungs: list[int], *parts: str) -> list[Place]:
    """Places after the output projections of these sub-layers."""
    found = [output_projection(backbone.module, backbone.ladder, rung, part) for rung in rungs for part in parts]
    return [Place(site.rung, site.path, site.outputs, site.outputs) for site in found if site is not None]


@METHODS.register("houlsby")
@dataclass(frozen=True)
class Houlsby(Bottleneck):
    """Two adapters per block: after the output projections of attention and feed-forward, before the residual sums.

    The norms of the blocks train too, as in the paper. Source: Houlsby et al. 2019, "Parameter-Efficient Transfer
    Learning for NLP", section 2.1.
    """

    summary: ClassVar[str] = "two bottleneck adapters in each block, and its norms"

    norms: bool = True
    "train the norms of the adapted rungs too"

    def places(self, backbone: Backbone) -> list[Place]:
        return _after(backbone, _blocks(backbone, "houlsby"), "attention", "feedforward")


@METHODS.register("pfeiffer")
@dataclass(frozen=True)
class Pfeiffer(Bottleneck):
    """One adapter per block, after the output projection of the feed-forward.

    Source: Pfeiffer et al. 2021, "AdapterFusion: Non-Destructive Task Composition for Transfer Learning", section 3.
    """

    summary: ClassVar[str] = "one bottleneck adapter in each block"

    def places(self, backbone: Backbone) -> list[Place]:
        return _after(backbone, _blocks(backbone, "pfeiffer"), "feedforward")


@METHODS.register("parallel")
@dataclass(frozen=True)
class Parallel(Bottleneck):
    """One adapter per block, parallel to the feed-forward: it reads the same input and adds to the output.

    Source: He et al. 2022, "Towards a Unified View of Parameter-Efficient Transfer Learning", section 4.6.
    """

    summary: ClassVar[str] = "one bottleneck adapter beside each feed-forward"

    scale: float = 4.0
    "factor s on the adapter's output (4 in the paper)"

    def places(self, backbone: Backbone) -> list[Place]:
        found = []
        for place in _after(backbone, _blocks(backbone, "parallel"), "feedforward"):
            found.append(Place(place.rung, place.path, _first(backbone, place.rung).inputs, place.outputs))
        return found

    def edits(self, backbone: Backbone, places: list[Place]) -> list[Edit]:
        """The adapters, and an `Ear` at the first layer of each feed-forward that records the input for its adapter."""
        edits = []
        for edit, place in zip(super().edits(backbone, places), places):
            heard: list[Tensor] = []
            ear = Edit(f"backbone.{_first(backbone, place.rung).path}", partial(_ear, heard), "ear")
            edits += [ear, Edit(edit.path, partial(_listening, edit.build, heard), edit.name)]
        return edits


def _first(backbone: Backbone, rung: int) -> Site:
    """The first layer of a block's feed-forward; in a gated one, either of the two that read its input."""
    return next(s for s in backbone.ladder.sites_of("linear") if s.rung == rung and s.part == "feedforward")


@METHODS.register("conv_adapter")
@dataclass(frozen=True)
class ConvAdapter(Bottleneck):
    """One adapter per rung of convolutions, after its last module: 1x1 convolutions down and up on [B, C, H, W].

    Sources: Rebuffi et al. 2018, "Efficient parametrization of multi-domain deep neural networks"; Chen et al. 2022,
    "Conv-Adapter".
    """

    summary: ClassVar[str] = "a convolutional bottleneck adapter after each block"

    reduction: float = 4.0
    "reduction factor: stream width divided by bottleneck width (at least 1 unit)"

    def places(self, backbone: Backbone) -> list[Place]:
        rungs = sorted({site.rung for site in backbone.ladder.sites_of("conv")})
        links = {r: [_last(backbone.module, path) for path in backbone.ladder.rungs[r].modules] for r in rungs}
        modules = {rung: [path for path in paths if path is not None] for rung, paths in links.items()}
        seen = outputs_of(backbone, [path for paths in modules.values() for path in paths])
        ends = {rung: [path for path in paths if path in seen][-1:] for rung, paths in modules.items()}
        found = [(rung, path, seen[path]) for rung, end in ends.items() for path in end if seen[path].channels_first]
        if not found or backbone.ladder.sites_of("attention"):
            raise MethodError(
                "conv_adapter: this backbone is no convolutional network, whose rungs give pictures of channels; train "
                "pfeiffer or houlsby on attention blocks, lora on the others."
            )
        return [Place(rung, path, out.size, out.size, picture=True) for rung, path, out in found]


def _last(root: nn.Module, path: str) -> str | None:
    """The path, or for a chain the path of its last module, because a chain would run an adapter as another link.

    None for other containers of modules, such as DenseNet's blocks.
    """
    module = root.get_submodule(path)
    while isinstance(module, nn.Sequential) and len(module):
        name, module = list(module.named_children())[-1]
        path = f"{path}.{name}"
    return None if isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict)) else path


class Adapter(Beside):
    """Adds a bottleneck of the same or of another tensor to a module's output [B, …, D] or [B, C, H, W]."""

    row_wise: ClassVar[bool] = True
    NAMES = ("down.weight", "down.bias", "up.weight", "up.bias")

    def __init__(self, place: Place, width: int, activation: str, scale: float) -> None:
        super().__init__()
        layer: Any = partial(nn.Conv2d, kernel_size=1) if place.picture else nn.Linear
        self.down, self.up = layer(place.inputs, width), layer(width, place.outputs)
        self.activation: Callable[[Tensor], Tensor] = F.gelu if activation == "gelu" else F.relu
        self.scale = scale
        self.heard: list[Tensor] | None = None
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def added(self, x: Tensor) -> Tensor:
        return self.scale * self.up(self.activation(self.down(x)))

    def after(self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        if isinstance(output, tuple):  # torch's MultiheadAttention also returns its attention weights
            return (output[0] + self.added(output[0]), *output[1:])
        return output + self.added(output if self.heard is None else self.heard.pop())


class Ear(Beside):
    """Records the input of its module for the adapter that reads it."""

    row_wise: ClassVar[bool] = True

    def __init__(self, heard: list[Tensor]) -> None:
        super().__init__()
        self.heard = heard

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        self.heard[:] = [args[0]]
        return args, kwargs

    def folded(self, module: nn.Module) -> None:
        """Does nothing, because it has no weights."""


def _ear(heard: list[Tensor], module: nn.Module) -> Ear:
    return Ear(heard)


def _listening(build: Callable[[nn.Module], Any], heard: list[Tensor], module: nn.Module) -> Adapter:
    adapter: Adapter = build(module)
    adapter.heard = heard
    return adapter
