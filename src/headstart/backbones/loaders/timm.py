"""Backbones from timm: `timm/NAME` from the hub, or a folder with `architecture` in its config.json."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone, Batch
from headstart.backbones.inputs.image_preparation import INTERPOLATIONS, ImagePreparation
from headstart.backbones.ladder.attention import plain_attention
from headstart.backbones.ladder.structure import find_ladder
from headstart.backbones.loaders.files import fill, read_config, read_weights, require_safetensors, weights_only
from headstart.backbones.loaders.fresh import refill
from headstart.core.errors import ModelError, suggestion, unknown

_OWN_POOLINGS = ("mean", "cls")


def load_timm(
    source: str,
    *,
    pooling: str | None = None,
    image_size: int | None = None,
    blocks: str | None = None,
    weights: bool = True,
    loader: str = "timm",
    folder: Path | None = None,
) -> Backbone:
    """Loads `timm/NAME` or a folder in timm's format (config.json with `architecture`, model.safetensors).

    pooling: `mean` or `cls` instead of the architecture's own.
    weights: False builds the architecture with random weights, and needs no network.
    """
    if pooling is not None and pooling not in _OWN_POOLINGS:
        raise unknown("pooling for timm", pooling, _OWN_POOLINGS)
    extra: dict[str, Any] = {}
    if pooling is not None:
        extra["global_pool"] = {"mean": "avg", "cls": "token"}[pooling]
    place = folder if folder is not None else Path(source)
    module = (
        _from_folder(place, image_size, extra, weights)
        if place.is_dir()
        else _named(source, image_size, extra, weights)
    )
    options = {"pooling": pooling, "image_size": image_size, "blocks": blocks}
    backbone = wrap(module, source, loader=loader, pooling=pooling, image_size=image_size, blocks=blocks)
    backbone.options.update({k: v for k, v in options.items() if v is not None})
    if not weights:
        backbone.options["weights"] = False
    backbone.reload = source
    return backbone


def build(
    name: str, source: str, image_size: int | None, *, optional: tuple[str, ...] = (), **arguments: Any
) -> nn.Module:
    """timm's `create_model`, with `img_size` if the architecture has it; convolutional networks read any size.

    optional: arguments that are omitted if the architecture does not take them.
    Raises `ModelError` for arguments that timm refuses, and for image sizes that are no multiple of the patch size.
    """
    import timm

    if image_size is not None:
        arguments, optional = {**arguments, "img_size": image_size}, (*optional, "img_size")
    while True:
        try:
            with weights_only():
                module: Any = timm.create_model(name, **arguments)
        except (TypeError, ValueError, RuntimeError, AssertionError, IndexError) as error:
            if "weights_only" in str(error):
                raise ModelError(
                    f"the weights of {source} are a pickle that holds more than tensors, and reading it could run "
                    "code; it is not read. Give a folder with model.safetensors."
                ) from error
            refused = [each for each in optional if each in arguments and f"'{each}'" in str(error)]
            if not isinstance(error, TypeError) or not refused:
                raise ModelError(f"timm can't build {source}: {type(error).__name__}: {error}") from error
            del arguments[refused[0]]
        else:
            if not hasattr(module, "_model_args"):  # because timm before 1.0.31 does not record the arguments
                module._model_args = {k: v for k, v in arguments.items() if k not in ("pretrained", "num_classes")}
            if "img_size" in arguments:
                _check_patches(module, source, arguments["img_size"])
            built: nn.Module = module
            return built


def _check_patches(module: nn.Module, source: str, size: int) -> None:
    """Raises `ModelError` unless images are whole patches, because timm would silently ignore their edges."""
    from timm.layers import PatchEmbed

    embedding = next((m for m in module.modules() if isinstance(m, PatchEmbed)), None)
    if embedding is None or embedding.dynamic_img_pad:
        return
    side = max(embedding.patch_size)
    if size % side:
        near = sorted({max(1, size // side) * side, -(-size // side) * side})
        raise ModelError(
            f"image_size is {size}, but {source} cuts images into patches of {side} x {side} pixels: give a multiple, "
            f"{' or '.join(map(str, near))}."
        )


def check_architecture(name: str, where: str = "") -> None:
    """Raises `ModelError` for an architecture that timm does not have."""
    import timm

    if name.partition(".")[0] not in timm.list_models():
        near = suggestion(name.partition(".")[0], timm.list_models())
        raise ModelError(f"timm has no architecture {name.partition('.')[0]!r}{where}.{near}")


def _named(source: str, image_size: int | None, extra: dict[str, Any], weights: bool) -> nn.Module:
    name = source.removeprefix("timm/")
    check_architecture(name)
    if not weights:
        return build(name, source, image_size, pretrained=False, num_classes=0, **extra)
    try:
        return build(name, source, image_size, pretrained=True, num_classes=0, **extra)
    except Exception as error:
        if isinstance(error, ModelError) and "hub" not in str(error).lower():
            raise
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        full = name if "." in name else f"{name}.{_default_tag(name)}"
        raise ModelError(
            f"can't get the weights of {source}: the hub can't be reached or does not have them ({first}). "
            "On a machine with a network, run\n"
            f"  hf download timm/{full} config.json model.safetensors --local-dir {full}\n"
            "copy the folder here and give its path instead of the name."
        ) from error


def _default_tag(name: str) -> str:
    import timm

    config = timm.get_pretrained_cfg(name)
    return getattr(config, "tag", "") or "TAG"


def _from_folder(folder: Path, image_size: int | None, extra: dict[str, Any], weights: bool) -> nn.Module:
    config = read_config(folder)
    if weights:
        require_safetensors(folder)
    name = config["architecture"]
    check_architecture(name, f" ({folder}/config.json)")
    pretrained = {k: v for k, v in (config.get("pretrained_cfg") or {}).items() if k != "num_classes"}
    arguments = {**(config.get("model_args") or {}), **extra}
    # no weights, because they come from this folder
    for name_of_the_call in ("num_classes", "pretrained", "checkpoint_path"):
        arguments.pop(name_of_the_call, None)
    if pooling := config.get("global_pool"):
        arguments.setdefault("global_pool", pooling)
    if image_size is not None:
        arguments.pop("img_size", None)
    module = build(
        name, str(folder), image_size, pretrained=False, num_classes=0, pretrained_cfg_overlay=pretrained, **arguments
    )
    if weights:
        files = sorted(folder.glob("*.safetensors"))
        path = folder / "model.safetensors" if (folder / "model.safetensors") in files else files[0]
        values = read_weights(path)
        try:
            fill(module, values, path, ignore=_classifiers(module))
        except ModelError as error:
            return _converted(folder, image_size, extra, error)
    return module


def _converted(folder: Path, image_size: int | None, extra: dict[str, Any], error: ModelError) -> nn.Module:
    """The folder loaded by timm, which resizes positions and renames keys of older checkpoints.

    timm does not report missing weights, so the model is built twice with different seeds; weights that differ were
    missing.
    """
    source = f"local-dir:{folder}"
    made = []
    for seed in (0, 1):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                made.append(build(source, str(folder), image_size, pretrained=True, num_classes=0, **extra))
            except ModelError:
                raise error from None
    other = made[1].state_dict()
    if any(not torch.equal(value, other[name]) for name, value in made[0].state_dict().items()):
        raise error
    return made[0]


def _classifiers(module: nn.Module) -> tuple[str, ...]:
    """Prefixes of the classifier's weights, which a backbone does not need."""
    names = getattr(module, "pretrained_cfg", {}).get("classifier", ())
    names = (names,) if isinstance(names, str) else tuple(names or ())
    return tuple(f"{name}." for name in names)


