"""The engine on a GPU against transformers' Trainer with PEFT: seconds a step, share of the card's peak, memory.

Networks of known shapes with random weights, since only time is measured: MiniLM-L6, ViT-B/16 at 224 pixels, and a
decoder of a billion parameters (TinyLlama's configuration). Texts are those of debian-sections, pictures of CIFAR-10,
decoded and enlarged on both sides; where there is no shared data, made ones. The peer is there at its defaults and as a
knowing user would tune it: bf16, texts of like length together, workers that decode. Sides take turns in one process;
each first trains a few steps that are not counted. The result has a part a case and work; parts of earlier calls stay.
"""

from __future__ import annotations

import dataclasses
import gc
import io
import os
import statistics
import tempfile
import time
from functools import partial
from typing import Annotated, Any

import numpy as np
import torch
from benchmarks.lib.data import minilm, shared
from benchmarks.lib.results import Note, Results, machine, read
from benchmarks.lib.timing import in_turn, times_faster

RESULTS = ("gpu",)
QUICK = {"case": ["minilm"], "examples": 64, "repeats": 1}
SIDES = ("ours", "defaults", "tuned")
SIZES = {"minilm": (1280, 32), "vit": (1024, 32), "decoder": (256, 32)}
"examples, and examples a step"
EPOCHS = 2
LONGEST = 256
LOADED: dict[str, Any] = {}
"the backbone of our side: a training leaves it as it was"


