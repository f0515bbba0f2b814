"""Tiny backbones with random weights, made in code: real architectures, a few thousand parameters.

`tiny("bert")` gives a loaded Backbone; `save("bert", folder)` the folder it came from; `NAMES` all there are.
Random weights depend on `seed` alone.
"""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.loaders.load import load

_WORDS = """
the a an and or not is was it this that good bad great awful film book play red green blue cat dog
bird very really quite never always i you he she we they love hate like dislike story end begin time
day night spam ham free win money hello world one two three four five six seven eight nine ten
"""
WORDS = _WORDS.split()
HIDDEN, LAYERS, HEADS, VOCABULARY = 32, 3, 4, 300


def wordpiece() -> Any:
    """A lower-casing WordPiece tokenizer ([CLS] a [SEP] b [SEP]) of about 150 tokens."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [*"abcdefghijklmnopqrstuvwxyz0123456789.,!?"]
    tokens = [*special, *letters, *(f"##{c}" for c in letters[:36]), *(w for w in WORDS if len(w) > 1)]
    vocabulary = {t: i for i, t in enumerate(dict.fromkeys(tokens))}
    raw = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    raw.normalizer = normalizers.BertNormalizer(lowercase=True)
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def bytelevel() -> Any:
    """A byte-level BPE tokenizer without merges, with an end token and no pad token, as GPT-2 and Llama have."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens = ["<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    raw = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, []))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|endoftext|>", model_max_length=64)


