"""Shape inference: learns the shapes of a module's outputs from runs, so that a stand-in fits any batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sizes:
    """Rows and tokens of a batch; tokens are 0 for images."""

    rows: int
    tokens: int

    @classmethod
    def of(cls, batch: dict[str, Tensor]) -> Sizes:
        first = next(iter(batch.values()))
        return cls(len(first), batch["input_ids"].shape[1] if "input_ids" in batch else 0)

    def value(self, symbol: str | int) -> int:
        if isinstance(symbol, int):
            return symbol
        return {"rows": self.rows, "tokens": self.tokens, "both": self.rows * self.tokens}[symbol]


class Spec(Protocol):
    """Shape and type of a value, as a function of the batch's size."""

    def merged(self, other: Any) -> Spec: ...

    def zeros(self, sizes: Sizes, like: Tensor) -> Any: ...


@dataclass(frozen=True)
class TensorSpec:
    """Possible meanings of each dimension after the recorded batches: rows, tokens, their product or a constant."""

    dims: tuple[tuple[str | int, ...], ...]
    dtype: torch.dtype

    def merged(self, other: Any) -> Spec:
        if not isinstance(other, TensorSpec) or len(other.dims) != len(self.dims):
            return Varying()
        dims = tuple(tuple(s for s in mine if s in theirs) for mine, theirs in zip(self.dims, other.dims))
        return TensorSpec(dims, self.dtype) if all(dims) else Varying()

    def zeros(self, sizes: Sizes, like: Tensor) -> Tensor:
        shape = [sizes.value(options[0]) for options in self.dims]
        dtype = like.dtype if self.dtype.is_floating_point and like.is_floating_point() else self.dtype
        # real zeros instead of one expanded zero, because layers in between may write in place (relu_)
        return torch.zeros(shape, dtype=dtype, device=like.device)


@dataclass(frozen=True)
class ConstantSpec:
    """None, numbers and strings, returned unchanged."""

    value: Any

    def merged(self, other: Any) -> Spec:
        return self if isinstance(other, ConstantSpec) and other.value == self.value else Varying()

    def zeros(self, sizes: Sizes, like: Tensor) -> Any:
        return self.value


@dataclass(frozen=True)
class GroupSpec:
    """A tuple, list or dict of values, such as a model output."""

    kind: Any
    "the type"
    keys: tuple[Any, ...]
    items: tuple[Any, ...]

    def merged(self, other: Any) -> Spec:
        if not isinstance(other, GroupSpec) or (other.kind, other.keys) != (self.kind, self.keys):
            return Varying()
        return GroupSpec(self.kind, self.keys, tuple(a.merged(b) for a, b in zip(self.items, other.items)))

    def zeros(self, sizes: Sizes, like: Tensor) -> Any:
        values: list[Any] = [item.zeros(sizes, like) for item in self.items]
        if issubclass(self.kind, dict):
            return self.kind(**dict(zip(self.keys, values)))
        return self.kind(*values) if hasattr(self.kind, "_fields") else self.kind(values)


@dataclass(frozen=True)
class Varying:
    """A value whose shape does not follow from the batch's size."""

    def merged(self, other: Any) -> Spec:
        return self

    def zeros(self, sizes: Sizes, like: Tensor) -> Any:
        raise RuntimeError("a module below the cut returns shapes that do not follow from the batch's")


def spec_of(value: Any, sizes: Sizes) -> Spec:
    """The spec of `value`, returned for a batch of these sizes."""
    if isinstance(value, Tensor):
        return TensorSpec(tuple(_options(i, n, sizes) for i, n in enumerate(value.shape)), value.dtype)
    if isinstance(value, dict):
        return GroupSpec(type(value), tuple(value), tuple(spec_of(v, sizes) for v in value.values()))
    if isinstance(value, (tuple, list)):
        return GroupSpec(type(value), tuple(range(len(value))), tuple(spec_of(v, sizes) for v in value))
    return ConstantSpec(value)


def _options(index: int, size: int, sizes: Sizes) -> tuple[str | int, ...]:
    """Possible meanings of a dimension, likeliest first."""
    named = {"rows": sizes.rows, "tokens": sizes.tokens, "both": sizes.rows * sizes.tokens}
    order = ("rows", "both", "tokens") if index == 0 else ("tokens", "rows")
    fitting: list[str | int] = [name for name in order if named[name] == size]
    return (*fitting, size) if index < 2 else (size, *fitting)


def first_tensor(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """The first tensor argument of a module: the state that enters it."""
    if args and isinstance(args[0], Tensor):
        return args[0]
    return next((v for v in kwargs.values() if isinstance(v, Tensor)), None)


def shown(value: Tensor) -> str:
    return str(tuple(value.shape))