def network_of(case: str) -> Any:
    """The bare network on the CPU, small where there is no GPU to fill."""
    from transformers import AutoModel, BertConfig, LlamaConfig, ViTConfig

    tiny = not torch.cuda.is_available()
    torch.manual_seed(0)
    if case == "minilm":
        shape = {"hidden_size": 384, "num_hidden_layers": 2 if tiny else 6, "num_attention_heads": 12}
        return AutoModel.from_config(BertConfig(intermediate_size=1536, **shape), add_pooling_layer=False)
    if case == "vit":
        shape = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
        return AutoModel.from_config(ViTConfig(**(shape if tiny else {})), add_pooling_layer=False)
    shape = {
        "hidden_size": 2048, "num_hidden_layers": 22, "num_attention_heads": 32, "num_key_value_heads": 4,
        "intermediate_size": 5632,
    }  # fmt: skip
    if tiny:
        shape |= {"hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 128}
    return AutoModel.from_config(LlamaConfig(vocab_size=32000, max_position_embeddings=2048, **shape))


def tokenizer_of() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(os.environ.get("HEADSTART_TOKENIZER") or minilm())


def inputs_of(case: str, count: int) -> tuple[list[Any], np.ndarray, int]:
    """Texts or encoded pictures, their classes, and how many classes there are."""
    import headstart

    try:
        place = shared()
        data = headstart.read(place / ("image/cifar10" if case == "vit" else "text/debian-sections"))
        places = np.sort(np.random.default_rng(0).permutation(len(data.train))[:count])
        return data.train.inputs(places), data.train.targets[places], len(data.task.labels)
    except SystemExit:
        rng = np.random.default_rng(0)
        targets = rng.integers(10, size=count)
        if case == "vit":
            from PIL import Image

            inputs = []
            for _ in range(count):
                buffer = io.BytesIO()
                Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(buffer, "JPEG", quality=90)
                inputs.append(buffer.getvalue())
            return inputs, targets, 10
        lengths = np.clip(rng.lognormal(4.5, 0.6, count), 10, 400).astype(int)
        return [" ".join(rng.choice(["port", "shell", "mouse", "bank"], n)) for n in lengths], targets, 10


def flops(case: str, network: Any, work: str, lengths: np.ndarray) -> float:
    """Arithmetic of an epoch without padding: 2 a weight of the blocks and token forward, as much for the gradient of

    the activations, and as much again for that of the weights where they train; attention's own products likewise.
    """
    config = network.config
    weights = sum(p.numel() for n, p in network.named_parameters() if "embedding" not in n and "embed" not in n)
    passes = 3 if work == "full" else 2
    attention = 4 * config.num_hidden_layers * config.hidden_size * float((lengths.astype(float) ** 2).sum())
    return passes * (2 * weights * float(lengths.sum()) + attention)


def ours(case: str, work: str, given: Any, tokenizer: Any) -> dict[str, Any]:
    import headstart
    from headstart.core.fields import configured
    from headstart.engine.adapt import Setting, adapted
    from headstart.engine.cache.cache import Cache
    from headstart.engine.feed.feed import Feed
    from headstart.engine.job import Options
    from headstart.engine.machine.precision import compute
    from headstart.methods.method import METHODS
    from headstart.tasks.task import Task

    inputs, targets, classes = given
    options = {} if case == "vit" else {"tokenizer": tokenizer, "max_length": LONGEST}
    if case not in LOADED:
        LOADED.clear()
        LOADED[case] = headstart.load(network_of(case), **options)
    backbone, computing = LOADED[case], compute(None)
    task = Task(kind="single_label", modality=backbone.modality, labels=tuple(str(i) for i in range(classes)))
    examples = Listed(inputs, targets)
    backbone.module.to(computing.device)
    settings = {"targets": ("linear",), "rank": 8} if work == "lora" else {}

    def trained(many: Any, epochs: int) -> Any:
        feed, cache = Feed("train", many, backbone), Cache(backbone, computing)
        setting = Setting(
            backbone, task, feed, feed.none(), Options(epochs=epochs, batch_size=SIZES[case][1], cache=False),
            computing, lambda *_: (0.0, 0.0), cache,
        )  # fmt: skip
        with adapted(setting, configured(METHODS[work], settings, work), 0) as done:
            return done.seconds, done.peak_memory_bytes

    trained(examples.take(np.arange(min(len(inputs), SIZES[case][1] * 4))), 1)
    start = time.perf_counter()
    seconds, memory = trained(examples, EPOCHS)
    whole = time.perf_counter() - start
    backbone.module.cpu()
    return {"seconds": seconds, "whole_seconds": whole, "peak_memory_bytes": memory}


@dataclasses.dataclass
class Listed:
    """Examples that lie in a list."""

    items: list[Any]
    targets: np.ndarray

    @property
    def ids(self) -> np.ndarray:
        return np.arange(len(self.targets))

    def __len__(self) -> int:
        return len(self.targets)

    def inputs(self, places: Any = None) -> list[Any]:
        return self.items if places is None else [self.items[int(p)] for p in places]

    def take(self, places: Any) -> Listed:
        places = np.asarray(places, dtype=int)
        return Listed([self.items[p] for p in places], self.targets[places])


def trainer(case: str, work: str, given: Any, tokenizer: Any, tuned: bool) -> dict[str, Any]:
    import transformers
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments, set_seed

    set_seed(0)
    inputs, targets, classes = given
    with torch.device("meta"):
        config = network_of(case).config
    config.num_labels, config.pad_token_id = classes, 0
    kind = {"minilm": "BertForSequenceClassification", "vit": "ViTForImageClassification",
            "decoder": "LlamaForSequenceClassification"}[case]  # fmt: skip
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        network = getattr(transformers, kind)(config)
    if work == "lora":
        from peft import LoraConfig, get_peft_model

        names = {"minilm": r".*encoder\.layer\.\d+\..*\.(query|key|value|dense)",
                 "vit": r".*layers?\.\d+\..*\.(query|key|value|dense|q_proj|k_proj|v_proj|o_proj|fc1|fc2)",
                 "decoder": r".*_proj"}[case]  # fmt: skip
        network = get_peft_model(network, LoraConfig(r=8, lora_alpha=16, target_modules=names))

    cuda = torch.cuda.is_available()

    class Rows(torch.utils.data.Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return len(inputs)

        def __getitem__(self, i: int) -> dict[str, Any]:
            from PIL import Image
            from torchvision.transforms.v2 import functional as F

            image = Image.open(io.BytesIO(inputs[i])).convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
            return {"pixel_values": F.to_tensor(image) * 2 - 1, "labels": int(targets[i])}

    if case == "vit":
        rows: Any = Rows()
        more: dict[str, Any] = {"bf16": cuda, "dataloader_num_workers": min(8, os.cpu_count() or 1)} if tuned else {}
        collator = None
    else:
        tokens = tokenizer(inputs, truncation=True, max_length=LONGEST)
        rows = [
            {"input_ids": ids, "attention_mask": mask, "labels": int(label)}
            for ids, mask, label in zip(tokens["input_ids"], tokens["attention_mask"], targets)
        ]
        more = {"train_sampling_strategy": "group_by_length", "bf16": cuda} if tuned else {}
        collator = DataCollatorWithPadding(tokenizer)
    seconds, memory = 0.0, None
    with tempfile.TemporaryDirectory() as folder:
        for warm in (True, False):
            arguments = TrainingArguments(
                folder, num_train_epochs=EPOCHS, max_steps=4 if warm else -1, learning_rate=5e-5,
                per_device_train_batch_size=SIZES[case][1], save_strategy="no", report_to=[], disable_tqdm=True,
                logging_strategy="no", use_cpu=not cuda, **more,
            )  # fmt: skip
            run = Trainer(network, arguments, train_dataset=rows, data_collator=collator)
            if cuda:
                torch.cuda.reset_peak_memory_stats()
            found = run.train()
            seconds = found.metrics["train_runtime"]
            memory = torch.cuda.max_memory_allocated() if cuda else None
    return {"seconds": seconds, "peak_memory_bytes": memory}


def matmul_rate() -> float:
    """FLOP/s of an 8192 x 8192 x 8192 product in bf16: what the card can reach."""
    if not torch.cuda.is_available():
        return 0.0
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(10):
        a @ b
    end.record()
    torch.cuda.synchronize()
    return 10 * 2 * 8192**3 / (start.elapsed_time(end) / 1e3)


def measure(
    case: Annotated[tuple[str, ...], "of minilm, vit, decoder"] = tuple(SIZES),
    work: tuple[str, ...] = ("full", "lora"),
    repeats: int = 3,
    examples: Annotated[int, "0 for those of the case"] = 0,
    note: Note = "",
) -> Results:
    from headstart.engine.machine.precision import compute

    computing, rate, tokenizer = compute(None), matmul_rate(), tokenizer_of()
    print(f"matrix products: {rate / 1e12:.0f} TFLOP/s", flush=True)
    before = (read("gpu") or {"parts": []})["parts"]
    parts = [p for p in before if p["case"] not in case or p["work"] not in work]
    for name in case:
        count = examples or SIZES[name][0]
        given = inputs_of(name, count)
        for what in work:
            runs = in_turn(f"{name} {what}", SIDES, partial(trained, name, what, given, tokenizer), repeats)
            if name == "vit":
                lengths = np.full(count, 197)
            else:
                lengths = np.array([len(t) for t in tokenizer(given[0], truncation=True, max_length=LONGEST).input_ids])
            with torch.device("meta"):
                arithmetic = EPOCHS * flops(name, network_of(name), what, lengths)
            seconds = {side: statistics.median(run[side]["seconds"] for run in runs) for side in SIDES}
            part = {
                "case": name, "work": what, "epochs": EPOCHS, "examples": count, "batch_size": SIZES[name][1],
                "tokens": int(lengths.sum()), "runs": runs, "arithmetic": arithmetic,
                "share_of_the_peak": {s: arithmetic / seconds[s] / rate if rate else None for s in SIDES},
                "times_faster": times_faster(runs),
            }  # fmt: skip
            print(name, what, part["times_faster"], part["share_of_the_peak"], flush=True)
            parts.append(part)
            yield "gpu", {
                "schema": "headstart.gpu/1", "status": "ok", "note": note, "parts": parts, "matmul_flops": rate,
                "card": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
                "environment": machine(computing.precision, str(computing.device)),
            }  # fmt: skip


def trained(case: str, work: str, given: Any, tokenizer: Any, side: str) -> dict[str, Any]:
    """One training of a side, in this process."""
    if side == "ours":
        found = ours(case, work, given, tokenizer)
    else:
        found = trainer(case, work, given, tokenizer, side == "tuned")
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return found
