"""Language models of transformers with their vocabulary heads, for pretraining from scratch or further."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from headstart.backbones.inputs.positions import positions
from headstart.backbones.loaders.files import check_finite, read_config, require_safetensors
from headstart.backbones.loaders.packaged import is_builtin
from headstart.backbones.tokenizers.tokenizer import check_vocabulary
from headstart.core.errors import ConfigurationError, ModelError, suggestion

SIZES = {"tiny": (2, 128), "mini": (4, 256), "small": (4, 512)}
"sizes as (blocks, width) by Turc et al. 2019; one attention head per 64 units of width"
SHORT = 128
"maximum number of tokens at which plain attention is faster than the fused kernel on a CPU; at 256 they are equal"

Kind = Literal["masked", "causal"]


@dataclass
class LanguageNetwork:
    """module: network with its vocabulary head. rates: dropout rates of its configuration."""

    module: Any
    rates: dict[str, float]

    def save(self, folder: Path, tokenizer: Any, half: bool) -> None:
        """A folder that transformers' Auto classes read."""
        for name, rate in self.rates.items():
            setattr(self.module.config, name, rate)
        from headstart.backbones.loaders.hub import quiet

        module = self.module.to("cpu", torch.bfloat16 if half else torch.float32)
        with quiet():
            module.save_pretrained(folder)
            tokenizer.save_pretrained(folder)


def new(
    kind: Kind, size: str, tokenizer: Any, length: int, dropout: float, next_sentence: bool, seed: int
) -> LanguageNetwork:
    """A network with random weights, of a named size or of a configuration in a JSON file."""
    config = _config(kind, size)
    _check_direction(kind, config, size)
    config.vocab_size = len(tokenizer)
    for name in ("pad", "bos", "eos"):
        setattr(config, f"{name}_token_id", getattr(tokenizer, f"{name}_token_id"))
    # no pad token, because with one transformers searches each batch for padding, which blocks a GPU
    if kind == "causal":
        config.pad_token_id = None
    if size in SIZES:  # no more positions than examples reach, because the others would stay random
        config.max_position_embeddings = min(length, config.max_position_embeddings)
    rates = _without_dropout(config, dropout)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            module = _factory(kind, next_sentence).from_config(config, dtype=torch.float32, **_attention(kind, length))
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{size}: transformers makes no {kind} language model of it ({error}).") from error
    _check_reading(module, length, next_sentence, size)
    return LanguageNetwork(module, rates)


def existing(
    kind: Kind, source: str, length: int, dropout: float, next_sentence: bool, seed: int
) -> tuple[LanguageNetwork, Any]:
    """Network and tokenizer of a folder or hub name to continue from; a missing head gets random weights."""
    from headstart.backbones.loaders.transformers_text import tokenizer_of

    torch.manual_seed(seed)
    network, _ = _read(kind, source, dropout, next_sentence, length)
    _check_reading(network.module, length, next_sentence, source)
    tokenizer = tokenizer_of(source, False)
    check_vocabulary(source, tokenizer, network.module.get_input_embeddings().num_embeddings)
    return network, tokenizer


def with_head(source: str, body: nn.Module) -> tuple[Any, Kind]:
    """The vocabulary head of a folder or hub name on another, for instance tuned, body of the same architecture.

    Raises `ModelError` if the source has no such head.
    """
    if source == "None" or is_builtin(source):
        raise ModelError(f"{source} has no head over the vocabulary; leave out the check that asks for one.")
    kind: Kind = "causal" if _is_decoder(source) else "masked"
    network, missing = _read(kind, source, 0.0, False)
    module = network.module
    head = [name for name in missing if not name.startswith(f"{module.base_model_prefix}.")]
    if head or type(module.base_model) is not type(body):
        raise ModelError(
            f"{source} has no head over the vocabulary ({', '.join(head[:3]) or type(body).__name__}), so there is no "
            "perplexity to measure; leave that check out, or start from a language model with its head."
        )
    module = module.eval()
    setattr(module, module.base_model_prefix, body)
    return module, kind


def _is_decoder(source: str) -> bool:
    from transformers import AutoConfig

    from headstart.backbones.loaders.hub import kind_of, reading

    return kind_of(reading(source, lambda: AutoConfig.from_pretrained(source, trust_remote_code=False))) == "decoder"


def _read(
    kind: Kind, source: str, dropout: float, next_sentence: bool, length: int | None = None
) -> tuple[LanguageNetwork, list[str]]:
    """The network, and names of weights that the source lacks. length: tokens per example, if known."""
    from transformers import AutoConfig

    from headstart.backbones.loaders.hub import quiet, reading

    if (folder := Path(source)).is_dir():
        found = read_config(folder)
        # Headstart's or timm's folders; transformers reports other problems itself
        if made := found.get("kind") or found.get("architecture"):
            raise ModelError(
                f"{source} is not in transformers' format ({made}), which mlm, clm and declutr go on from."
            )
        require_safetensors(folder)
    config = reading(source, lambda: AutoConfig.from_pretrained(source, trust_remote_code=False))
    _check_direction(kind, config, source)
    rates = _without_dropout(config, dropout)
    options = {"dtype": torch.float32, "use_safetensors": True, "output_loading_info": True, "trust_remote_code": False}
    options |= _attention(kind, length)
    with quiet():
        module, info = reading(
            source, lambda: _factory(kind, next_sentence).from_pretrained(source, config=config, **options)
        )
    check_finite(module, source)
    return LanguageNetwork(module, rates), sorted(info["missing_keys"])


