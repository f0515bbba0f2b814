"""LoRA update: a low-rank update beside a frozen linear layer or convolution."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.backbones.ladder.weights import is_plain, owns_weight, with_weight
from headstart.core.errors import ModelError
from headstart.methods.slots import Beside

Start = Literal["zero", "pissa"]


def weight_of(module: Any) -> Tensor:
    return module.weight


class LoraUpdate(Beside):
    """`y = W x + s (B A - B_0 A_0) x`; DoRA: `y = m (W + s B A) x / ||W + s B A||`, norms over a row's weights.

    For linear layers, convolutions, and transformers' transposed Conv1D. B_0 A_0 is 0 unless start is `pissa`: then A
    and B start as the leading singular vectors of W, and B_0 A_0 is their value at the start.

    A layer whose forward pads like TensorFlow or standardises its weight (timm's `Conv2dSame`, `ScaledStdConv2d`) gets
    the update before that, `y = f(W + s B A; x)`, so that merging is exact for it too.
    """

    row_wise: ClassVar[bool] = True
    writes: ClassVar[bool] = True

    first_a: Tensor | None
    first_b: Tensor | None

    def __init__(
        self, base: nn.Module, rank: int, scale: float, dropout: float = 0.0, dora: bool = False, start: Start = "zero"
    ) -> None:
        super().__init__()
        self.site, self.scale, self.dropout = [base], scale, dropout  # in a list, so that it is no child of its child
        self.plain = is_plain(base)
        self.inside = not self.plain
        weight = weight_of(base)
        self.lora_a: nn.Module
        self.lora_b: nn.Module
        if weight.dim() > 2:
            conv: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[weight.dim() - 3]
            options: dict[str, Any] = {k: getattr(base, k) for k in ("stride", "padding", "dilation", "padding_mode")}
            kernel = weight.shape[2:]
            self.lora_a = conv(weight.shape[1], rank, tuple(kernel), bias=False, **options)
            self.lora_b = conv(rank, weight.shape[0], (1,) * len(kernel), bias=False)
        else:
            inputs, outputs = weight.shape if self.transposed else weight.shape[::-1]
            self.lora_a = nn.Linear(inputs, rank, bias=False)
            self.lora_b = nn.Linear(rank, outputs, bias=False)
        nn.init.kaiming_uniform_(weight_of(self.lora_a), a=math.sqrt(5))
        nn.init.zeros_(weight_of(self.lora_b))
        self.to(device=weight.device)
        self.lora_a.to(weight.dtype)
        self.lora_b.to(weight.dtype)
        if start == "pissa":
            self._leading(rank)
        for name, factor in (("first_a", self.lora_a), ("first_b", self.lora_b)):
            first = weight_of(factor).detach().clone() if start == "pissa" else None
            self.register_buffer(name, first)
        self.magnitude = nn.Parameter(self._norms(self._rows(weight.detach())).clone()) if dora else None

    def _leading(self, rank: int) -> None:
        """Sets A and B from the `rank` largest singular values: s B A is then the best approximation of W."""
        a, b = weight_of(self.lora_a), weight_of(self.lora_b)
        rows = self._rows(weight_of(self.base).detach())
        u, values, v = torch.linalg.svd(rows.flatten(1).float(), full_matrices=False)
        k = min(rank, len(values))  # a layer with few outputs has fewer singular values
        root = (values[:k] / self.scale).sqrt()
        with torch.no_grad():
            a.zero_()
            b.zero_()
            a[:k] = (root[:, None] * v[:k]).reshape(a[:k].shape)
            b[:, :k] = (u[:, :k] * root).reshape(b[:, :k].shape)

    @property
    def reads_weights(self) -> bool:
        """True if the forward reads the base's weights directly."""
        return self.magnitude is not None or not self.plain

    @property
    def transposed(self) -> bool:
        """True if the base has its weight as [in, out] (transformers' Conv1D, recognised by `nf`)."""
        return hasattr(self.base, "nf")

    @property
    def base(self) -> nn.Module:
        """The layer with the update."""
        return self.site[0]

    @property
    def weight(self) -> Tensor:
        return weight_of(self.base)

    def _rows(self, weight: Tensor) -> Tensor:
        """The weight as [out, in, *kernel]."""
        return weight.T if self.transposed else weight

    @staticmethod
    def _norms(rows: Tensor) -> Tensor:
        return rows.flatten(1).norm(dim=1)  # [out]

    def _factors(self) -> tuple[Tensor, Tensor]:
        """Both factors of the update; after a PiSSA start the initial factors are appended with a minus."""
        a, b = weight_of(self.lora_a), weight_of(self.lora_b)
        if self.first_a is not None and self.first_b is not None:
            a, b = torch.cat([a, self.first_a]), torch.cat([b, -self.first_b], dim=1)
        return a, b

    def _whole(self, x: Tensor, whole: Tensor) -> Tensor:
        """`W x + s (B A - B_0 A_0) x`. The scale multiplies the r values between A and B, which are few."""
        low = F.dropout(x, self.dropout, self.training) if self.dropout else x
        a, b = self._factors()
        if a.dim() > 2:
            between = self.scale * self._applied(low, self.lora_a, a)
            return whole + self._applied(between, self.lora_b, b)
        between = self.scale * F.linear(low, a)
        # adds within the product, because that saves a pass over the output
        rows = torch.addmm(whole.reshape(-1, whole.shape[-1]), between.reshape(-1, len(a)), b.T)
        return rows.view(whole.shape)

    def on_rows(self, x: Tensor, y: Tensor, rows: slice) -> None:
        a, b = self._factors()
        if self.magnitude is not None or a.dim() > 2:
            super().on_rows(x, y, rows)
            return
        each = x.numel() // x.shape[-1] // len(x)  # places per row
        here = slice(rows.start * each, rows.stop * each)
        flat, out = x.reshape(-1, x.shape[-1]), y.view(-1, y.shape[-1])  # [B T, in], [B T, out]
        low = (a @ flat[here].T).T  # [places, r]; in this order, because the other product is slow
        out[here].addmm_(low, b.T, alpha=self.scale)

    @staticmethod
    def _applied(x: Tensor, layer: Any, weight: Tensor) -> Tensor:
        """The layer's operation with another weight."""
        return F.linear(x, weight) if weight.dim() == 2 else layer._conv_forward(x, weight, None)

    def run(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """`f(W + s B A; x)`; with dropout, the update sees only the inputs that are kept."""
        x: Tensor = args[0]
        weight = self.weight + self.delta()
        if self.magnitude is not None:
            rows = (-1, *(1,) * (weight.dim() - 1))
            weight = (self.magnitude / self._norms(weight).detach()).view(rows) * weight
        if not (self.dropout and self.training):
            return with_weight(self.base, weight, x, call)
        kept = F.dropout(x, self.dropout, True)
        return call(x) + with_weight(self.base, weight, kept, call) - call(kept)

    def after(self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor:
        if self.inside:
            return output
        whole = self._whole(args[0], output)
        if self.magnitude is None:
            return whole
        # the norm is a constant in the gradient, as in the paper's section 4.3
        ratio = self.magnitude / self._norms(self._rows(self.weight + self.delta()).detach())
        shape = (-1, *(1,) * (self.weight.dim() - 2)) if self.weight.dim() > 2 else (-1,)
        bias: Any = self.base.bias
        if bias is None:
            return ratio.view(shape) * whole
        return ratio.view(shape) * (whole - bias.view(shape)) + bias.view(shape)

    def delta(self) -> Tensor:
        """`s (B A - B_0 A_0)` in the shape of the base's weight."""
        update = self._product(weight_of(self.lora_a), weight_of(self.lora_b))
        if self.first_a is not None and self.first_b is not None:
            update = update - self._product(self.first_a, self.first_b)
        return self.scale * (update.T if self.transposed else update)

    @staticmethod
    def _product(a: Tensor, b: Tensor) -> Tensor:
        return (b.flatten(1) @ a.flatten(1)).reshape(b.shape[0], *a.shape[1:])  # [out, in, *kernel]

    def folded(self, module: nn.Module) -> None:
        """Puts the update, and DoRA's magnitudes, into the weight of the layer, which then shares it with no other."""
        if not owns_weight(module):
            raise ModelError(
                f"a {type(module).__name__} computes its weight from other parameters at each call, so an update "
                "can't be merged into it; serve the model with headstart, or train lora with targets without it."
            )
        with torch.no_grad():
            weight = weight_of(module).clone().add_(self.delta())
            if self.magnitude is not None:
                rows = self._rows(weight)
                rows.mul_((self.magnitude / self._norms(rows)).view(-1, *(1,) * (rows.dim() - 1)))
            module.weight = nn.Parameter(weight, requires_grad=weight_of(module).requires_grad)
