"""What the contract expects of particular methods and pairs; whatever is not named here keeps the whole contract."""

from __future__ import annotations

RECURRENT = ("lstm", "vectors", "awd", "elmo")
BACKBONES = ("bert", "t5", "gpt2", "llama", *RECURRENT, "vit", "timm_resnet", "timm_convnext", "plain", "mlp")

KINDS = (("bert", "t5"), ("timm_resnet", "timm_convnext"), ("gpt2", "llama"), ("plain", "mlp"), ("vit",), RECURRENT)
"backbones of one kind, of which a method meets one by default"


def sampled(method: int, backbone: str) -> bool:
    """Whether the method of this number meets the backbone by default: one of every other kind, in turn."""
    return backbone not in BACKBONES or any(backbone == k[method // 2 % len(k)] for k in KINDS[method % 2 :: 2])


NOT_APPLICABLE = {
    **{("lora", backbone): "no linear or convolutional layer" for backbone in ("lstm", "vectors", "awd")},
    ("bitfit", "t5"): "no biases",
    ("bitfit", "llama"): "no biases",
    **{("norms", backbone): "no norm" for backbone in (*RECURRENT, "mlp")},
    **{("ia3", backbone): "no attention, convolution or linear layer" for backbone in ("lstm", "vectors", "awd")},
    **{
        (method, backbone): "no attention blocks"
        for method in ("houlsby", "pfeiffer", "parallel")
        for backbone in (*RECURRENT, "timm_resnet", "timm_convnext", "plain", "mlp")
    },
    **{
        ("prefix", backbone): "no attention"
        for backbone in (*RECURRENT, "timm_resnet", "timm_convnext", "plain", "mlp")
    },
    **{
        ("prompt", backbone): "does not take embeddings"
        for backbone in (*RECURRENT, "vit", "timm_resnet", "timm_convnext", "plain", "mlp")
    },
    **{
        ("vpt", backbone): "no vision transformer"
        for backbone in (
            "bert",
            "t5",
            "gpt2",
            "llama",
            *RECURRENT,
            "timm_resnet",
            "timm_convnext",
            "plain",
            "mlp",
        )
    },
    **{("soup", backbone): "no ingredients" for backbone in BACKBONES},
    **{("zeroshot", backbone): "no text tower" for backbone in BACKBONES},
    **{("fewshot", backbone): "no head over the vocabulary" for backbone in BACKBONES},
    **{(method, backbone): "questions in words" for method in ("retrieve", "gold_passage") for backbone in BACKBONES},
    **{
        ("conv_adapter", backbone): "no convolutional network"
        for backbone in ("bert", "t5", "gpt2", "llama", *RECURRENT, "vit", "mlp")
    },
}
"pairs that can't be, with what their error has to name"

BEGINS_ELSEWHERE = {"prefix", "prompt", "vpt"}
"methods with edits whose model at step 0 is not the base"

UNMERGEABLE = {"houlsby", "pfeiffer", "parallel", "conv_adapter", "prefix", "prompt", "vpt"}
"methods whose edits no ordinary layer can hold: merging says so"

KEPT = ("freeze", "unfreeze", "ulmfit", "probe")
"methods with a frozen part whose output is kept"

SETTINGS: dict[str, dict[str, object]] = {
    "unfreeze": {"stages": 3},
    "ulmfit": {"stages": 3},
    "freeze": {"share": 0.7},
    "prefix": {"tokens": 2},
    "prompt": {"tokens": 2},
}
"settings with which a method runs here, where its defaults would hide something on few rungs and steps"

LOADED: dict[str, dict[str, object]] = {"gpt2": {"max_length": 48}}
"options with which a tiny backbone is loaded: room for virtual tokens among its 64 positions"

UNGRADED = {"contrastive": "head."}
"prefix of declared parameters that the steps of a method do not train: they are solved afterwards"

UNLEARNED = {"random"}
"methods whose backbone is replaced by random weights that do not train"

WHOLE = {("t5", name) for name in ("unfreeze", "ulmfit")}
"the first block computes the position bias of all: nothing can be kept between blocks"
