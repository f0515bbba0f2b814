"""CLIP and SigLIP of transformers as two towers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from headstart.backbones.backbone import Batch
from headstart.backbones.inputs.preparation import TextPreparation
from headstart.backbones.loaders.files import check_finite, require_safetensors
from headstart.backbones.loaders.hub import quiet, reading
from headstart.backbones.loaders.transformers_text import tokenizer_of
from headstart.backbones.loaders.transformers_vision import image_preparation
from headstart.backbones.loaders.two_towers import TwoTowers
from headstart.core.errors import ModelError


def transformers_towers(source: str) -> TwoTowers:
    """Both towers with projections, scale and preparation; SigLIP's texts are padded to full length, as in training."""
    from transformers import AutoConfig, AutoModel

    if Path(source).is_dir():
        require_safetensors(Path(source))
    config = reading(source, lambda: AutoConfig.from_pretrained(source, trust_remote_code=False))
    if not (hasattr(config, "vision_config") and hasattr(config, "text_config")):
        raise ModelError(
            f"{source} has no tower for pictures and one for texts. Give CLIP or SigLIP of transformers, or a folder "
            "that `headstart pretrain clip` wrote."
        )
    options = {"dtype": torch.float32, "use_safetensors": True, "output_loading_info": True, "trust_remote_code": False}
    with quiet():
        module, info = reading(source, lambda: AutoModel.from_pretrained(source, **options))
    if missing := sorted(info["missing_keys"]):
        raise ModelError(f"{source} lacks weights, which would be random: {', '.join(missing[:5])}.")
    check_finite(module, source)
    module.eval()
    if not hasattr(module, "get_text_features"):
        raise ModelError(f"{source} ({config.model_type}) does not put pictures and texts into one space.")
    tokenizer = tokenizer_of(source, False)
    length = config.text_config.max_position_embeddings
    padded = config.model_type.startswith("siglip")

    def texts(batch: Batch) -> Tensor:
        ids, mask = batch["input_ids"], batch.get("attention_mask")
        if padded:
            ids, mask = F.pad(ids, (0, length - ids.shape[1]), value=tokenizer.pad_token_id), None
        return _features(module.get_text_features(input_ids=ids, attention_mask=mask))

    return TwoTowers(
        module, lambda batch: _features(module.get_image_features(pixel_values=batch["pixel_values"])), texts,
        image_preparation(source, config.vision_config, None), TextPreparation(tokenizer, length), source,
    )  # fmt: skip


def _features(found: Any) -> Tensor:
    """Projected features: `pooler_output` of the output of transformers 5, or the tensor of transformers 4."""
    return found if isinstance(found, Tensor) else found.pooler_output
