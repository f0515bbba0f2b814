"""Recurrent language models (AWD-LSTM of ULMFiT, ELMo): building, saving, loading, and as backbones."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone, Batch
from headstart.backbones.inputs.pooling import read_out
from headstart.backbones.inputs.preparation import TextPreparation
from headstart.backbones.ladder.structure import find_ladder
from headstart.backbones.loaders.files import fill, read_config, read_weights, require_safetensors
from headstart.backbones.loaders.module import reset
from headstart.backbones.networks import awd_lstm, elmo
from headstart.backbones.tokenizers.lexicon import SPECIAL, Lexicon
from headstart.backbones.tokenizers.tokenizer import check_vocabulary
from headstart.core.disk.files import write_json, write_text
from headstart.core.errors import ConfigurationError, ModelError, suggestion

Architecture = Literal["awd_lstm", "elmo"]
KINDS: tuple[Architecture, ...] = ("awd_lstm", "elmo")
SIZES: dict[str, dict[str, dict[str, int]]] = {
    "awd_lstm": {
        "tiny": {"width": 64, "hidden": 128, "layers": 2},
        "mini": {"width": 200, "hidden": 400, "layers": 3},
        "small": {"width": 400, "hidden": 1152, "layers": 3},
    },
    "elmo": {
        "tiny": {"width": 32, "cells": 64},
        "mini": {"width": 128, "cells": 512},
        "small": {"width": 256, "cells": 2048},
    },
}
LONGEST = 512
"default maximum length of a text, in tokens"


class Said(NamedTuple):
    logits: Tensor


class LanguageModel(nn.Module):
    """A body with its vocabulary head."""

    def __init__(self, body: awd_lstm.AwdLstm | elmo.Elmo, vocabulary: int) -> None:
        super().__init__()
        self.body = body
        self.base_model = elmo.BothSides(body) if isinstance(body, elmo.Elmo) else awd_lstm.Dropped(body)
        self.head = nn.Linear(body.shape.width, vocabulary)
        if isinstance(body, awd_lstm.AwdLstm):
            self.head.weight = body.embedding.weight

    def get_output_embeddings(self) -> nn.Linear:
        return self.head

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Said:
        return Said(self.head(self.base_model(input_ids, attention_mask)[0]))


class RecurrentNetwork:
    """The network that pretraining trains and saves."""

    def __init__(self, module: LanguageModel, kind: Architecture) -> None:
        self.module, self.kind = module, kind

    def save(self, folder: Path, tokenizer: Any, half: bool) -> None:
        """Writes a folder for `load`, with `body.` and `head.` in one file of weights."""
        from safetensors.torch import save_file

        module = self.module.cpu()
        state = {f"body.{name}": value for name, value in module.body.state_dict().items()}
        state |= {f"head.{name}": value for name, value in module.head.state_dict().items()}
        if self.kind == "awd_lstm":
            del state["head.weight"]  # shared with the embedding
        kept = {name: value.to(torch.bfloat16 if half else torch.float32) for name, value in state.items()}
        save_file({name: value.contiguous().clone() for name, value in kept.items()}, folder / "model.safetensors",
                  metadata={"format": "pt"})  # fmt: skip
        config = {"library": "headstart", "kind": self.kind, **asdict(module.body.shape)}
        write_json(folder / "config.json", config)
        if isinstance(tokenizer, Lexicon):
            write_text(folder / "words.txt", "".join(f"{word}\n" for word in tokenizer.words))
        else:
            tokenizer.save_pretrained(folder)


def new(kind: Architecture, size: str, tokenizer: Any, dropout: float, seed: int) -> RecurrentNetwork:
    """A network of a named size with random weights. dropout: factor on the rates of the AWD-LSTM."""
    if size not in SIZES[kind]:
        raise ConfigurationError(
            f"size is {size!r}; {kind} has {', '.join(SIZES[kind])}.{suggestion(size, SIZES[kind])}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body = _body(kind, dict(SIZES[kind][size]), tokenizer, dropout)
        return RecurrentNetwork(LanguageModel(body, len(tokenizer)), kind)


def existing(kind: Architecture, source: str, dropout: float) -> tuple[RecurrentNetwork, Any]:
    """Network and tokenizer of a folder to continue from."""
    folder = Path(source).expanduser()
    if not folder.is_dir() or read_config(folder).get("kind") != kind:
        raise ModelError(f"{source} is no folder of such a model ({kind}); leave --from out, or give one.")
    tokenizer = _tokenizer(folder, kind, open=False)
    body = _read_body(folder, kind, tokenizer, dropout)
    network = LanguageModel(body, len(tokenizer))
    weights = _weights(folder)
    fill(body, _part(weights, "body."), folder / "model.safetensors")
    head = _part(weights, "head.")
    if isinstance(body, awd_lstm.AwdLstm):
        head["weight"] = body.embedding.weight.detach()
    fill(network.head, head, folder / "model.safetensors")
    return RecurrentNetwork(network, kind), tokenizer


def _body(kind: Architecture, shape: dict[str, Any], tokenizer: Any, dropout: float) -> awd_lstm.AwdLstm | elmo.Elmo:
    if kind == "elmo":
        return elmo.Elmo(elmo.Shape(**shape), tokenizer)
    return awd_lstm.AwdLstm(awd_lstm.Shape(**{"vocabulary": len(tokenizer), **shape, "dropout": dropout}))


def _read_body(
    folder: Path, kind: Architecture, tokenizer: Any, dropout: float | None = None
) -> awd_lstm.AwdLstm | elmo.Elmo:
    """The network by config.json. dropout: factor on the rates of the AWD-LSTM; None for that of the file."""
    shape = {name: value for name, value in read_config(folder).items() if name not in ("library", "kind")}
    try:
        body = _body(kind, shape, tokenizer, shape.get("dropout", 1.0) if dropout is None else dropout)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder / 'config.json'} is no configuration of {kind} ({error}).") from error
    if isinstance(body, awd_lstm.AwdLstm):
        check_vocabulary(str(folder), tokenizer, body.shape.vocabulary)
    return body


def _tokenizer(folder: Path, kind: Architecture, open: bool) -> Any:
    if kind == "awd_lstm":
        from headstart.backbones.loaders.transformers_text import tokenizer_of

        return tokenizer_of(str(folder), False)
    place = folder / "words.txt"
    if not place.is_file():
        raise ModelError(f"{place} is missing; copy it beside config.json.")
    return Lexicon(place.read_text(encoding="utf-8").split("\n")[:-1], open)


def _weights(folder: Path) -> dict[str, Tensor]:
    require_safetensors(folder)
    return {name: value.float() for name, value in read_weights(folder / "model.safetensors").items()}


def _part(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def load_recurrent(
    source: str, *, pooling: str | None = None, max_length: int | None = None, blocks: str | None = None,
    weights: bool = True,
) -> Backbone:  # fmt: skip
    """Loads a folder of `headstart pretrain awd` or `elmo`, without its vocabulary head.

    pooling: `concat` for AWD-LSTM (mean, maximum and last state; Howard & Ruder 2018, section 3.3) and `mean` for ELMo
    by default.
    """
    folder = Path(source).expanduser()
    kind = read_config(folder)["kind"]
    tokenizer = _tokenizer(folder, kind, open=True)
    body = _read_body(folder, kind, tokenizer)
    if weights:
        fill(body, _part(_weights(folder), "body."), folder / "model.safetensors")
    else:
        reset(body, 0)
    body.eval()
    how = pooling or ("concat" if kind == "awd_lstm" else "mean")

    def run(model: nn.Module, batch: Batch) -> Tensor:
        mask = batch.get("attention_mask")
        return read_out(model(batch["input_ids"], mask)[0], batch, how)  # [B, D], of words [B, W, D]

    sample = {"input_ids": torch.arange(10).reshape(2, 5) % len(tokenizer)}
    sample["attention_mask"] = torch.ones(2, 5, dtype=torch.long)
    with torch.no_grad():
        dimension = run(body, sample).shape[1]
    given: dict[str, Any] = {"pooling": pooling, "max_length": max_length, "blocks": blocks}
    options = {name: value for name, value in given.items() if value is not None}
    if not weights:
        options["weights"] = False
    return Backbone(
        module=body,
        ladder=find_ladder(body, lambda: run(body, sample), blocks),
        run=run,
        preparation=TextPreparation(tokenizer, max_length or LONGEST),
        reinitialise=reset,
        source=source,
        loader="recurrent",
        kind="recurrent",
        modality="text",
        dimension=dimension,
        pooling=how,
        reload=source,
        options=options,
    )


def vocabulary_words(counts: dict[str, int], most: int) -> list[str]:
    """The most frequent words for a lexicon of `most` ids; ties in alphabetical order."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [word for word, _ in ordered[: most - len(SPECIAL)]]
