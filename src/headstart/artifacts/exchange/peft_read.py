"""Reading a PEFT adapter as a run's artifact."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart.artifacts.artifact import Artifact, fields_of, save
from headstart.artifacts.exchange.peft_write import CONFIG, HEAD, HEAD_WEIGHTS, WEIGHTS
from headstart.backbones.backbone import Backbone
from headstart.backbones.loaders.files import read_weights
from headstart.core.environment import libraries
from headstart.core.errors import ArtifactError, MethodError, ModelError
from headstart.core.fields import configured
from headstart.methods.adapters.lora import LORA
from headstart.methods.adapters.lora_update import LoraUpdate, weight_of
from headstart.methods.method import METHODS, Method
from headstart.methods.plan import Model
from headstart.methods.prompts.prefix import AttentionPrefix
from headstart.methods.prompts.prompt import VirtualTokens
from headstart.tasks.task import TASKS, Task

TELLS_NOTHING = {
    "auto_mapping", "base_model_name_or_path", "revision", "inference_mode", "peft_type", "peft_version", "task_type",
    "megatron_core", "megatron_config", "qalora_group_size", "init_lora_weights", "lora_dropout", "layers_to_transform",
    "layers_pattern", "target_modules", "exclude_modules", "modules_to_save", "encoder_hidden_size", "encoder_dropout",
    "encoder_reparameterization_type", "prompt_tuning_init", "prompt_tuning_init_text", "tokenizer_name_or_path",
    "tokenizer_kwargs", "fan_in_fan_out", "runtime_config", "prefix_projection",
    "ensure_weight_tying",
}  # fmt: skip
"fields of PEFT's configurations that do not affect a trained adapter"
_PROMPT = {"num_virtual_tokens", "token_dim", "num_layers", "num_attention_heads", "num_transformer_submodules"}
USED = {
    "LORA": {"r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "use_dora", "bias"},
    "PREFIX_TUNING": _PROMPT,
    "PROMPT_TUNING": _PROMPT,
}
"fields that are read, by type of adapter"
NEEDED = {
    "LORA": ("r", "lora_alpha"),
    "PREFIX_TUNING": ("num_virtual_tokens",),
    "PROMPT_TUNING": ("num_virtual_tokens",),
}


def from_peft(folder: str | Path, backbone: Backbone, out: str | Path, *, labels: Sequence[str] = ()) -> Artifact:
    """Writes the artifact `out` from a folder of PEFT or of Headstart's export; `backbone` is its base.

    The head is head.safetensors of the export, or from PEFT's saved modules a decoder's `score` or a vision model's
    `classifier`: one linear layer on the features of `backbone`. The `classifier` of text encoders is not supported,
    because it reads a pooler. labels: names of the classes [default: those of head.json, or numbers].
    Raises `ArtifactError`, and writes nothing, for missing or unexpected tensors, other shapes, and settings that
    Headstart has no method for.
    """
    place = Path(folder)
    config, tensors = _config(place), _tensors(place)
    weight, bias, told = _head(place, tensors, backbone)
    if weight.shape[1] != backbone.dimension:
        raise ArtifactError(f"the head reads {weight.shape[1]} features; {backbone.source} has {backbone.dimension}.")
    kind = told.get("kind", "single_label")
    names = tuple(labels) or tuple(told.get("labels", ())) or tuple(str(i) for i in range(len(weight)))
    if TASKS[kind].numeric:
        names = ()
    elif len(names) != len(weight):
        raise ArtifactError(
            f"the head has {len(weight)} classes; {len(names)} label{'' if len(names) == 1 else 's'} were given."
        )
    head = nn.Linear(backbone.dimension, len(weight), bias=bias is not None)
    name, method, values = _method(config, tensors, backbone)
    model = Model(backbone.module, head)
    _ = backbone.fingerprint  # computed now on the bare base, and cached
    try:
        plan = method.attach(backbone, head)
    except MethodError as error:
        raise ArtifactError(f"{place} does not fit {backbone.source}: {error}") from error
    with plan.applied(model), torch.no_grad():
        head.weight.copy_(weight)
        if bias is not None:
            head.bias.copy_(bias)
        _fill(model, values)
        return save(
            out, model, plan, backbone, method=name, configuration=fields_of(method),
            task=Task(kind, backbone.modality, names), columns={},
            precision="fp32", libraries=libraries(),
        )  # fmt: skip


def _config(place: Path) -> dict[str, Any]:
    try:
        config = json.loads((place / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{place} holds no adapter of PEFT: {CONFIG} can't be read ({error}).") from error
    kind = config.get("peft_type") if isinstance(config, dict) else None
    if kind not in USED:
        raise ArtifactError(f"{place} is of PEFT's type {kind}; Headstart reads {', '.join(USED)}.")
    missing = [name for name in NEEDED[kind] if not isinstance(config.get(name), (int, float))]
    if missing:
        raise ArtifactError(f"{place}: {CONFIG} lacks {', '.join(missing)}.")
    strange = [
        f for f, v in config.items() if v not in (None, False, "", [], {}) and f not in TELLS_NOTHING | USED[kind]
    ]
    if strange:
        raise ArtifactError(
            f"{place}: {', '.join(strange)} in {CONFIG} changes the computation; Headstart can't do it."
        )
    if config.get("bias", "none") != "none":
        raise ArtifactError(f"{place} trained biases too (bias={config['bias']}); only bias=none is read.")
    if isinstance(config.get("init_lora_weights"), str) and config["init_lora_weights"] not in (
        "gaussian",
        "orthogonal",
    ):
        raise ArtifactError(
            f"{place} began at {config['init_lora_weights']}, which changed its base; save it in PEFT with "
            "path_initial_model_for_weight_conversion, which makes an ordinary LoRA of it."
        )
    return config


def _tensors(place: Path) -> dict[str, Tensor]:
    if not (place / WEIGHTS).exists():
        if (place / "adapter_model.bin").exists():
            raise ArtifactError(
                f"{place} has its weights as adapter_model.bin, a format that can run code when it is read; load it in "
                "PEFT where you trust it and call save_pretrained, which writes safetensors."
            )
        raise ArtifactError(f"{place} has no {WEIGHTS}.")
    try:
        return read_weights(place / WEIGHTS)
    except ModelError as error:
        raise ArtifactError(str(error)) from error


def _head(place: Path, tensors: dict[str, Tensor], backbone: Backbone) -> tuple[Tensor, Tensor | None, dict[str, Any]]:
    """Weight, bias and the content of head.json; removes the head's tensors from the adapter's."""
    told = _told(place)
    found = {n: n.rpartition(".") for n in tensors if re.fullmatch(r"base_model\.(model\.)?(score|classifier)\.\w+", n)}
    parts = {part: tensors.pop(name) for name, (_, _, part) in found.items()}
    pooling = told.get("pooling", backbone.pooling)
    if (place / HEAD_WEIGHTS).exists():
        parts = read_weights(place / HEAD_WEIGHTS)
    elif any(layer.endswith("score") for layer, _, _ in found.values()):
        pooling = "last"
    elif parts and backbone.modality == "text":
        raise ArtifactError(
            f"{place}: the classifier of transformers' encoders reads a separate pooler, which is no feature of the "
            "backbone; train the head on the adapted model in PEFT as FEATURE_EXTRACTION, or the method in Headstart."
        )
    if "weight" not in parts or not set(parts) <= {"weight", "bias"} or parts["weight"].dim() != 2:
        raise ArtifactError(
            f"{place} holds no linear head that Headstart can compute, so that there is nothing to predict with; train "
            "one on the adapted model, or export it from Headstart, which writes head.safetensors."
        )
    if pooling != backbone.pooling:
        raise ArtifactError(
            f"{place}: the head reads {pooling} features; the base was loaded with pooling={backbone.pooling}. Load it "
            f"with --pooling {pooling}."
        )
    return parts["weight"], parts.get("bias"), told


def _told(place: Path) -> dict[str, Any]:
    """head.json of Headstart's export, if there is one."""
    if not (place / HEAD).exists():
        return {}
    try:
        told = json.loads((place / HEAD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{place / HEAD} can't be read ({error}).") from error
    if not isinstance(told, dict) or told.get("kind", "single_label") not in TASKS:
        raise ArtifactError(f"{place / HEAD} is none that Headstart wrote: {told!r:.80}.")
    return told


def _method(
    config: dict[str, Any], tensors: dict[str, Tensor], backbone: Backbone
) -> tuple[str, Method, dict[str, Tensor]]:
    """Name, method, and parameter values by their names in the model."""
    if config["peft_type"] == "LORA":
        return _lora(config, tensors, backbone)
    if set(tensors) != {"prompt_embeddings"}:
        raise ArtifactError(f"the adapter holds {', '.join(sorted(tensors)[:4])}; expected prompt_embeddings alone.")
    rows = tensors["prompt_embeddings"]
    if len(rows) != config["num_virtual_tokens"]:
        raise ArtifactError(f"prompt_embeddings has {len(rows)} rows; {CONFIG} says {config['num_virtual_tokens']}.")
    settings = {"tokens": len(rows)}
    if config["peft_type"] == "PROMPT_TUNING":
        return "prompt", configured(METHODS["prompt"], settings | {"start": "random"}, "prompt"), {"embeddings": rows}
    return "prefix", configured(METHODS["prefix"], settings, "prefix"), {"rows": rows}


def _lora(
    config: dict[str, Any], tensors: dict[str, Tensor], backbone: Backbone
) -> tuple[str, Method, dict[str, Tensor]]:
    inner = f"{getattr(backbone.module, 'base_model_prefix', '')}."
    sites = {site.path for site in backbone.ladder.sites_of("linear", "conv")}
    found: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        match = re.fullmatch(r"base_model\.model\.(.+?)\.lora_(A|B|magnitude_vector)(?:\.weight)?", name)
        path = match and next((p for p in (match[1], match[1].removeprefix(inner)) if p in sites), None)
        if not match or not path:
            raise ArtifactError(f"the adapter holds {name}, and {backbone.source} has no layer for it.")
        found.setdefault(path, {})[match[2]] = value
    dora, values = bool(config.get("use_dora")), {}
    wanted = {"A", "B", "magnitude_vector"} if dora else {"A", "B"}
    ranks, alphas = {}, {}
    for path, parts in found.items():
        if set(parts) != wanted:
            raise ArtifactError(
                f"{path} has {', '.join(sorted(parts))} in the adapter, not {', '.join(sorted(wanted))}."
            )
        ranks[path] = _patterned(config.get("rank_pattern") or {}, path, inner, config["r"])
        alphas[path] = _patterned(config.get("alpha_pattern") or {}, path, inner, config["lora_alpha"])
        if len(parts["A"]) != ranks[path] or parts["B"].shape[1] != ranks[path]:
            raise ArtifactError(
                f"{path}: lora_A is {tuple(parts['A'].shape)} and lora_B {tuple(parts['B'].shape)}; the rank is "
                f"{ranks[path]} by {CONFIG}."
            )
        place = f"backbone.{path}.{LORA}"
        values[f"{place}.lora_a.weight"] = parts["A"]
        # Headstart has one alpha for all layers, so a layer's different alpha goes into its B
        values[f"{place}.lora_b.weight"] = parts["B"] * (alphas[path] / config["lora_alpha"])
        if dora:
            values[f"{place}.magnitude"] = parts["magnitude_vector"].flatten()
    settings = {
        "rank": config["r"], "alpha": float(config["lora_alpha"]), "dora": dora,
        "rank_stabilised": bool(config.get("use_rslora")), "targets": tuple(found),
        "ranks": tuple(f"{path}={rank}" for path, rank in ranks.items() if rank != config["r"]),
    }  # fmt: skip
    return "lora", configured(METHODS["lora"], settings, "lora"), values


def _patterned(patterns: dict[str, Any], path: str, inner: str, default: Any) -> Any:
    """PEFT's rule: the first pattern that matches the end of the layer's path."""
    for pattern, value in patterns.items():
        if any(re.match(rf"(.*\.)?({pattern})$", name) for name in (path, f"{inner}{path}")):
            return value
    return default


def _fill(model: Model, values: dict[str, Tensor]) -> None:
    """Loads the adapter's values into the added parameters. Raises `ArtifactError` for missing or unfitting ones."""
    if "embeddings" in values:
        (virtual,) = (m for m in model.modules() if isinstance(m, VirtualTokens))
        _copy(virtual.embeddings, values["embeddings"], "prompt_embeddings")
        return
    if "rows" in values:
        sites = [m for m in model.modules() if isinstance(m, AttentionPrefix)]
        sizes = [site.keys.shape[1] for site in sites for _ in range(2)]
        if values["rows"].shape[1] != sum(sizes):
            raise ArtifactError(
                f"prompt_embeddings is {tuple(values['rows'].shape)}; this base has {len(sites)} attention sites, "
                f"whose keys and values take {sum(sizes)} numbers a token."
            )
        pieces = values["rows"].split(sizes, dim=1)
        for site, keys, rows in zip(sites, pieces[::2], pieces[1::2], strict=True):
            _copy(site.keys, keys, "keys")
            _copy(site.values, rows, "values")
        return
    layers = {n: m for n, m in model.named_modules() if isinstance(m, LoraUpdate)}
    for name, layer in layers.items():
        _copy(weight_of(layer.lora_a), values[f"{name}.lora_a.weight"], f"{name}.lora_A")
        _copy(weight_of(layer.lora_b), values[f"{name}.lora_b.weight"], f"{name}.lora_B")
        if layer.magnitude is not None:
            _copy(layer.magnitude, values[f"{name}.magnitude"], f"{name}.magnitude")


def _copy(target: Tensor, value: Tensor, name: str) -> None:
    if target.shape != value.shape:
        raise ArtifactError(f"{name} is {tuple(value.shape)} in the adapter, {tuple(target.shape)} in the model.")
    with torch.no_grad():
        target.copy_(value)
