"""Loading with transformers: clear error messages, the kind of a model, and silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from headstart.backbones.loaders.files import weights_only
from headstart.core.errors import HeadstartError, ModelError


def reading(source: str, read: Callable[[], Any]) -> Any:
    """Runs `read` and turns errors of transformers into a `ModelError` with advice."""
    try:
        with weights_only():
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
            "On a machine with a network, run\n"
            f"  hf download {source} --local-dir {source.rpartition('/')[2] or 'model'}\n"
            "copy the folder here and give its path instead of the name."
        ) from error


def kind_of(config: Any) -> str:
    """`encoder`, `decoder`, `encoder_decoder` or `vision`, by transformers' tables of model classes."""
    from transformers.models.auto import modeling_auto as auto

    if (
        getattr(config, "vision_config", None) is not None
        or type(config) in auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING
    ):
        return "vision"
    if hasattr(config, "patch_size") and hasattr(config, "image_size"):
        return "vision"
    if getattr(config, "is_encoder_decoder", False):
        return "encoder_decoder"
    masked = type(config) in auto.MODEL_FOR_MASKED_LM_MAPPING
    causal = type(config) in auto.MODEL_FOR_CAUSAL_LM_MAPPING
    if causal and (not masked or getattr(config, "is_decoder", False)):
        return "decoder"
    if hasattr(config, "vocab_size"):
        return "encoder"
    raise ModelError(
        f"{config.model_type!r} models are neither text encoders, decoders nor image models, so Headstart can't "
        "use them."
    )


class quiet:
    """Hides transformers' report of unused head weights, because they are unused on purpose."""

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