def _check_direction(kind: Kind, config: Any, name: str) -> None:
    """Raises `ConfigurationError` for clm with an encoder or mlm with a decoder.

    An encoder sees the word that clm predicts, and a decoder does not see the words after a masked one.
    """
    from headstart.backbones.loaders.hub import kind_of

    if kind == "masked" and kind_of(config) == "decoder":
        raise ConfigurationError(
            f"{name} ({config.model_type}) reads a word only with those before it, so that it has no head for masked "
            "words; use clm for it."
        )
    if kind == "causal" and kind_of(config) != "decoder":
        raise ConfigurationError(
            f"{name} ({config.model_type}) also reads the words after a word, so that it can't learn to predict them; "
            "use mlm for it, or clm with a decoder such as GPT-2."
        )


def _check_reading(module: Any, length: int, next_sentence: bool, name: str) -> None:
    """Raises `ConfigurationError` if the network can't read the examples of the objective."""
    readable = positions(module).readable
    if readable is not None and readable < length:
        raise ConfigurationError(f"length is {length}, but {name} reads at most {readable} tokens.")
    if next_sentence and not hasattr(getattr(module, "cls", None), "seq_relationship"):
        raise ConfigurationError(
            f"next_sentence: {name} ({module.config.model_type}) has no head for next-sentence prediction, as BERT "
            "has; leave next_sentence out."
        )


def _factory(kind: Kind, next_sentence: bool) -> Any:
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForPreTraining

    if next_sentence:
        return AutoModelForPreTraining
    return AutoModelForMaskedLM if kind == "masked" else AutoModelForCausalLM


def _attention(kind: Kind, length: int | None) -> dict[str, Any]:
    """Selects plain attention on a CPU, because the backward pass of the fused kernel is slower.

    length: tokens per example, None if unknown; for long ones the fused kernel skips the masked future tokens.
    """
    fused = torch.cuda.is_available() or (kind == "causal" and (length is None or length > SHORT))
    return {} if fused else {"attn_implementation": "eager"}


def _config(kind: Kind, size: str) -> Any:
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig, BertConfig, GPT2Config

    if size in SIZES:
        blocks, width = SIZES[size]
        if kind == "masked":
            return BertConfig(
                num_hidden_layers=blocks, hidden_size=width, num_attention_heads=width // 64,
                intermediate_size=4 * width,
            )  # fmt: skip
        # GPT-2's formula, in one operation instead of eight
        return GPT2Config(n_layer=blocks, n_embd=width, n_head=width // 64, activation_function="gelu_pytorch_tanh")
    path = Path(size)
    if not path.is_file():
        raise ConfigurationError(
            f"size is {size!r}: neither {', '.join(SIZES)} nor a file with a transformers configuration."
            f"{suggestion(size, SIZES)}"
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return AutoConfig.for_model(**found)
    except (ValueError, TypeError, OSError, StrictDataclassError) as error:
        raise ConfigurationError(f"{size} holds no transformers configuration: {error}") from error


def _without_dropout(config: Any, dropout: float) -> dict[str, float]:
    """Sets the dropout rates and returns the former ones."""
    rates = {
        name: value
        for name, value in config.to_dict().items()
        if ("dropout" in name or "pdrop" in name) and isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    for name in rates:
        setattr(config, name, dropout)
    return rates


@dataclass
class Reading:
    """Output of the network's body: hidden states before the head, [B, T, D]."""

    hidden: Tensor | None = None
    raw: Tensor | None = None
    "hidden states before the output's dropout, for recurrent networks"


@contextlib.contextmanager
def predicting(module: Any, places: Tensor) -> Iterator[Reading]:
    """Restricts the head to these places of the flattened batch inside the context: [1, N, D].

    BERT predicts every seventh token; logits for the other tokens would take most of a step.
    """
    reading = Reading()

    def gather(_: nn.Module, args: Any, output: Any) -> Any:
        reading.hidden = output[0]
        if isinstance(output, tuple) and len(output) > 1 and isinstance(output[1], Tensor):
            reading.raw = output[1]
        chosen = output[0].flatten(0, 1)[places].unsqueeze(0)  # [B, T, D] -> [1, N, D]
        if isinstance(output, tuple):
            return (chosen, *output[1:])
        output["last_hidden_state"] = chosen
        return output

    handle = module.base_model.register_forward_hook(gather)
    try:
        yield reading
    finally:
        handle.remove()
