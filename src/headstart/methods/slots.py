"""Adapter slots: modules beside a model's own, put in once for each site and switched by a route (multi-LoRA).

A slot takes the place of a module's `forward`. The module keeps its type, its attributes and the names of its
parameters, and without a route it computes the base bit for bit. A route gives all rows of a batch to one adapter, as
in training, or each slice of the rows to another.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn

from headstart.core.errors import MethodError

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class Flattened(Exception):
    """Raised for a tensor whose first dimension is not the batch, so that its rows can't be separated."""


class Beside(nn.Module):
    """An adapter's part beside a module: it may change the arguments, the computation and the output of each call."""

    row_wise: ClassVar[bool] = False
    "True if it does to each row of a batch what it would do to that row alone, and keeps its shape"
    writes: ClassVar[bool] = False
    "True if the module's output is a new tensor, into which `on_rows` may write"
    inside: bool = False
    "True if it changes the computation itself, by `run`"
    ahead: int = 0
    "number of positions that it takes before a text's first token"

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        """The arguments with which the module is called."""
        return args, kwargs

    def run(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls the module's forward, or computes something else in its place."""
        return call(*args, **kwargs)

    def after(self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        """What the call returns; `args` and `kwargs` are those that the module got."""
        return output

    def on_rows(self, x: Tensor, y: Tensor, rows: slice) -> None:
        """`after` for some rows of a batch, in place. x: what the module got; y: its output, contiguous."""
        y[rows] = self.after((x[rows],), {}, y[rows])


@dataclass(frozen=True)
class Edit:
    """Puts `build(module at path)`, a `Beside`, beside the module at `path`.

    While it acts it is a child of the module with this name. Several edits at one path act in the order of the plan.
    """

    path: str
    build: Callable[[nn.Module], nn.Module]
    name: str

    @property
    def place(self) -> str:
        """The path of the built module."""
        return f"{self.path}.{self.name}"


@dataclass
class Route:
    """The adapters that act: one on all rows, several on slices of them, or none."""

    name: str | None = None
    rows: dict[str, slice] = field(default_factory=dict)

    def check(self, x: Tensor) -> None:
        if len(x) != max(rows.stop for rows in self.rows.values()):
            raise Flattened


class Slot:
    """The parts of all adapters at one module; it stands in the place of the module's forward."""

    def __init__(self, module: nn.Module, route: Route, guarded: bool = False) -> None:
        self.module, self.route, self.guarded = module, route, guarded
        self.earlier, self.inner = module.__dict__.get("forward"), module.forward
        self.__wrapped__ = self.inner  # for inspect.signature
        self.parts: dict[str | None, dict[str, Beside]] = {}
        self._guard: Any = None
        module.forward = self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.route.rows:
            return self._by_row(args, kwargs)
        parts = self.parts.get(self.route.name)
        return acting(parts.values(), self.inner, args, kwargs) if parts else self.inner(*args, **kwargs)

    def _by_row(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The module once for all rows, and each adapter's parts on its rows."""
        here = [(rows, [*found.values()]) for name, rows in self.route.rows.items() if (found := self.parts.get(name))]
        if not here:
            return self.inner(*args, **kwargs)
        x, every = args[0], [part for _, parts in here for part in parts]
        self.route.check(x)
        if any(type(part).before is not Beside.before for part in every):
            x = x.clone()
            for rows, parts in here:
                for part in parts:
                    x[rows] = part.before((x[rows],), {})[0][0]
        output = self.inner(x, *args[1:], **kwargs)
        first: Tensor = output[0] if isinstance(output, tuple) else output
        self.route.check(first)
        y = first.contiguous() if all(part.writes for part in every) else first.clone()
        for rows, parts in here:
            if any(part.inside for part in parts):
                y[rows] = acting(parts, self.inner, (args[0][rows], *args[1:]), kwargs)
                continue
            for part in parts:
                part.on_rows(x, y, rows)
        return (y, *output[1:]) if isinstance(output, tuple) else y

    def show(self, name: str | None) -> None:
        """Makes this adapter's parts children of the module."""
        for key, part in self.parts.get(name, {}).items():
            self.module.add_module(key, part)
            part.train(self.module.training)

    def hide(self, name: str | None) -> None:
        for key in self.parts.get(name, {}):
            delattr(self.module, key)

    def guard(self, names: Iterable[str | None]) -> None:
        """Keeps torch's fused encoder layer away while one of the adapters acts: it reads weights past the slot."""
        if self._guard is not None:
            self._guard.remove()
            self._guard = None
        if self.guarded and any(name in self.parts for name in names):
            self._guard = self.module.register_forward_pre_hook(_unfused)

    def close(self) -> None:
        """Takes the slot out; below another one it stays, empty."""
        self.parts.clear()
        if self.module.__dict__.get("forward") is self:
            del self.module.forward
            if self.earlier is not None:
                self.module.forward = self.earlier

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy for a copy of the module: with the parts that act now, or no slot if none does."""
        parts = self.parts.get(self.route.name)
        if not parts:
            return copy.deepcopy(self.inner, memo)
        twin = memo[id(self)] = Slot.__new__(Slot)
        kept = {**self.__dict__, "parts": {self.route.name: parts}, "_guard": None}
        twin.__dict__.update({key: copy.deepcopy(value, memo) for key, value in kept.items()})
        return twin


class Slots:
    """The slots of one model: adapters by name, built once, and the route that switches them."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.route = model, Route()
        self._at: dict[str, Slot] = {}

    def put(self, name: str, edits: Iterable[Edit]) -> None:
        """Builds an adapter's parts beside their modules. They act inside `using` and `by_row` alone."""
        try:
            for edit in edits:
                module = self.model.get_submodule(edit.path)
                part = edit.build(module)
                assert isinstance(part, Beside), f"{type(part).__name__} stands beside a module: it has to be a Beside"
                if hasattr(module, edit.name):
                    raise MethodError(
                        f"{type(module).__name__} has a {edit.name!r} already, where the method would put its own."
                    )
                if isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
                    raise MethodError(f"a {type(module).__name__} runs its children in turn: it can't have another.")
                parts = self._slot(edit.path, module).parts.setdefault(name, {})
                assert edit.name not in parts, f"two edits put {edit.name!r} beside {edit.path}"
                parts[edit.name] = part
        except BaseException:
            self.take(name)
            raise

    def _slot(self, path: str, module: nn.Module) -> Slot:
        if path not in self._at:
            around = [self.model.get_submodule(path[:at]) for at, sign in enumerate(path) if sign == "."]
            fused = any(isinstance(one, nn.TransformerEncoderLayer) for one in around)
            self._at[path] = Slot(module, self.route, fused)
        return self._at[path]

    def take(self, name: str) -> None:
        """Takes an adapter out, and the slots that it leaves empty."""
        for path, slot in list(self._at.items()):
            slot.parts.pop(name, None)
            if not slot.parts:
                slot.close()
                del self._at[path]

    def close(self) -> None:
        """Takes out all slots."""
        for slot in self._at.values():
            slot.close()
        self._at.clear()

    def parts(self, name: str) -> list[Beside]:
        return [part for slot in self._at.values() for part in slot.parts.get(name, {}).values()]

    @contextlib.contextmanager
    def using(self, name: str | None) -> Iterator[None]:
        """Inside the context this adapter acts on all rows and is part of the model; None for the base."""
        before = self.route.name
        self._switch(name)
        try:
            yield
        finally:
            self._switch(before)

    def _switch(self, name: str | None) -> None:
        for slot in self._at.values():
            slot.hide(self.route.name)
            slot.show(name)
            slot.guard([name])
        self.route.name = name

    @contextlib.contextmanager
    def by_row(self, rows: Mapping[str, slice]) -> Iterator[None]:
        """Inside the context each adapter acts on its slice of a batch's rows; exact for parts that are `row_wise`.

        A forward pass raises `Flattened` at a module that moves rows into another dimension.
        """
        with self.using(None):
            for slot in self._at.values():
                slot.guard(rows)
                for part in (part for name in rows for part in slot.parts.get(name, {}).values()):
                    if part.training != slot.module.training:
                        part.train(slot.module.training)
            self.route.rows.update(rows)
            try:
                yield
            finally:
                self.route.rows.clear()


def acting(parts: Iterable[Beside], call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The module's call with these parts around it, in their order."""
    parts = list(parts)
    for part in parts:
        args, kwargs = part.before(args, kwargs)
        if part.inside:
            call = partial(part.run, call)
    output = call(*args, **kwargs)
    for part in parts:
        output = part.after(args, kwargs, output)
    return output


def bare(module: nn.Module) -> None:
    """Takes the slot of a module out, for a copy into which its parts have been merged."""
    slot = module.__dict__.get("forward")
    if isinstance(slot, Slot):
        slot.close()


def _unfused(module: nn.Module, args: Any) -> None:
    """A hook that does nothing: its presence is the sign."""
