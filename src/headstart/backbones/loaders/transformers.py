"""Backbones from transformers: encoders, decoders, the encoder of encoder-decoders, and vision models."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import Any

import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.inputs.pooling import POOLINGS
from headstart.backbones.loaders.files import require_safetensors
from headstart.backbones.loaders.hub import kind_of, quiet, reading
from headstart.backbones.loaders.transformers_text import text_backbone
from headstart.backbones.loaders.transformers_towers import transformers_towers
from headstart.backbones.loaders.transformers_vision import vision_backbone
from headstart.backbones.loaders.two_towers import class_words
from headstart.backbones.networks.head_in_parts import head_of
from headstart.backbones.networks.language import with_head
from headstart.backbones.vocabulary import VOCABULARY, give_vocabulary
from headstart.core.errors import ModelError, unknown


def load_transformers(
    source: str,
    *,
    pooling: str | None = None,
    max_length: int | None = None,
    image_size: int | None = None,
    blocks: str | None = None,
    trust_remote_code: bool = False,
    weights: bool = True,
    vocabulary: bool = False,
) -> Backbone:
    """Loads a hub name or a folder with transformers' Auto classes.

    pooling: `mean`, `cls` or `last`. By default the settings of sentence-transformers if the folder has them, else the
        mean for encoders, the last real token for decoders, and the architecture's pooling for images.
    weights: False builds the architecture with random weights.
    vocabulary: True for a causal language model with its head over the vocabulary.

    Raises `ModelError` if the source can't be found or read, or if it lacks a weight of the backbone.
    """
    if pooling is not None and pooling not in POOLINGS:
        raise unknown("pooling", pooling, POOLINGS)
    if weights and Path(source).is_dir():
        require_safetensors(Path(source))
        _refuse_adapter(Path(source))
    config = reading(source, lambda: _config(source, trust_remote_code))
    kind = kind_of(config)
    if vocabulary and kind != "decoder":
        raise ModelError(
            f"{source} ({config.model_type}) is no causal language model, so that it generates no answers; choose a "
            "decoder such as SmolLM2 or GPT-2."
        )
    module = reading(source, lambda: _module(source, config, kind, trust_remote_code, weights, vocabulary))
    layer = own_layer(module, source) if vocabulary else None
    module = module.eval() if layer is None else module.base_model.eval()
    options = {"pooling": pooling, "max_length": max_length, "image_size": image_size, "blocks": blocks}
    options = {k: v for k, v in options.items() if v is not None}
    if not weights:
        options["weights"] = False
    if vocabulary:
        options["vocabulary"] = True
    if kind == "vision":
        backbone = vision_backbone(module, source, pooling, image_size, blocks)
        if weights and pooling is None and hasattr(config, "text_config"):
            backbone.words = lambda labels, templates: class_words(transformers_towers(source), labels, templates)
    else:
        backbone = text_backbone(module, source, kind, pooling, max_length, blocks, trust_remote_code)
        if weights and kind == "decoder" and _speaks(config):
            backbone.vocabulary = functools.cache(lambda: _layer_beside(source, module))
    if layer is not None:
        give_vocabulary(backbone, layer)
    backbone.options.update(options)
    return backbone


def _refuse_adapter(folder: Path) -> None:
    """Raises `ModelError` for an adapter beside a model, because transformers applies it only if PEFT is installed."""
    if (folder / "adapter_config.json").exists() and (folder / "config.json").exists():
        raise ModelError(
            f"{folder} holds an adapter (adapter_config.json) beside the model, so that the result would depend on "
            "whether PEFT is installed. Move it into another folder: `headstart adopt` makes a run of it there."
        )


def wrap(module: nn.Module, source: str = "module", **options: Any) -> Backbone:
    """A live transformers model without its head, with a `tokenizer` or an image `preparation` given by the user.

    vocabulary: True for a causal language model with its head.
    """
    kind = kind_of(module.config)  # type: ignore[arg-type]
    layer = None
    if options.get("vocabulary"):
        layer, module = own_layer(module, source), module.base_model  # type: ignore[assignment]
    given = {k: options.get(k) for k in ("pooling", "blocks")}
    if kind == "vision":
        backbone = vision_backbone(module, source, given["pooling"], options.get("image_size"), given["blocks"])
    else:
        tokenizer = options.get("tokenizer")
        if tokenizer is None:
            raise ModelError("a live text model needs its tokenizer: load(model, tokenizer=…).")
        backbone = text_backbone(
            module, source, kind, given["pooling"], options.get("max_length"), given["blocks"], False, tokenizer
        )
    if layer is not None:
        give_vocabulary(backbone, layer)
    backbone.reload = None
    return backbone


def _config(source: str, trust_remote_code: bool) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)


def own_layer(network: Any, source: str) -> nn.Linear:
    """The output layer of a causal language model.

    Raises `ModelError` if the scores are not that layer's output alone, as where they are capped or scaled.
    """
    device = next(network.parameters()).device
    few = {"input_ids": torch.arange(8, device=device).reshape(2, 4) % network.config.get_text_config().vocab_size}
    if not hasattr(network, "get_output_embeddings") or (layer := head_of(network, few)) is None:
        raise ModelError(
            f"{source}: the scores of {type(network).__name__} are more than the output of its last layer, such as "
            "capped or scaled (Gemma 2, Cohere), which training and decoding would leave out. Choose another model."
        )
    return layer


def _module(
    source: str, config: Any, kind: str, trust_remote_code: bool, weights: bool, vocabulary: bool = False
) -> nn.Module:
    """The bare model, or the one with its head over the vocabulary, in float32.

    Raises `ModelError` for a missing weight, because it would be random.
    """
    import transformers
    from transformers import AutoModel, AutoModelForCausalLM

    if kind == "vision" and getattr(config, "vision_config", None) is not None:
        config = config.vision_config
    architecture = (getattr(config, "architectures", None) or [""])[0] or ""
    factory: Any = AutoModelForCausalLM if vocabulary else AutoModel
    if kind == "encoder_decoder" and architecture.endswith("EncoderModel"):
        factory = getattr(transformers, architecture, AutoModel)
    extra: dict[str, Any] = {}
    model_class = transformers.MODEL_MAPPING.get(type(config), None)
    if factory is AutoModel and _has_dense_pooler(model_class, config):
        extra["add_pooling_layer"] = False
    if kind in ("encoder", "encoder_decoder") and not torch.cuda.is_available():
        # because on a CPU the backward pass of plain attention was measured to be faster than that of the fused kernel
        extra["attn_implementation"] = "eager"
    if factory in (AutoModel, AutoModelForCausalLM):
        extra["trust_remote_code"] = trust_remote_code
    if not weights:
        if factory not in (AutoModel, AutoModelForCausalLM):
            return factory._from_config(config, **{k: v for k, v in extra.items() if k != "trust_remote_code"})
        module = factory.from_config(config, dtype=torch.float32, **extra)
    else:
        with quiet():
            module, info = factory.from_pretrained(
                source, config=config, dtype=torch.float32, output_loading_info=True, use_safetensors=True, **extra
            )
        missing = sorted(info["missing_keys"])
        if missing:
            more = f" and {len(missing) - 6} more" if len(missing) > 6 else ""
            raise ModelError(
                f"{source} lacks weights that {type(module).__name__} needs; they would be random. "
                f"{len(missing)} keys missing: {', '.join(missing[:6])}{more}. Is it a checkpoint of another model?"
            )
    return module.get_encoder() if kind == "encoder_decoder" and factory is AutoModel else module


def _speaks(config: Any) -> bool:
    """True if the source was saved with a causal head over the vocabulary."""
    import transformers

    made = transformers.MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    return getattr(made, "__name__", "") in (getattr(config, "architectures", None) or ())


def _layer_beside(source: str, body: Any) -> nn.Linear:
    """The output layer of a source for a body that was loaded without it. Raises `ModelError` as `own_layer` does."""
    if (layer := getattr(body, VOCABULARY, None)) is not None:
        return layer
    network, _ = with_head(source, body)
    layer = own_layer(network, source)
    if getattr(network.config, "tie_word_embeddings", False):
        layer.weight = body.get_input_embeddings().weight
    return layer


def _has_dense_pooler(model_class: Any, config: Any) -> bool:
    """True if the class has an optional dense pooler on its first token."""
    classes = model_class if isinstance(model_class, (tuple, list)) else (model_class,)
    for one in classes:
        if one is None or "add_pooling_layer" not in inspect.signature(one.__init__).parameters:
            return False
        with torch.device("meta"):
            pooler = getattr(one(config), "pooler", None)
        return isinstance(pooler, nn.Module) and any(p.dim() > 1 for p in pooler.parameters())
    return False
