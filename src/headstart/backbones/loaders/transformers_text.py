"""Text backbones from transformers: run, pooling, tokenizer and length of a loaded model."""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone, Batch
from headstart.backbones.inputs.pooling import POOLINGS, read_out
from headstart.backbones.inputs.positions import positions
from headstart.backbones.inputs.preparation import TextPreparation
from headstart.backbones.ladder.structure import find_ladder
from headstart.backbones.loaders.packaged import place_of
from headstart.backbones.loaders.transformers_fresh import reinitialise
from headstart.backbones.tokenizers.tokenizer import check_vocabulary
from headstart.core.errors import ModelError

LONGEST = 512
"default maximum length of an example, in tokens"


def text_backbone(
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
    own_pooling, own_length = None, None
    if tokenizer is None:
        tokenizer = tokenizer_of(source, trust_remote_code)
        own_pooling, own_length = _sentence_settings(source)
    vocabulary: int = module.get_input_embeddings().num_embeddings  # type: ignore[operator]
    check_vocabulary(source, tokenizer, vocabulary)
    pooling = pooling or own_pooling or ("last" if kind == "decoder" else "mean")
    longest = _longest(tokenizer, module)
    if max_length is not None and longest is not None and max_length > longest:
        raise ModelError(f"max_length {max_length} is more than the {longest} tokens that {source} can read.")
    length = max_length or min(own_length or LONGEST, longest or LONGEST)
    arguments: dict[str, Any] = {"use_cache": False} if kind == "decoder" else {}
    accepts_types = "token_type_ids" in inspect.signature(module.forward).parameters
    accepts_types = accepts_types and (getattr(config, "type_vocab_size", None) or 0) > 1

    named = {"input_ids", "attention_mask", *(["token_type_ids"] if accepts_types else [])}

    def run(model: nn.Module, batch: Batch) -> Tensor:
        inputs = {k: v for k, v in batch.items() if k in named}
        hidden = model(**inputs, **arguments).last_hidden_state  # [B, T, D]
        return read_out(hidden, batch, pooling)  # [B, D], of words [B, W, D]

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


def tokenizer_of(source: str, trust_remote_code: bool) -> Any:
    from transformers import AutoTokenizer

    try:
        # checked, because without any file transformers 5 invents a tokenizer with only special tokens
        files = ("tokenizer.json", "vocab.*", "*.model", "tokenizer.*")
        if Path(source).is_dir() and not any(any(Path(source).glob(pattern)) for pattern in files):
            raise ValueError("the folder has no tokenizer.json, vocab or *.model file")
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


def _longest(tokenizer: Any, module: nn.Module) -> int | None:
    """Maximum number of tokens of the model: the minimum of the limits of its tokenizer and its positions."""
    limits = [positions(module).readable, getattr(tokenizer, "model_max_length", None)]
    known = [int(limit) for limit in limits if limit is not None and 0 < limit < 10**7]
    return min(known) if known else None


READING = ("1_Pooling/config.json", "sentence_bert_config.json", "modules.json")
"files of sentence-transformers beside a model: pooling and maximum length"


def copy_reading(source: str, folder: Path) -> None:
    """Copies these files of a model to a model that was trained from it."""
    for name in READING:
        if file := _file_of(source, name):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(file, folder / name)


def _file_of(source: str, name: str) -> Path | None:
    """A file of a folder or of a model on the hub; None if it does not exist."""
    if (folder := place_of(source)).is_dir():
        return file if (file := folder / name).is_file() else None
    from transformers.utils import cached_file

    optional = ("missing_entries", "connection_errors", "gated_repo")
    found = cached_file(source, name, **{f"_raise_exceptions_for_{what}": False for what in optional})
    return None if found is None else Path(found)


def _sentence_settings(source: str) -> tuple[str | None, int | None]:
    """Pooling and length from the files that sentence-transformers writes beside a model."""
    pooling, length = None, None
    if file := _file_of(source, "1_Pooling/config.json"):
        modes = json.loads(file.read_text(encoding="utf-8"))
        names = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_lasttoken": "last"}
        pooling = next((ours for theirs, ours in names.items() if modes.get(theirs)), None)
        if pooling is None and modes.get("pooling_mode") in POOLINGS:
            pooling = modes["pooling_mode"]
    if file := _file_of(source, "sentence_bert_config.json"):
        length = json.loads(file.read_text(encoding="utf-8")).get("max_seq_length")
    return pooling, length
