"""Backbones from transformers: encoders, decoders, the encoder of encoder-decoders, and vision models."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone, Batch
from headstart.backbones.files import require_safetensors
from headstart.backbones.pooling import POOLINGS, pool
from headstart.backbones.preparation import ImagePreparation, TextPreparation
from headstart.backbones.structure import find_ladder
from headstart.core.errors import HeadstartError, ModelError, unknown

LONGEST = 512
"tokens that an example has at most, unless the user asks for more"


def load_transformers(
    source: str,
    *,
    pooling: str | None = None,
    max_length: int | None = None,
    image_size: int | None = None,
    blocks: str | None = None,
    trust_remote_code: bool = False,
    weights: bool = True,
) -> Backbone:
    """A hub name or a folder that transformers' Auto classes read.

    pooling: `mean`, `cls` or `last`. Without it, sentence-transformers' own settings are used where the folder has
        them, else the mean for encoders, the last real token for decoders, and the architecture's own for images.
    weights: False builds the architecture with random weights.

    Raises `ModelError` for what can't be found or read, or where a weight of the backbone is missing.
    """
    if pooling is not None and pooling not in POOLINGS:
        raise unknown("pooling", pooling, POOLINGS)
    if weights and Path(source).is_dir():
        require_safetensors(Path(source))
    config = _reading(source, lambda: _config(source, trust_remote_code))
    kind = _kind(config)
    module = _reading(source, lambda: _module(source, config, kind, trust_remote_code, weights))
    module.eval()
    options = {"pooling": pooling, "max_length": max_length, "image_size": image_size, "blocks": blocks}
    options = {k: v for k, v in options.items() if v is not None}
    if not weights:
        options["weights"] = False
    if kind == "vision":
        backbone = _vision(module, source, pooling, image_size, blocks)
    else:
        backbone = _text(module, source, kind, pooling, max_length, blocks, trust_remote_code)
    backbone.options.update(options)
    return backbone


def wrap(module: nn.Module, source: str = "module", **options: Any) -> Backbone:
    """A live transformers model without its head, with a `tokenizer` or an image `preparation` given by the user."""
    kind = _kind(module.config)  # type: ignore[arg-type]
    given = {k: options.get(k) for k in ("pooling", "blocks")}
    if kind == "vision":
        backbone = _vision(module, source, given["pooling"], options.get("image_size"), given["blocks"])
    else:
        tokenizer = options.get("tokenizer")
        if tokenizer is None:
            raise ModelError("a live text model needs its tokenizer: load(model, tokenizer=…).")
        backbone = _text(
            module, source, kind, given["pooling"], options.get("max_length"), given["blocks"], False, tokenizer
        )
    backbone.reload = None
    return backbone


# ------------------------------------------------------------------------------------------------------ reading
def _reading(source: str, read: Callable[[], Any]) -> Any:
    """Runs `read`; whatever transformers raises becomes one sentence that says what to do."""
    try:
        return read()
    except HeadstartError:
        raise
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if "trust_remote_code" in str(error):
            raise ModelError(
                f"{source} brings its own Python code, which is not run unasked. If you trust it, give "
                "--trust-remote-code (trust_remote_code=True)."
            ) from error
        if Path(source).is_dir():
            raise ModelError(f"can't load {source} with transformers: {type(error).__name__}: {first}") from error
        raise ModelError(
            f"can't get {source!r}: it is no folder here, and the hub can't be reached or does not have it ({first}). "
            "Where there is a network, run\n"
            f"  hf download {source} --local-dir {source.rpartition('/')[2] or 'model'}\n"
            "copy the folder here and give its path instead of the name. `headstart models` lists what is built in."
        ) from error


def _config(source: str, trust_remote_code: bool) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)


def _kind(config: Any) -> str:
    """`encoder`, `decoder`, `encoder_decoder` or `vision`, from transformers' own tables of what a config can be."""
    from transformers.models.auto import modeling_auto as auto

    if getattr(config, "vision_config", None) is not None or type(config) in (
        auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING.keys()
    ):
        return "vision"
    if hasattr(config, "patch_size") and hasattr(config, "image_size"):
        return "vision"
    if getattr(config, "is_encoder_decoder", False):
        return "encoder_decoder"
    masked = type(config) in auto.MODEL_FOR_MASKED_LM_MAPPING.keys()
    causal = type(config) in auto.MODEL_FOR_CAUSAL_LM_MAPPING.keys()
    if causal and (not masked or getattr(config, "is_decoder", False)):
        return "decoder"
    if hasattr(config, "vocab_size"):
        return "encoder"
    raise ModelError(
        f"{config.model_type!r} models are neither text encoders, decoders nor image models, so Headstart can't "
        "use them."
    )


