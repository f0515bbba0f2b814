"""Backbones from any live `nn.Module`, such as a `resnet18` object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone, Batch
from headstart.backbones.inputs.pooling import read_out
from headstart.backbones.inputs.preparation import ImagePreparation, TextPreparation
from headstart.backbones.inputs.windows import MARKS
from headstart.backbones.ladder.attention import plain_attention
from headstart.backbones.ladder.sites import is_norm
from headstart.backbones.ladder.structure import find_ladder
from headstart.core.errors import ModelError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def load_module(
    module: nn.Module,
    *,
    features: Callable[[nn.Module, Batch], Tensor] | None = None,
    tokenizer: Any = None,
    pooling: str | None = None,
    max_length: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    blocks: str | None = None,
    source: str = "module",
    loader: str = "module",
    reinitialise: Callable[[nn.Module, int], None] | None = None,
    preparation: ImagePreparation | None = None,
    vocabulary: bool = False,
) -> Backbone:
    """A live module as a backbone. Changes it in place: removes a final classification layer, and may replace fused
    attention (`plain_attention`); `load` passes a copy.

    features: `features(module, batch)` returns the pooled features [B, D]. By default the module is called with the
        images (or with `input_ids` and `attention_mask`), a final linear layer is replaced by an identity, and feature
        maps are averaged over their places.
    tokenizer: makes the module a text model.
    image_size, mean, std: input of the module [default: 224 pixels, ImageNet's values].

    Raises `ModelError` if the module returns no features.
    """
    given = {"pooling": pooling, "max_length": max_length, "blocks": blocks, "features": features and "given"}
    given["vocabulary"] = vocabulary or None
    options = {name: value for name, value in given.items() if value is not None}
    config = getattr(module, "config", None)
    if features is None and config is not None and hasattr(module, "get_input_embeddings"):
        from headstart.backbones.loaders.transformers import wrap

        backbone = wrap(
            module,
            source,
            tokenizer=tokenizer,
            pooling=pooling,
            max_length=max_length,
            image_size=image_size,
            blocks=blocks,
            vocabulary=vocabulary,
        )
        backbone.loader = loader
        backbone.options.update(options)
        return backbone
    module.eval()
    plain_attention(module)
    preparing: Any
    if tokenizer is not None:
        preparing = TextPreparation(tokenizer, max_length or 512)
    else:
        preparing = preparation or _image_preparation(module, image_size, mean, std)
    sample, run = _sample(preparing), features or _default_run(module, pooling)
    if features is None:
        _take_off_classifier(module, lambda: run(module, sample))
    found = _features_of(module, run, sample)
    ladder = find_ladder(module, lambda: run(module, sample), blocks)
    return Backbone(
        module=module,
        ladder=ladder,
        run=run,
        preparation=preparing,
        reinitialise=reinitialise or reset,
        source=source,
        loader=loader,
        kind="recurrent" if ladder.sites_of("recurrent") else "vit" if ladder.sites_of("attention") else "module",
        modality="image" if tokenizer is None else "text",
        dimension=found.shape[1],
        pooling=pooling or "own",
        options=options,
    )


def _sample(preparation: TextPreparation | ImagePreparation) -> Batch:
    """A small batch of two inputs."""
    if isinstance(preparation, TextPreparation):
        ids = torch.arange(10).reshape(2, 5) % len(preparation.tokenizer)
        return {"input_ids": ids, "attention_mask": torch.ones(2, 5, dtype=torch.long)}
    shape = (2, preparation.channels, *preparation.size)
    return {"pixel_values": torch.linspace(-1, 1, shape[1] * shape[2] * shape[3] * 2).reshape(shape)}


def _features_of(module: nn.Module, run: Callable[[nn.Module, Batch], Tensor], sample: Batch) -> Tensor:
    """[2, D]. Raises `ModelError` with advice if the module does not run, or gives something else."""
    try:
        with torch.no_grad():
            found = run(module, sample)
    except Exception as error:
        raise ModelError(
            f"{type(module).__name__} does not run on a batch of shape {_shapes(sample)}: {error}. Say how with "
            "features=lambda module, batch: …, or give image_size, mean and std."
        ) from error
    if not isinstance(found, Tensor) or found.dim() != 2 or len(found) != 2:
        raise ModelError(
            f"{type(module).__name__} gives {_shape(found)} instead of features [B, D]. "
            "Say how to get them with features=lambda module, batch: …"
        )
    return found


def _shape(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__


def _shapes(batch: Batch) -> str:
    return ", ".join(f"{name} {tuple(value.shape)}" for name, value in batch.items())


def _image_preparation(
    module: nn.Module,
    image_size: int | tuple[int, int] | None,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
) -> ImagePreparation:
    first = next((m for m in module.modules() if isinstance(m, nn.Conv2d)), None)
    channels = first.in_channels if first is not None else 3
    size = (image_size, image_size) if isinstance(image_size, int) else image_size or (224, 224)
    default = (IMAGENET_MEAN, IMAGENET_STD) if channels == 3 else ((0.5,) * channels, (0.5,) * channels)
    return ImagePreparation(
        size=size, mean=mean or default[0], std=std or default[1], interpolation="bilinear", crop_share=0.875
    )


def _default_run(module: nn.Module, pooling: str | None) -> Callable[[nn.Module, Batch], Tensor]:
    def run(model: nn.Module, batch: Batch) -> Tensor:
        if "pixel_values" in batch:
            out = model(batch["pixel_values"])
            return out.mean(dim=(2, 3)) if isinstance(out, Tensor) and out.dim() == 4 else out
        out = model(**{name: value for name, value in batch.items() if name not in MARKS})
        out = getattr(out, "last_hidden_state", out)
        return read_out(out, batch, pooling or "mean") if out.dim() == 3 else out

    return run


def _take_off_classifier(module: nn.Module, run: Callable[[], Tensor]) -> None:
    """Replaces the last linear layer by an identity, if its output is the module's output."""
    calls: list[tuple[str, Tensor]] = []
    hooks = [
        m.register_forward_hook(lambda _, __, out, path=path: calls.append((path, out)))  # type: ignore[misc]
        for path, m in module.named_modules()
        if isinstance(m, nn.Linear) and path
    ]
    try:
        with torch.no_grad():
            out = run()
    except Exception:  # reported by the caller, with advice
        return
    finally:
        for hook in hooks:
            hook.remove()
    if calls and calls[-1][1] is out:
        parent, _, name = calls[-1][0].rpartition(".")
        setattr(module.get_submodule(parent), name, nn.Identity())


def reset(module: nn.Module, seed: int) -> None:
    """Random initialisation in place: `reset_parameters` of every layer, N(0, 0.02²) for parameters outside layers.

    Norms without `reset_parameters` start at scale 1 and shift 0, because `scratch` would be a weak control else.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for m in module.modules():
            for restart in ("reset_parameters", "_reset_parameters"):
                if callable(getattr(m, restart, None)):
                    getattr(m, restart)()
                    break
            else:
                for name, p in m.named_parameters(recurse=False):
                    if is_norm(m):
                        p.fill_(1.0 if name == "weight" else 0.0)
                    else:
                        p.normal_(0.0, 0.02)
