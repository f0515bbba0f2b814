"""Loading a model and reading examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.api.options import READ, only

if TYPE_CHECKING:
    from headstart.backbones.backbone import Backbone
    from headstart.data.examples import Data


def load(source: Any = None, **options: Any) -> Backbone:
    """A backbone: a hub name, a folder, `timm/…`, `torchvision/…`, `builtin/…`, or a torch module of your own.

    Without a source, the built-in one for images. Options: pooling, max_length, image_size, blocks, trust_remote_code;
    see `headstart.backbones.loaders.load`.
    """
    from headstart.backbones.loaders.load import load as load_backbone
    from headstart.backbones.loaders.packaged import DEFAULTS

    return load_backbone(DEFAULTS["image"] if source is None else source, **options)


def read(source: Any = None, **options: Any) -> Data:
    """Labelled examples, audited and split: a file, a folder, a hub name; without one, the embedded digits.

    Options: text, label, group, validation, test, kind, seed, class_weights; see `headstart.data.read`.
    """
    if source is None:
        from headstart.data.embedded import digits

        return replace(digits(), origin={"data": None})
    from headstart.data.read import read as read_data

    named = isinstance(source, (str, Path))
    return replace(read_data(source, **options), origin={"data": source, **only(options, READ)} if named else None)


def backbone_for(model: Any, data: Data, options: Mapping[str, Any]) -> Backbone:
    """What was given, loaded; where nothing was, the built-in one for such data."""
    if model is None:
        from headstart.backbones.loaders.packaged import DEFAULTS

        model = DEFAULTS[data.task.modality]
    return model if hasattr(model, "ladder") else load(model, **options)


def read_by(backbone: Backbone, data: Data) -> Data:
    """The data with findings on what this model sees of them.

    Texts that it cuts and words that it does not know; of images, what its files do not say and was assumed.
    """
    from headstart.backbones.inputs.image_preparation import ImagePreparation
    from headstart.backbones.inputs.preparation import TextPreparation
    from headstart.data.audit.text_coverage import covered, noted

    preparation = backbone.preparation
    if isinstance(preparation, ImagePreparation) and preparation.assumed and data.task.modality == "image":
        return noted(data, "preparation", "warning", preparation.assumed)
    if data.task.modality == "image" or not isinstance(preparation, TextPreparation):
        return data
    unknown = getattr(preparation.tokenizer, "unk_token_id", None)
    return covered(data, preparation.whole, preparation.max_length, preparation.special, unknown)


def seen_by(backbone: Backbone, data: Data) -> tuple[str, ...]:
    """What `read_by` finds beside what reading the data has found, in sentences."""
    return tuple(one.message for one in read_by(backbone, data).record.findings if one not in data.record.findings)
