"""Export of transformers backbones: a folder for `AutoModelFor…Classification.from_pretrained`, without remote code.

The library's classification class determines the format. If it puts one linear layer on the pooled features (ViT, Swin,
GPT-2, Llama), this becomes the head. If there are layers in between (BERT's pooler, RoBERTa's dense layer, ModernBERT's
norm), these are set so that they pass the logits z on: the inner layer gives
s [z, -z, 0, …], which every odd-plus-linear activation keeps (gelu(x) - gelu(-x) = x, likewise ReLU and SiLU; tanh and
a LayerNorm with variance far below its epsilon are linear for small s), and the last layer takes half the difference
and undoes s. If the class reads only the first token but the features are the mean, `averaging` adds one block.
Checkpoints of the last two kinds hold very small and very large weights: for float32 and bfloat16, not float16.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone, Batch
from headstart.backbones.export.averaging import append_averaging_block, chain_of
from headstart.backbones.export.image_processor import processor
from headstart.backbones.export.verification import Reader, difference, examples, logits_in_memory
from headstart.backbones.inputs.preparation import ImagePreparation
from headstart.core.disk.files import write_json
from headstart.core.errors import ArtifactError, ModelError

SCALES = (1.0, 1e-3, 1e-5, 1e-7)
"candidates for s; the one with the smallest error is kept"
PAD = "<|pad\ufdd0|>"
"the pad token of exported decoders; U+FDD0 is no character, so that no text holds it"
CLOSE = 2e-5
"maximum relative difference of a logit for accepting a way of storing the head"


def export_transformers(backbone: Backbone, head: nn.Linear, labels: list[str], task_kind: str, folder: Path) -> Reader:
    """config.json (labels, problem type), model.safetensors and the tokenizer or image processor."""
    device = next(backbone.module.parameters()).device
    if device.type != "cpu":
        raise ArtifactError("move the model to the CPU before an export.")
    config = _config(backbone, head, labels, task_kind)
    factory = _class(backbone, config)
    preparation: Any = backbone.preparation
    tokenizer = None if isinstance(preparation, ImagePreparation) else exported_tokenizer(backbone)
    model = _fitted(backbone, head, factory, config, tokenizer)
    model.save_pretrained(folder)
    if tokenizer is None:
        write_json(folder / "preprocessor_config.json", processor(preparation))
    else:
        tokenizer.save_pretrained(folder)

    def read_again() -> Any:
        from transformers import AutoTokenizer

        loaded, info = factory.from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
        wrong = {k: sorted(info[k]) for k in ("missing_keys", "unexpected_keys", "mismatched_keys") if info[k]}
        if wrong:
            raise ArtifactError(f"the checkpoint does not hold all weights of {factory.__name__}: {wrong}")
        loaded.eval()
        if tokenizer is None:
            return lambda batch: _logits(loaded, batch)
        reads: Any = AutoTokenizer.from_pretrained(folder)
        options = {"padding": True, "truncation": True, "return_tensors": "pt"}
        return lambda texts: loaded(**reads(texts, **options)).logits

    return read_again


def exported_tokenizer(backbone: Backbone) -> Any:
    """The backbone's tokenizer, cutting and padding as in training.

    A decoder's classifier in transformers reads the last token that is not the pad token, so texts must not contain it;
    SmolLM2's pad token ends each turn of its chats. It gets a new pad token, whose name no text contains.
    """
    preparation: Any = backbone.preparation
    tokenizer: Any = copy.deepcopy(preparation.tokenizer)
    if backbone.kind == "decoder":
        tokenizer.add_special_tokens({"pad_token": PAD})
    elif tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    tokenizer.model_max_length = preparation.max_length
    return tokenizer


def _config(backbone: Backbone, head: nn.Linear, labels: list[str], task_kind: str) -> Any:
    config: Any = copy.deepcopy(backbone.module.config)
    names = labels or ["value"]
    config.id2label = dict(enumerate(names))
    config.label2id = {name: i for i, name in enumerate(names)}
    config.num_labels = head.out_features
    config.id2label, config.label2id = dict(enumerate(names)), {name: i for i, name in enumerate(names)}
    kinds = {"single_label": "single_label_classification", "multi_label": "multi_label_classification"}
    config.problem_type = kinds.get(task_kind, "regression")
    if backbone.modality == "text":
        if getattr(config, "pad_token_id", None) is None and backbone.kind != "decoder":
            # not for encoders, because RoBERTa counts positions by its pad id
            config.pad_token_id = backbone.preparation.pad_id  # type: ignore[attr-defined]
        if hasattr(config, "classifier_pooling"):
            config.classifier_pooling = "mean" if backbone.pooling == "mean" else "cls"
    return config


def _class(backbone: Backbone, config: Any) -> Any:
    import transformers

    text = backbone.modality == "text"
    table = (
        transformers.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
        if text
        else transformers.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING
    )
    factory = table.get(type(config), None)
    name = type(backbone.module).__name__
    if factory is None or getattr(config, "is_encoder_decoder", False) or name.endswith(("EncoderModel", "Stack")):
        raise ModelError(
            f"transformers has no classification class for {name}, so there is nothing to export it as. Save the run "
            "as an artifact, or choose an encoder such as BERT, RoBERTa, DeBERTa or ModernBERT."
        )
    return factory


def _fitted(backbone: Backbone, head: nn.Linear, factory: Any, config: Any, tokenizer: Any) -> Any:
    """A classification model with the same logits as the model in memory."""
    gap = float("inf")

    def blank(backbone: Backbone, factory: Any, config: Any) -> Any:
        return _blank(backbone, factory, config, tokenizer.pad_token_id if backbone.kind == "decoder" else None)

    for ways in (_direct, _through, append_averaging_block):
        if ways is append_averaging_block and (backbone.pooling != "mean" or backbone.kind != "encoder"):
            continue
        for model in _candidates(ways, backbone, head, factory, config, blank):
            gap = _gap(model, backbone, head)
            if gap <= CLOSE:
                return model
    raise ModelError(_impossible(backbone, factory))


def _impossible(backbone: Backbone, factory: Any) -> str:
    instead = {"text": "--pooling last" if backbone.kind == "decoder" else "--pooling cls", "image": "the own pooling"}
    return (
        f"{factory.__name__} can't hold this model: "
        f"it has no place for a linear head on {backbone.pooling!r} features. "
        f"Train with {instead[backbone.modality]} to export it, or save the run as an artifact."
    )


def _candidates(way: Any, backbone: Backbone, head: nn.Linear, factory: Any, config: Any, blank: Any) -> Iterator[Any]:
    if way is not append_averaging_block:
        yield from way(blank(backbone, factory, config), backbone, head)
        return
    deeper = append_averaging_block(backbone, head, factory, config, blank)
    if deeper is not None:
        yield from _through(deeper, backbone, head, carried=True)


def _blank(backbone: Backbone, factory: Any, config: Any, pad: int | None) -> Any:
    """The classification model with the backbone's weights, its new layers still random.

    pad: id of a new pad token, for which the embedding gets a row if it has none.
    """
    with torch.random.fork_rng(devices=[]):
        model: Any = factory._from_config(copy.deepcopy(config), dtype=torch.float32).eval()
    report = model.base_model.load_state_dict(backbone.module.state_dict(), strict=False)
    if report.unexpected_keys:
        raise ModelError(f"{factory.__name__} has no place for the weights {', '.join(report.unexpected_keys[:5])}.")
    if pad is not None:
        if pad >= model.get_input_embeddings().num_embeddings:
            with torch.random.fork_rng(devices=[]):
                model.resize_token_embeddings(pad + 1, mean_resizing=False)
        model.config.get_text_config().pad_token_id = pad
    return model


@torch.no_grad()
def _logits(model: Any, batch: Batch) -> Tensor:
    """Pads with the model's pad token, because some classes find the last token by it."""
    pad = getattr(model.config.get_text_config(), "pad_token_id", None)
    if pad is not None and "attention_mask" in batch:
        batch = {**batch, "input_ids": batch["input_ids"].masked_fill(batch["attention_mask"] == 0, pad)}
    return model(**batch).logits


