"""Image preprocessing as an image processor of transformers."""

from __future__ import annotations

from typing import Any

from headstart.backbones.inputs.preparation import ImagePreparation


def processor(preparation: ImagePreparation) -> dict[str, Any]:
    """The preprocessor_config.json for the same image preprocessing in transformers."""
    from PIL.Image import Resampling

    height, width = preparation.size
    settings: dict[str, Any] = {
        "do_resize": True,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(preparation.mean),
        "image_std": list(preparation.std),
        "resample": int(Resampling[preparation.interpolation.upper()]),
    }
    if preparation.mode == "squash":
        return {**settings, "image_processor_type": "ViTImageProcessor", "size": {"height": height, "width": width}}
    return {
        **settings,
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": int(min(height, width) / preparation.crop_share)},
        "do_center_crop": True,
        "crop_size": {"height": height, "width": width},
        "do_convert_rgb": preparation.channels == 3,
    }
