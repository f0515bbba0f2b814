"""Writing a run's adapter in PEFT's format: `adapter_config.json` and `adapter_model.safetensors`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart.artifacts.artifact import lasting
from headstart.artifacts.predictor import Predictor
from headstart.core.disk.files import write_json, write_text
from headstart.core.errors import ModelError
from headstart.core.markdown import escaped
from headstart.engine.state.tensors import write_tensors
from headstart.methods.adapters.lora_update import LoraUpdate, weight_of
from headstart.methods.plan import Model
from headstart.methods.prompts.prefix import AttentionPrefix
from headstart.methods.prompts.prompt import VirtualTokens

VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"ranks that vLLM supports"
CONFIG, WEIGHTS, HEAD, HEAD_WEIGHTS = (
    "adapter_config.json", "adapter_model.safetensors", "head.json", "head.safetensors",
)  # fmt: skip


def write_peft(predictor: Predictor, folder: Path, *, vllm: bool = False) -> None:
    """Writes the adapter into `folder`, for feature extraction, with its head beside it in head.safetensors.

    Not as a sequence classifier of PEFT, because those of transformers do not average tokens, and for decoders read the
    last token that is not the base's pad token, which skips that token at the end of a text.
    vllm: LoRA for vLLM: one rank for all layers, the scale in B, no DoRA, no further modules.
    Raises `ModelError` for methods and backbones that PEFT has no format for.
    """
    model, backbone = predictor.model, predictor.backbone
    if backbone.loader != "transformers":
        raise ModelError(
            f"PEFT finds its base by transformers, and this one was loaded with {backbone.loader}; export it as a "
            "checkpoint: --format checkpoint. Nothing was written."
        )
    prefixes = [m for m in model.modules() if isinstance(m, AttentionPrefix)]
    inner = f"{getattr(backbone.module, 'base_model_prefix', '')}." if vllm else ""
    config: dict[str, Any] = {
        "base_model_name_or_path": _base(predictor),
        "inference_mode": True,
        "task_type": "CAUSAL_LM" if vllm else "FEATURE_EXTRACTION",
    }
    updates = {n: m for n, m in model.named_modules() if isinstance(m, LoraUpdate)}
    lora = {n.removeprefix("backbone.").rpartition(".")[0]: m for n, m in updates.items()}
    virtual = [m for m in model.modules() if isinstance(m, VirtualTokens)]
    if lora:
        told, tensors = _lora(lora, inner, vllm)
    elif vllm:
        raise ModelError("vLLM only serves LoRA; export this run with --format peft. Nothing was written.")
    elif prefixes:
        told, tensors = _prefix(prefixes)
    elif virtual:
        told, tensors = _prompt(virtual[0], backbone.module)
    else:
        raise ModelError(
            f"PEFT's format has lora, prefix and prompt; this run is {predictor.artifact.method}. Export it as a "
            "checkpoint, or serve it with headstart. Nothing was written."
        )
    config |= told
    write_tensors(folder / HEAD_WEIGHTS, dict(_head(model).named_parameters()))
    task = predictor.artifact.task
    write_json(folder / HEAD, {"labels": list(task.labels), "kind": task.kind, "pooling": backbone.pooling})
    write_tensors(folder / WEIGHTS, {name: value.detach().contiguous() for name, value in tensors.items()})
    write_json(folder / CONFIG, config)
    write_text(folder / "README.md", _readme(predictor, bool(lora)))


def _head(model: Model) -> nn.Linear:
    if not isinstance(model.head, nn.Linear):
        raise ModelError("this run's head is not linear, and no format holds it. Nothing was written.")
    return model.head


def _lora(layers: dict[str, LoraUpdate], inner: str, vllm: bool) -> tuple[dict[str, Any], dict[str, Tensor]]:
    factors = {path: _factors(layer) for path, layer in layers.items()}
    ranks = {path: len(a) for path, (a, _) in factors.items()}
    scales = {path: layer.scale for path, layer in layers.items()}
    first = next(iter(layers.values()))
    if odd := next((type(layer.base).__name__ for layer in layers.values() if not layer.plain), None):
        raise ModelError(
            f"PEFT puts its update beside a layer, which a {odd} with its own padding or standardised weight does not "
            "bear; export a checkpoint, into which the update is merged: --format checkpoint. Nothing was written."
        )
    dora = first.magnitude is not None
    config: dict[str, Any] = {
        "peft_type": "LORA", "bias": "none", "lora_dropout": first.dropout, "init_lora_weights": True,
        "fan_in_fan_out": first.transposed, "use_dora": dora, "use_rslora": False,
    }  # fmt: skip
    if vllm:
        if dora:
            raise ModelError("vLLM has no DoRA; train lora without it, or export a checkpoint. Nothing was written.")
        if any(layer.weight.dim() > 2 for layer in layers.values()):
            raise ModelError("vLLM's LoRA is for linear layers, not for convolutions. Nothing was written.")
        widest = max(ranks.values())
        rank = next((allowed for allowed in VLLM_RANKS if allowed >= widest), None)
        if rank is None:
            raise ModelError(f"vLLM takes ranks up to {VLLM_RANKS[-1]}, not {widest}. Nothing was written.")
        factors = {path: _padded(a, b * scales[path], rank) for path, (a, b) in factors.items()}
        config |= {"r": rank, "lora_alpha": rank}
        config["target_modules"] = sorted({path.rpartition(".")[2] for path in layers})
    else:
        rank = Counter(ranks.values()).most_common(1)[0][0]
        alpha = {path: scales[path] * ranks[path] for path in layers}
        usual = Counter(alpha.values()).most_common(1)[0][0]
        config |= {
            "r": rank,
            "lora_alpha": usual,
            "target_modules": [f"{inner}{path}" for path in layers],
            "rank_pattern": {f"{inner}{path}": r for path, r in ranks.items() if r != rank},
            "alpha_pattern": {f"{inner}{path}": a for path, a in alpha.items() if a != usual},
        }
    tensors = {}
    for path, (a, b) in factors.items():
        place = f"base_model.model.{inner}{path}"
        tensors[f"{place}.lora_A.weight"], tensors[f"{place}.lora_B.weight"] = a, b
        magnitude = layers[path].magnitude
        if magnitude is not None:
            shape = (1, -1, *(1,) * (b.dim() - 2)) if b.dim() > 2 else (-1,)
            tensors[f"{place}.lora_magnitude_vector"] = magnitude.reshape(shape)
    return config, tensors


def _factors(layer: LoraUpdate) -> tuple[Tensor, Tensor]:
    """A [r, in, …] and B [out, r, …]; PiSSA's update takes twice the rank: [A; A0] and [B, -B0]."""
    a, b = weight_of(layer.lora_a), weight_of(layer.lora_b)
    if layer.first_a is None or layer.first_b is None:
        return a, b
    return torch.cat([a, layer.first_a]), torch.cat([b, -layer.first_b], dim=1)