def _text_config(name: str) -> Any:
    import transformers as t

    usual: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": 2 * HIDDEN,
        "max_position_embeddings": 66,
        "pad_token_id": 0,
    }
    causal = {**usual, "num_key_value_heads": 2, "head_dim": 8, "bos_token_id": 0, "eos_token_id": 0}
    causal["pad_token_id"] = None
    ids = {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
    configs = {
        "bert": lambda: t.BertConfig(**usual),
        "electra": lambda: t.ElectraConfig(**usual, embedding_size=16),
        "distilbert": lambda: t.DistilBertConfig(
            vocab_size=VOCABULARY, dim=HIDDEN, n_layers=LAYERS, n_heads=HEADS, hidden_dim=64, max_position_embeddings=64
        ),
        "roberta": lambda: t.RobertaConfig(**usual, type_vocab_size=1),
        "xlm_roberta": lambda: t.XLMRobertaConfig(**usual, type_vocab_size=1),
        "deberta_v2": lambda: t.DebertaV2Config(
            **usual,
            relative_attention=True,
            position_buckets=8,
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            pos_att_type=["p2c", "c2p"],
            position_biased_input=False,
            type_vocab_size=0,
        ),
        "modernbert": lambda: t.ModernBertConfig(
            **usual, **ids, local_attention=8, global_attn_every_n_layers=2, max_length=64
        ),
        "albert": lambda: t.AlbertConfig(**usual, embedding_size=16),
        "gpt2": lambda: t.GPT2Config(
            vocab_size=VOCABULARY,
            n_embd=HIDDEN,
            n_layer=LAYERS,
            n_head=HEADS,
            n_positions=64,
            bos_token_id=0,
            eos_token_id=0,
        ),
        "llama": lambda: t.LlamaConfig(**causal),
        "qwen3": lambda: t.Qwen3Config(**causal),
        "gemma2": lambda: t.Gemma2Config(**causal, sliding_window=8, query_pre_attn_scalar=8),
        "t5": lambda: t.T5Config(
            vocab_size=VOCABULARY,
            d_model=HIDDEN,
            d_kv=8,
            d_ff=64,
            num_layers=LAYERS,
            num_heads=HEADS,
            pad_token_id=0,
            eos_token_id=3,
            decoder_start_token_id=0,
        ),
    }
    return configs[name]()


def _image_config(name: str) -> Any:
    import transformers as t

    usual: dict[str, Any] = {
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": 64,
        "image_size": 32,
        "patch_size": 8,
    }
    configs = {
        "vit": lambda: t.ViTConfig(**usual),
        "dinov2": lambda: t.Dinov2Config(**{k: v for k, v in usual.items() if k != "intermediate_size"}),
        "clip_vision": lambda: t.CLIPVisionConfig(**usual),
        "clip": lambda: t.CLIPConfig(
            text_config={**usual, "vocab_size": VOCABULARY, "max_position_embeddings": 16}, vision_config=usual
        ),
        "swin": lambda: t.SwinConfig(
            image_size=32, patch_size=4, embed_dim=16, depths=[1, 2], num_heads=[2, 2], window_size=4
        ),
        "resnet": lambda: t.ResNetConfig(
            embedding_size=16, hidden_sizes=[16, 32], depths=[2, 2], layer_type="basic", downsample_in_first_stage=False
        ),
        "convnext": lambda: t.ConvNextConfig(num_stages=2, hidden_sizes=[16, 32], depths=[2, 2], image_size=32),
    }
    return configs[name]()


_TIMM: dict[str, tuple[str, dict[str, Any], int]] = {
    "timm_resnet": ("resnet10t", {"channels": [8, 16, 16, 32], "stem_width": 8}, 32),
    "timm_vit": (
        "vit_tiny_patch16_224",
        {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 4},
        32,
    ),
    "timm_convnext": ("convnext_atto", {"depths": [1, 1, 2, 1], "dims": [8, 16, 16, 32]}, 32),
    "timm_efficientnet": ("test_efficientnet", {}, 32),
    "timm_mobilenetv3": ("mobilenetv3_small_050", {}, 32),
    "timm_swin": (
        "swin_tiny_patch4_window7_224",
        {"img_size": 32, "window_size": 4, "embed_dim": 16, "depths": [1, 2], "num_heads": [2, 2]},
        32,
    ),
    "timm_grey": ("resnet10t", {"in_chans": 1, "channels": [8, 16, 16, 32], "stem_width": 8}, 32),
}

ENCODERS = ("bert", "electra", "distilbert", "roberta", "xlm_roberta", "deberta_v2", "modernbert", "albert", "t5")
DECODERS = ("gpt2", "llama", "qwen3", "gemma2")
VISION = ("vit", "dinov2", "clip_vision", "swin", "resnet", "convnext")
TIMM = tuple(_TIMM)
TORCHVISION = ("torchvision_resnet", "torchvision_vit", "torchvision_efficientnet")
LIVE = ("plain", "mlp", "lstm", "dropouts")
OWN = ("vectors", "awd", "elmo")
NAMES = (*ENCODERS, *DECODERS, *VISION, *TIMM, *TORCHVISION, *LIVE, *OWN)
BLOCKS = LAYERS
"transformer blocks of every text model"


def save(name: str, folder: str | Path, seed: int = 0) -> Path:
    """Writes the tiny model as its library would, with tokenizer or image settings; returns the folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    from transformers.utils import logging

    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name in _TIMM:
            _save_timm(name, folder)
        elif name in (*VISION, "clip"):
            _save_vision(name, folder)
        elif name in (*ENCODERS, *DECODERS):
            _save_text(name, folder)
        elif name == "vectors":
            _save_vectors(folder, seed)
        elif name in OWN:
            _save_recurrent(name, folder, seed)
        else:
            raise ValueError(f"{name} is live only; folders: {ENCODERS + DECODERS + VISION + TIMM + OWN}")
    return folder


def causal(name: str, folder: str | Path, seed: int = 0, tokenizer: Any = None, **changes: Any) -> Path:
    """Writes a decoder with its head over the vocabulary; changes: of its configuration."""
    from transformers import AutoModelForCausalLM

    config = _text_config(name)
    for key, value in changes.items():
        setattr(config, key, value)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = AutoModelForCausalLM.from_config(config)
        _spread(module)
    module.save_pretrained(folder)
    (tokenizer or bytelevel()).save_pretrained(folder)
    return Path(folder)


def _save_text(name: str, folder: Path) -> None:
    from transformers import AutoModel

    module = AutoModel.from_config(_text_config(name))
    _spread(module)
    module.save_pretrained(folder)
    (bytelevel() if name in DECODERS else wordpiece()).save_pretrained(folder)


def _save_vectors(folder: Path, seed: int) -> None:
    """Word vectors under a BiLSTM."""
    from headstart.backbones.loaders.vector_backbone import write_folder
    from headstart.backbones.networks.word_vectors import WordVectors

    words = [word for word in WORDS if word not in ("good", "awful")]
    write_folder(folder, WordVectors(words, torch.randn(len(words), 16).numpy()), bilstm=HIDDEN // 2, seed=seed)


def _save_recurrent(name: str, folder: Path, seed: int) -> None:
    from headstart.backbones.loaders import recurrent
    from headstart.backbones.tokenizers.lexicon import Lexicon

    words = [word for word in WORDS if word not in ("good", "awful")]
    tokenizer = Lexicon(words, open=False) if name == "elmo" else wordpiece()
    network = recurrent.new("elmo" if name == "elmo" else "awd_lstm", "tiny", tokenizer, 1.0, seed)
    _spread(network.module)
    network.save(folder, tokenizer, half=False)


def _save_vision(name: str, folder: Path) -> None:
    from transformers import AutoModel

    module = AutoModel.from_config(_image_config(name))
    _spread(module)
    module.save_pretrained(folder)
    settings = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": 32, "width": 32},
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.5, 0.5, 0.5],
        "do_normalize": True,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "resample": 2,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


def _save_timm(name: str, folder: Path) -> None:
    import timm
    from safetensors.torch import save_file

    architecture, arguments, size = _TIMM[name]
    module = timm.create_model(architecture, pretrained=False, num_classes=0, **arguments)
    _spread(module)
    channels = arguments.get("in_chans", 3)
    config = {
        "architecture": architecture,
        "num_classes": 0,
        "model_args": arguments,
        "pretrained_cfg": {
            "input_size": [channels, size, size],
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "mean": [0.5] * channels,
            "std": [0.5] * channels,
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    save_file(module.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})


@torch.no_grad()
def _spread(module: nn.Module) -> None:
    """Random biases, norms and statistics, so that a test can tell weights apart that start as 0 or 1."""
    for p in module.parameters():
        if p.dim() == 1:
            p.add_(0.1 * torch.randn_like(p))
    for name, buffer in module.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            buffer.normal_(0.0, 0.1)


class PlainNet(nn.Module):
    """A tutorial's convolutional net for grey 16 x 16 images."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc1 = nn.Linear(16 * 4 * 4, 32)
        self.fc2 = nn.Linear(32, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))  # [B, 8, 8, 8]
        x = self.pool(torch.relu(self.conv2(x)))  # [B, 16, 4, 4]
        x = torch.relu(self.fc1(x.flatten(1)))  # [B, 32]
        return self.fc2(x)


class DroppingBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.drop, self.conv2 = nn.Conv2d(channels, 8, 3, padding=1), nn.Dropout(0.3), nn.Conv2d(8, 8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv2(self.drop(torch.relu(self.conv1(x))))


class Dropouts(nn.Module):
    """A convolutional net that drops out everywhere: at its input, in and after its blocks, before its classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Dropout(0.3)
        self.blocks = nn.Sequential(*(DroppingBlock(channels) for channels in (3, 8, 8)))
        self.fc = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(self.before(x))  # [B, 8, H, W]
        x = nn.functional.dropout(x, 0.3, self.training)
        return self.fc(x.mean((2, 3)))


class LstmNet(nn.Module):
    """An embedding and two LSTMs; gives the states of all tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 16)
        self.lower = nn.LSTM(16, HIDDEN, batch_first=True)
        self.upper = nn.LSTM(HIDDEN, HIDDEN, batch_first=True)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.lower(self.embedding(input_ids))
        return self.upper(hidden)[0]  # [B, T, HIDDEN]


def _live(name: str) -> Backbone:
    if name == "plain":
        return load(_spread_of(PlainNet()), image_size=16)
    if name == "dropouts":
        return load(_spread_of(Dropouts()), image_size=16)
    if name == "mlp":
        net = nn.Sequential(
            nn.Flatten(), nn.Linear(3 * 8 * 8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 5)
        )
        return load(net, image_size=8, mean=(0.5,) * 3, std=(0.5,) * 3)
    if name == "lstm":
        return load(LstmNet(), tokenizer=wordpiece(), max_length=64)
    import torchvision.models as models

    if name == "torchvision_resnet":
        from torchvision.models.resnet import BasicBlock, ResNet

        return load(_spread_of(ResNet(BasicBlock, [1, 1, 1, 1], num_classes=7)), image_size=32)
    if name == "torchvision_vit":
        net = models.VisionTransformer(32, 8, LAYERS, HEADS, HIDDEN, 64, num_classes=7)
        return load(_spread_of(net), image_size=32)
    from torchvision.models.efficientnet import EfficientNet, MBConvConfig

    settings = [MBConvConfig(e, 3, s, i, o, n, 1.0, 1.0) for e, s, i, o, n in [(1, 1, 8, 8, 1), (2, 2, 8, 16, 2)]]
    return load(_spread_of(EfficientNet(settings, 0.0, num_classes=7, last_channel=32)), image_size=32)


def _spread_of(module: nn.Module) -> nn.Module:
    _spread(module)
    return module


def tiny(name: str, seed: int = 0, **options: Any) -> Backbone:
    """A loaded tiny backbone; `options` go to `load` (pooling, max_length, …) where it comes from a folder."""
    if name in (*TORCHVISION, *LIVE):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return _live(name)
    return load(_saved(name, seed), **options)


@functools.cache
def _saved(name: str, seed: int) -> Path:
    """The folder of a tiny model, written once a process."""
    folder = tempfile.mkdtemp(prefix=f"tiny-{name}-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return save(name, folder, seed)


TEXTS = ["the film was very good", "bad", "i never like the story it was awful and the end is bad !", "a great book"]


def batch_of(backbone: Backbone, count: int = 4, seed: int = 0) -> dict[str, torch.Tensor]:
    """A batch of `count` different examples: texts of different lengths, or random images."""
    preparation: Any = backbone.preparation
    if backbone.modality == "text":
        generator = torch.Generator().manual_seed(seed)
        texts = [
            " ".join(WORDS[int(i)] for i in torch.randint(len(WORDS), (3 + 4 * (row % 3),), generator=generator))
            for row in range(count)
        ]
        return preparation.collate(preparation.encode(texts))
    generator = torch.Generator().manual_seed(seed)
    shape = (count, preparation.channels, *preparation.size)
    return {"pixel_values": torch.randn(shape, generator=generator)}