def _module(source: str, config: Any, kind: str, trust_remote_code: bool, weights: bool) -> nn.Module:
    """The bare model in float32; a weight that the checkpoint lacks is an error, since it would be random."""
    import transformers
    from transformers import AutoModel

    if kind == "vision" and getattr(config, "vision_config", None) is not None:
        config = config.vision_config
    architecture = (getattr(config, "architectures", None) or [""])[0] or ""
    factory: Any = AutoModel
    if kind == "encoder_decoder" and architecture.endswith("EncoderModel"):
        factory = getattr(transformers, architecture, AutoModel)
    extra: dict[str, Any] = {}
    model_class = transformers.MODEL_MAPPING.get(type(config), None)
    if factory is AutoModel and _has_dense_pooler(model_class, config):
        extra["add_pooling_layer"] = False
    if kind in ("encoder", "encoder_decoder") and not torch.cuda.is_available():
        # Measured: on a CPU the backward pass of plain attention is faster than that of the fused kernel.
        extra["attn_implementation"] = "eager"
    if factory is AutoModel:
        extra["trust_remote_code"] = trust_remote_code
    if not weights:
        if factory is not AutoModel:
            return factory._from_config(config, **{k: v for k, v in extra.items() if k != "trust_remote_code"})
        module = AutoModel.from_config(config, dtype=torch.float32, **extra)
    else:
        with _quiet():
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


def _has_dense_pooler(model_class: Any, config: Any) -> bool:
    """Whether the class puts a dense layer behind its first token that can be left out."""
    classes = model_class if isinstance(model_class, (tuple, list)) else (model_class,)
    for one in classes:
        if one is None or "add_pooling_layer" not in inspect.signature(one.__init__).parameters:
            return False
        with torch.device("meta"):
            pooler = getattr(one(config), "pooler", None)
        return isinstance(pooler, nn.Module) and any(p.dim() > 1 for p in pooler.parameters())
    return False


class _quiet:
    """Hides transformers' report of unused head weights, which are meant to be unused."""

    def __enter__(self) -> None:
        from transformers.utils import logging

        self.level, self.bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()

    def __exit__(self, *details: object) -> None:
        from transformers.utils import logging

        logging.set_verbosity(self.level)
        if self.bar:
            logging.enable_progress_bar()