def _gap(model: Any, backbone: Backbone, head: nn.Linear) -> float:
    return max(difference(_logits(model, b), logits_in_memory(backbone, head, b)) for b in examples(backbone))


def _own_linears(model: Any, backbone: Backbone) -> list[nn.Linear]:
    """Linear layers that the class adds to the backbone, in the order of execution."""
    prefix = f"{model.base_model_prefix}."
    known = {f"{prefix}{name}" for name, _ in backbone.module.named_parameters()}
    chain = chain_of(backbone)
    inside = f"{prefix}{chain[0]}." if chain else "."  # an added block is no part of the classifier
    mine = [
        m
        for p, m in model.named_modules()
        if isinstance(m, nn.Linear) and f"{p}.weight" not in known and not p.startswith(inside)
    ]
    ran: list[nn.Linear] = []
    hooks = [m.register_forward_hook(lambda m, *_: ran.append(m)) for m in mine]
    try:
        _logits(model, examples(backbone)[0])
    finally:
        for hook in hooks:
            hook.remove()
    return list(dict.fromkeys(ran))


@torch.no_grad()
def _direct(model: Any, backbone: Backbone, head: nn.Linear) -> Iterator[Any]:
    """Sets one linear layer, on the features or on these beside others (DINOv2's class token and mean)."""
    layers = _own_linears(model, backbone)
    if len(layers) != 1 or layers[0].in_features % head.in_features:
        return
    (layer,) = layers
    if layer.bias is None and head.bias is not None and head.bias.abs().max() > 0:
        raise ModelError(f"the classifier of {type(model).__name__} has no bias; train the head without one.")
    for start in range(0, layer.in_features, head.in_features):
        layer.weight.zero_()
        layer.weight[:, start : start + head.in_features] = head.weight
        if layer.bias is not None:
            layer.bias.copy_(head.bias if head.bias is not None else torch.zeros_like(layer.bias))
        yield model