def _padded(a: Tensor, b: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    more = rank - len(a)
    return torch.cat([a, a.new_zeros(more, a.shape[1])]), torch.cat([b, b.new_zeros(len(b), more)], dim=1)


def _prefix(sites: list[AttentionPrefix]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    pairs = [(site.keys, site.values) if site.rows is None else site.rows() for site in sites]
    sizes = {pair[0].shape[1] for pair in pairs}
    if len(sizes) > 1:
        raise ModelError("PEFT's prefix has one size for all layers; this model's layers differ. Nothing was written.")
    config = {
        "peft_type": "PREFIX_TUNING", "num_virtual_tokens": len(pairs[0][0]), "num_layers": len(sites),
        "num_attention_heads": sites[0].heads, "token_dim": sizes.pop(), "prefix_projection": False,
        "num_transformer_submodules": 1,
    }  # fmt: skip
    config["encoder_hidden_size"] = config["token_dim"]
    return config, {"prompt_embeddings": torch.cat([rows for pair in pairs for rows in pair], dim=1)}


def _prompt(virtual: VirtualTokens, module: nn.Module) -> tuple[dict[str, Any], dict[str, Tensor]]:
    told: Any = module.config
    config = {
        "peft_type": "PROMPT_TUNING", "num_virtual_tokens": len(virtual.embeddings), "prompt_tuning_init": "RANDOM",
        "token_dim": virtual.embeddings.shape[1], "num_layers": getattr(told, "num_hidden_layers", 1),
        "num_attention_heads": getattr(told, "num_attention_heads", 1), "num_transformer_submodules": 1,
    }  # fmt: skip
    return config, {"prompt_embeddings": virtual.embeddings}


def _base(predictor: Predictor) -> str:
    """Reference to the base from any directory: the absolute path of a folder, or the hub name."""
    return lasting(predictor.backbone.reload) or predictor.artifact.base.source


def _readme(predictor: Predictor, lora: bool) -> str:
    """Code for loading the adapter, to run in the export's folder."""
    artifact, backbone = predictor.artifact, predictor.backbone
    length = getattr(backbone.preparation, "max_length", None)
    skipped = "" if lora else "[:, -tokens['input_ids'].shape[1] :]"  # omits the virtual tokens
    pooled = {
        "mean": "(hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)",
        "cls": "hidden[:, 0]",
        "last": "hidden[range(len(mask)), mask.sum(1) - 1]",
    }[backbone.pooling]
    # back-ticks could end the Markdown code block
    answers = [line.replace("`", "\\x60") for line in artifact.task.code()]
    lines = [
        f"# {artifact.method} on {escaped(artifact.base.source)}, written by Headstart", "", "```python",
        "import torch", "from peft import PeftModel", "from safetensors.torch import load_file",
        "from transformers import AutoModel, AutoTokenizer", "",
        f"base, here = {_base(predictor)!r}, '.'  # this folder",
        "tokenizer = AutoTokenizer.from_pretrained(base, padding_side='right')",
        "tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token",
        "model = PeftModel.from_pretrained(AutoModel.from_pretrained(base, dtype=torch.float32), here).eval()",
        f"tokens = tokenizer(['a text'], padding=True, truncation=True, max_length={length}, return_tensors='pt')",
        "with torch.no_grad():",
        f"    hidden = model(**tokens).last_hidden_state{skipped}",
        "mask, head = tokens['attention_mask'], load_file(f'{here}/head.safetensors')",
        f"features = {pooled}  # pooling: {backbone.pooling}",
        "scores = features @ head['weight'].T + head.get('bias', 0)",
        *answers, "```", "",
        "The head reads pooled features, which no class of transformers does as in training: it lies in",
        "head.safetensors, its labels in head.json.", "",
    ]  # fmt: skip
    return "\n".join(lines)