def reinitialise(module: nn.Module, seed: int) -> None:
    """Fresh random values in place, as the architecture prescribes, by building it anew from its configuration."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = _like(module)
    state = fresh.state_dict()
    with torch.no_grad():
        for name, value in module.state_dict().items():
            value.copy_(state[name])


def _like(module: nn.Module) -> nn.Module:
    cls: Any = type(module)
    config: Any = module.config
    extra = {}
    if "add_pooling_layer" in inspect.signature(cls.__init__).parameters:
        extra["add_pooling_layer"] = getattr(module, "pooler", None) is not None
    return cls._from_config(config, dtype=torch.float32, **extra)


# --------------------------------------------------------------------------------------------------------- text
def _text(
    module: nn.Module,
    source: str,
    kind: str,
    pooling: str | None,
    max_length: int | None,
    blocks: str | None,
    trust_remote_code: bool,
    tokenizer: Any = None,
) -> Backbone:
    config: Any = module.config
    tokenizer = tokenizer if tokenizer is not None else _tokenizer(source, trust_remote_code)
    vocabulary = module.get_input_embeddings().num_embeddings  # type: ignore[operator]
    if len(tokenizer) > vocabulary:
        raise ModelError(
            f"the tokenizer of {source} has {len(tokenizer)} tokens, the model's embedding only {vocabulary}; "
            "they do not belong together."
        )
    own_pooling, own_length = _sentence_settings(Path(source))
    pooling = pooling or own_pooling or ("last" if kind == "decoder" else "mean")
    longest = _longest(config, tokenizer, module)
    if max_length is not None and longest is not None and max_length > longest:
        raise ModelError(f"max_length {max_length} is more than the {longest} tokens that {source} can read.")
    length = max_length or min(own_length or LONGEST, longest or LONGEST)
    arguments: dict[str, Any] = {"use_cache": False} if kind == "decoder" else {}
    accepts_types = "token_type_ids" in inspect.signature(module.forward).parameters

    def run(model: nn.Module, batch: Batch) -> Tensor:
        inputs = {k: v for k, v in batch.items() if k != "token_type_ids" or accepts_types}
        hidden = model(**inputs, **arguments).last_hidden_state  # [B, T, D]
        return pool(hidden, batch.get("attention_mask"), pooling)  # [B, D]

    ids = torch.arange(10).reshape(2, 5) % max(1, vocabulary // 2) + vocabulary // 2 - 1
    sample = {"input_ids": ids.clamp(0, vocabulary - 1), "attention_mask": torch.ones(2, 5, dtype=torch.long)}
    ladder = find_ladder(module, lambda: run(module, sample), blocks)
    with torch.no_grad():
        dimension = run(module, sample).shape[1]
    return Backbone(
        module=module,
        ladder=ladder,
        run=run,
        preparation=TextPreparation(tokenizer, length),
        reinitialise=reinitialise,
        source=source,
        loader="transformers",
        kind="decoder" if kind == "decoder" else "encoder",
        modality="text",
        dimension=dimension,
        pooling=pooling,
        head_bias=kind != "decoder",
        reload=source,
    )


def _tokenizer(source: str, trust_remote_code: bool) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code)
        if not len(tokenizer):
            raise ValueError("its vocabulary is empty")
        return tokenizer
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{source} has no tokenizer that can be read ({first}); copy tokenizer.json and tokenizer_config.json "
            "of the model into its folder."
        ) from error


def _longest(config: Any, tokenizer: Any, module: nn.Module) -> int | None:
    """Most tokens that the model can read: the least of what its tokenizer and its positions allow."""
    limits = [getattr(config, "max_position_embeddings", None), getattr(tokenizer, "model_max_length", None)]
    for name, m in module.named_modules():
        # RoBERTa counts positions from the padding id on, so that two rows of its table are never used.
        if "position" in name.rpartition(".")[2] and isinstance(m, nn.Embedding) and m.padding_idx is not None:
            limits.append(m.num_embeddings - m.padding_idx - 1)
    known = [int(limit) for limit in limits if limit is not None and 0 < limit < 10**7]
    return min(known) if known else None


def _sentence_settings(folder: Path) -> tuple[str | None, int | None]:
    """Pooling and length from the files that sentence-transformers writes beside a model."""
    pooling, length = None, None
    if (folder / "1_Pooling" / "config.json").is_file():
        modes = json.loads((folder / "1_Pooling" / "config.json").read_text(encoding="utf-8"))
        names = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_lasttoken": "last"}
        pooling = next((ours for theirs, ours in names.items() if modes.get(theirs)), None)
        if pooling is None and modes.get("pooling_mode") in POOLINGS:
            pooling = modes["pooling_mode"]
    if (folder / "sentence_bert_config.json").is_file():
        length = json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8")).get("max_seq_length")
    return pooling, length


# ------------------------------------------------------------------------------------------------------- images
def _vision(
    module: nn.Module, source: str, pooling: str | None, image_size: int | None, blocks: str | None
) -> Backbone:
    config: Any = module.config
    has_class_token = any(
        name.rpartition(".")[2] in ("cls_token", "class_embedding", "class_token") for name, _ in module.named_parameters()
    )

    def run(model: nn.Module, batch: Batch) -> Tensor:
        outputs = model(pixel_values=batch["pixel_values"])
        hidden = outputs.last_hidden_state
        if pooling is not None:
            if hidden.dim() == 4:
                return hidden.mean(dim=(2, 3))
            return pool(hidden, None, pooling)
        pooled = getattr(outputs, "pooler_output", None)
        if pooled is not None:
            return pooled.flatten(1)
        return hidden[:, 0] if has_class_token else pool(hidden, None, "mean")

    if image_size is not None and getattr(config, "image_size", image_size) not in (image_size, (image_size,) * 2):
        raise ModelError(
            f"{source} reads images of {config.image_size} pixels; other sizes need a model that interpolates its "
            "positions. Leave image_size out."
        )
    preparation = _image_preparation(source, config, image_size)
    height, width = preparation.size
    channels = getattr(config, "num_channels", 3)
    sample = {"pixel_values": torch.linspace(-1, 1, 2 * channels * height * width).reshape(2, channels, height, width)}
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
        loader="transformers",
        kind="vit" if ladder.sites_of("attention") else "cnn",
        modality="image",
        dimension=dimension,
        pooling=pooling or "own",
        reload=source,
    )


def _image_preparation(source: str, config: Any, image_size: int | None) -> ImagePreparation:
    """From the folder's preprocessor_config.json, or else what the architecture's config says."""
    settings: dict[str, Any] = {}
    path = Path(source) / "preprocessor_config.json"
    try:
        if path.is_file():
            settings = json.loads(path.read_text(encoding="utf-8"))
        elif not Path(source).is_dir() and source != "module":
            from transformers import AutoImageProcessor

            settings = AutoImageProcessor.from_pretrained(source).to_dict()
    except (OSError, ValueError):
        settings = {}
    channels = getattr(config, "num_channels", 3)
    size = settings.get("size", image_size or getattr(config, "image_size", 224))
    size = size if isinstance(size, dict) else {"height": _side(size), "width": _side(size)}
    mode, share = "squash", float(settings.get("crop_pct") or 1.0)
    target = (_side(size.get("height", 224)), _side(size.get("width", 224)))
    if "shortest_edge" in size:
        mode, short = "crop", int(size["shortest_edge"])
        crop = settings.get("crop_size", short)
        crop = crop if isinstance(crop, dict) else {"height": _side(crop), "width": _side(crop)}
        target = (int(crop["height"]), int(crop["width"]))
        share = share if share < 1 else min(1.0, target[0] / short)
    if image_size is not None:
        target = (image_size, image_size)
    normal = settings.get("do_normalize", True)
    mean = tuple(settings.get("image_mean") or (0.5,) * channels) if normal else (0.0,) * channels
    std = tuple(settings.get("image_std") or (0.5,) * channels) if normal else (1.0,) * channels
    names = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
    how = names.get(settings.get("resample", 3) if isinstance(settings.get("resample", 3), int) else 3, "bicubic")
    return ImagePreparation(target, mean[:channels], std[:channels], how, share, mode)


def _side(value: Any) -> int:
    return int(value[0]) if isinstance(value, (list, tuple)) else int(value)
