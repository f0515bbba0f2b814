"""Two towers (CLIP): images and texts in one space, and the folders of `headstart pretrain clip`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.backbones.backbone import Backbone, Batch
from headstart.backbones.class_words import ClassWords, said
from headstart.backbones.inputs.preparation import ImagePreparation, TextPreparation
from headstart.backbones.ladder.structure import find_ladder
from headstart.backbones.loaders.files import fill, read_config, read_weights, require_safetensors
from headstart.core.errors import ModelError

KIND = "clip"
"value of `kind` in config.json of these folders"
AT_ONCE = 128
"number of texts per batch"


@dataclass(eq=False)
class TwoTowers:
    """module: both networks with their projections. image_features, text_features: a batch to [B, D] in one space.

    Scores are `scale x . y` for features of length one.
    """

    module: nn.Module
    image_features: Callable[[Batch], Tensor]
    text_features: Callable[[Batch], Tensor]
    image_preparation: ImagePreparation
    text_preparation: TextPreparation
    source: str

    @property
    def scale(self) -> float:
        found: Any = getattr(self.module, "logit_scale")  # noqa: B009 - a parameter
        return float(found.detach().exp())

    def encode_images(self, batch: Batch) -> Tensor:
        """[B, D] of length one."""
        return F.normalize(self.image_features(batch).float(), dim=-1)

    def encode_texts(self, batch: Batch) -> Tensor:
        """[B, D] of length one."""
        return F.normalize(self.text_features(batch).float(), dim=-1)

    def read(self, texts: Sequence[str]) -> Tensor:
        """[n, D] of length one, on the module's device."""
        device = next(self.module.parameters()).device
        rows, found = self.text_preparation.encode(list(texts)), []
        with torch.no_grad():
            for at in range(0, len(rows), AT_ONCE):
                batch = self.text_preparation.collate(rows[at : at + AT_ONCE])
                found.append(self.encode_texts({name: value.to(device) for name, value in batch.items()}))
        return torch.cat(found)

    def encode_classes(self, labels: Sequence[str], templates: Sequence[str]) -> Tensor:
        """[C, D] of length one: the mean of each label's text features over the templates (prompt ensemble).

        Raises `ConfigurationError` for fewer than two labels, and for a template without a place for the label.
        Source: Radford et al. 2021, "CLIP", section 3.1.4.
        """
        every = self.read(said(labels, templates))
        return F.normalize(every.reshape(len(labels), len(templates), -1).mean(1), dim=-1)


class Joined(nn.Module):
    """Two backbones with projections and the logarithm of the scale."""

    def __init__(self, image: Backbone, text: Backbone, width: int, temperature: float) -> None:
        super().__init__()
        self.image, self.text = image.module, text.module
        self.image_projection = nn.Linear(image.dimension, width, bias=False)
        self.text_projection = nn.Linear(text.dimension, width, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(1 / temperature).log())


def joined(image: Backbone, text: Backbone, width: int, temperature: float, source: str) -> TwoTowers:
    """Two backbones as towers with random projections."""
    module = Joined(image, text, width, temperature)
    assert isinstance(image.preparation, ImagePreparation)
    assert isinstance(text.preparation, TextPreparation)
    return TwoTowers(
        module,
        lambda batch: module.image_projection(image.run(module.image, batch)),
        lambda batch: module.text_projection(text.run(module.text, batch)),
        image.preparation,
        text.preparation,
        source,
    )


def class_words(towers: TwoTowers, labels: Sequence[str], templates: Sequence[str]) -> ClassWords:
    """A zero-shot classifier from class names, as a linear head on the image features.

    Raises `ConfigurationError` for fewer than two labels, and for a template without a place for the label.
    """
    projection = getattr(towers.module, "visual_projection", None)
    return ClassWords(
        towers.encode_classes(labels, templates),
        projection.weight.detach() if isinstance(projection, nn.Linear) else None,
        towers.scale,
    )


def read_towers(folder: Path, load: Callable[..., Backbone]) -> tuple[TwoTowers, Backbone]:
    """Reads a folder of `headstart pretrain clip`: both towers, and the image tower as a backbone.

    load: loader of the backbones of the towers, as an argument because `loaders.load` calls this module.
    """
    config = read_config(folder)
    try:
        length, width = int(config["length"]), int(config["width"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder / 'config.json'} has no whole numbers `length` and `width` ({error}).") from error
    image, text = load(folder / "image"), load(folder / "text", max_length=length, pooling=config.get("text_pooling"))
    found = joined(image, text, width, 0.07, str(folder))
    require_safetensors(folder)
    parts = {name: p for name, p in found.module.named_parameters() if not name.startswith(("image.", "text."))}
    weights = read_weights(folder / "model.safetensors")
    holder = nn.ParameterDict({name.replace(".", "/"): p for name, p in parts.items()})
    fill(holder, {name.replace(".", "/"): value.float() for name, value in weights.items()}, folder)
    found.module.eval()
    return found, image


def load_clip(
    source: str, load: Callable[..., Backbone], *, blocks: str | None = None, weights: bool = True, **others: Any
) -> Backbone:
    """The image tower with its projection as a backbone. load: see `read_towers`."""
    if unknown := [name for name, value in others.items() if value is not None]:
        raise ModelError(f"{source}: {', '.join(unknown)} can't be chosen for a tower; leave it out.")
    folder = Path(source).expanduser()
    found, image = read_towers(folder, load)
    module = _Projected(found.module.image, found.module.image_projection)  # type: ignore[arg-type]

    def run(model: nn.Module, batch: Batch) -> Tensor:
        projected: Tensor = model.projection(image.run(model.tower, batch))  # type: ignore[operator, arg-type]
        return projected

    def words(labels: Sequence[str], templates: Sequence[str]) -> ClassWords:
        return class_words(read_towers(folder, load)[0], labels, templates)

    side = found.image_preparation.size[0]
    sample = {"pixel_values": torch.linspace(-1, 1, 2 * 3 * side * side).reshape(2, 3, side, side)}
    ladder = find_ladder(module, lambda: run(module, sample), blocks)
    backbone = Backbone(
        module=module, ladder=ladder, run=run, preparation=image.preparation, reinitialise=_reinitialise(image),
        source=source, loader="clip", kind=image.kind, modality="image",
        dimension=found.module.image_projection.out_features, pooling=image.pooling, reload=source,  # type: ignore[union-attr, arg-type]
        words=words if weights else None,
    )  # fmt: skip
    if not weights:
        backbone.reinitialise(module, 0)
        backbone.options["weights"] = False
    return backbone


class _Projected(nn.Module):
    def __init__(self, tower: nn.Module, projection: nn.Module) -> None:
        super().__init__()
        self.tower, self.projection = tower, projection


def _reinitialise(image: Backbone) -> Callable[[nn.Module, int], None]:
    def fresh(module: nn.Module, seed: int) -> None:
        image.reinitialise(module.tower, seed)  # type: ignore[arg-type]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module.projection.reset_parameters()  # type: ignore[operator, union-attr]

    return fresh