@torch.no_grad()
def _through(model: Any, backbone: Backbone, head: nn.Linear, carried: bool = False) -> Iterator[Any]:
    """Sets an inner and a last layer with an activation, and perhaps a norm, in between.

    carried: the inner layer's input already holds [z, -z, 0, …]; else it holds the features.
    """
    layers = _own_linears(model, backbone)
    classes = head.out_features
    if len(layers) == 1 and carried:
        layers = [layers[0], layers[0]]
    if len(layers) != 2:
        return
    inner, last = layers
    if 2 * classes > min(inner.out_features, last.in_features) or (
        last.in_features != inner.out_features and not carried
    ):
        return
    rows = head.weight / head.weight.norm()
    for scale in SCALES:
        if inner is not last:
            if carried and inner.in_features != inner.out_features:
                return
            weight = torch.eye(inner.out_features) if carried else torch.zeros_like(inner.weight)
            if not carried:
                weight[:classes], weight[classes : 2 * classes] = rows, -rows
            inner.weight.copy_(scale * weight)
            if inner.bias is not None:
                inner.bias.zero_()
        _calibrate(model, last, backbone, head)
        yield model


def _calibrate(model: Any, last: nn.Linear, backbone: Backbone, head: nn.Linear) -> None:
    """Fits the factor that inverts the layers in between: least squares of z over half the difference, per class."""
    classes = head.out_features
    last.weight.zero_()
    carried, wanted = [], []
    with _inputs(last) as seen:
        for batch in examples(backbone):
            _logits(model, batch)
            carried.append(seen.pop().reshape(len(next(iter(batch.values()))), -1, last.in_features)[:, 0])
            bias = head.bias if head.bias is not None else 0.0
            wanted.append(logits_in_memory(backbone, head, batch) - bias)
    u, z = torch.cat(carried).double(), torch.cat(wanted).double()
    half = (u[:, :classes] - u[:, classes : 2 * classes]) / 2  # [N, C]
    factor = (half * z).sum(0) / half.square().sum(0).clamp(min=1e-300) / 2  # [C]
    for c in range(classes):
        last.weight[c, c], last.weight[c, classes + c] = float(factor[c]), -float(factor[c])
    if last.bias is not None:
        last.bias.copy_(head.bias if head.bias is not None else torch.zeros_like(last.bias))


@contextlib.contextmanager
def _inputs(layer: nn.Module) -> Iterator[list[Tensor]]:
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda m, args: seen.append(args[0].detach().clone()))
    try:
        yield seen
    finally:
        hook.remove()