def wrap(
    module: nn.Module,
    source: str = "module",
    *,
    loader: str = "timm",
    pooling: str | None = None,
    image_size: int | None = None,
    blocks: str | None = None,
) -> Backbone:
    """A live timm model as a backbone, without its classifier."""
    if getattr(module, "num_classes", 0):
        module.reset_classifier(0)  # type: ignore[operator]
    module.eval()
    plain_attention(module)
    preparation = _preparation(module, image_size)
    shape = (2, preparation.channels, *preparation.size)
    sample = {"pixel_values": torch.linspace(-1, 1, 2 * shape[1] * shape[2] * shape[3]).reshape(shape)}
    ladder = find_ladder(module, lambda: run(module, sample), blocks)
    with torch.no_grad():
        dimension = run(module, sample).shape[1]
    return Backbone(
        module=module,
        ladder=ladder,
        run=run,
        preparation=preparation,
        reinitialise=reinitialise,
        source=source,
        loader=loader,
        kind="vit" if ladder.sites_of("attention") else "cnn",
        modality="image",
        dimension=dimension,
        pooling=pooling or "own",
    )


def run(module: nn.Module, batch: Batch) -> Tensor:
    """Pooled features [B, D]; timm models without a classifier return them."""
    return module(batch["pixel_values"]).flatten(1)


def _preparation(module: nn.Module, image_size: int | None) -> ImagePreparation:
    import timm.data

    data = timm.data.resolve_data_config({}, model=module)
    channels, height, width = data["input_size"]
    if image_size is not None:
        height = width = image_size
    mean, std = tuple(data["mean"]), tuple(data["std"])
    if channels == 1 and len(mean) == 3:
        mean, std = (sum(mean) / 3,), (sum(std) / 3,)
    how = data["interpolation"] if data["interpolation"] in INTERPOLATIONS else "bilinear"
    mode = "squash" if data.get("crop_mode") == "squash" else "crop"
    return ImagePreparation((height, width), mean, std, how, data["crop_pct"], mode)


def reinitialise(module: nn.Module, seed: int) -> None:
    """Sets random weights in place: by each layer's initialisation, then the architecture's."""
    refill(module, lambda: _like(module), seed)


def _like(module: nn.Module) -> nn.Module:
    import timm

    arguments = copy.deepcopy(getattr(module, "_model_args", {}))
    arguments.update(num_classes=0)
    name = str(getattr(module, "pretrained_cfg", {}).get("architecture"))
    arguments.pop("pretrained_cfg_overlay", None)
    return timm.create_model(name, pretrained=False, **arguments)
