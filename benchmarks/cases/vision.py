"""The engine on images at 224 pixels against plain PyTorch: features of a frozen network, and gradual unfreezing.

JPEG files of CIFAR-10, decoded and enlarged on both sides; networks without pretrained weights, since only time is
measured. The peer is timm's network in a DataLoader loop: as most write it, and tuned (channels last, and bf16 where
the processor has it); where fastai is installed, its own gradual unfreezing of a ResNet-18 too. Sides take turns, each
in a process of its own. The result has a part a network, work, device and processor.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import time
from functools import partial
from typing import Annotated, Any

from benchmarks.lib.data import shared, some
from benchmarks.lib.results import Note, Results, machine, replaced
from benchmarks.lib.timing import alone, in_turn, times_faster

RESULTS = ("vision",)
QUICK = {"model": ["resnet18"], "images": 32, "repeats": 1}
WORKS = ("features", "unfreeze")
SIDES = ("ours", "plain", "tuned")
FASTAI = ("unfreeze", "resnet18")
EPOCHS, STAGES = 3, 3


def pictures(count: int) -> Any:
    """CIFAR-10 with so many training images."""
    import headstart

    return some(headstart.read(shared() / "image" / "cifar10"), count)


def ours(work: str, model: str, data: Any) -> float:
    import timm
    import torch

    import headstart
    from headstart.core.fields import configured
    from headstart.engine.adapt import Setting, adapted, new_head
    from headstart.engine.cache.cache import Cache, all_features
    from headstart.engine.feed.feed import Feed
    from headstart.engine.job import Options
    from headstart.engine.machine.precision import compute
    from headstart.methods.method import METHODS

    torch.manual_seed(0)
    backbone, computing = headstart.load(timm.create_model(model), image_size=224), compute(None)
    backbone.module.to(computing.device).to(memory_format=torch.channels_last)
    none = Feed("test", data.test.take([]), backbone)
    start = time.perf_counter()
    train, cache = Feed("train", data.train, backbone), Cache(backbone, computing)
    options = Options(epochs=EPOCHS, batch_size=32)
    if work == "features":
        all_features(cache, train, options.batch_tokens)
        return time.perf_counter() - start
    setting = Setting(backbone, data.task, train, none, options, computing, lambda *_: (0.0, 0.0), cache)
    method = configured(METHODS["unfreeze"], {"stages": STAGES, "share": (STAGES - 1) / STAGES}, "unfreeze")
    cache.expect(method.attach(backbone, new_head(backbone, data.task, method, 0)).prefixes(len(backbone.ladder)))
    with adapted(setting, method, 0):
        return time.perf_counter() - start


def plain(work: str, model: str, data: Any, tuned: bool) -> float:
    import io

    import timm
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    from headstart.engine.machine.precision import compute

    computing = compute(None)
    network = timm.create_model(model, num_classes=len(data.task.labels)).to(computing.device)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network))
    if tuned:
        network.to(memory_format=torch.channels_last)
    inputs, targets = data.train.inputs(), data.train.targets

    class Pictures(Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return len(inputs)

        def __getitem__(self, i: int) -> Any:
            return transform(Image.open(io.BytesIO(inputs[i])).convert("RGB")), int(targets[i])

    def batch_of(pixels: Any) -> Any:
        pixels = pixels.to(computing.device)
        return pixels.to(memory_format=torch.channels_last) if tuned else pixels

    autocast = computing.autocast if tuned else (lambda: torch.autocast("cpu", enabled=False))
    start = time.perf_counter()
    if work == "features":
        network.eval()
        with torch.no_grad(), autocast():
            for pixels, _ in DataLoader(Pictures(), batch_size=64):
                network.forward_features(batch_of(pixels)).float().cpu()
        return time.perf_counter() - start
    blocks = list(network.blocks) if hasattr(network, "blocks") else [
        block for stage in (network.layer1, network.layer2, network.layer3, network.layer4) for block in stage
    ]  # fmt: skip
    head = network.get_classifier()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    for epoch in range(EPOCHS):
        network.requires_grad_(False).eval()
        below = len(blocks) * (STAGES - 1 - epoch) // (STAGES - 1)
        for part in [head, *blocks[below:], *([network] if below == 0 else [])]:
            part.requires_grad_(True).train()
        for pixels, labels in DataLoader(Pictures(), batch_size=32, shuffle=True):
            with autocast():
                scores = network(batch_of(pixels))
            torch.nn.functional.cross_entropy(scores.float(), labels.to(scores.device)).backward()
            optimizer.step()
            optimizer.zero_grad()
    return time.perf_counter() - start


def fastai(data: Any) -> float:
    from benchmarks.lib import fastai as peer

    labels = [data.task.labels[int(target)] for target in data.train.targets]
    return peer.unfreeze(data.train.inputs(), labels, 224, 32)


def sides(work: str, model: str) -> tuple[str, ...]:
    here = (work, model) == FASTAI and importlib.util.find_spec("fastai") is not None
    return (*SIDES, "fastai") if here else SIDES


def timed(work: str, model: str, side: str, data: Any) -> float:
    if side == "ours":
        return ours(work, model, data)
    return fastai(data) if side == "fastai" else plain(work, model, data, side == "tuned")


def one(work: str, model: str, side: str, images: int) -> float:
    return timed(work, model, side, pictures(images))


def measure(
    model: Annotated[tuple[str, ...], "timm's names"] = ("resnet18", "vit_tiny_patch16_224"),
    work: Annotated[tuple[str, ...], "of features, unfreeze"] = tuple(WORKS),
    images: int = 1000,
    repeats: int = 3,
    note: Note = "",
) -> Results:
    import torch

    from headstart.engine.machine.precision import compute

    device = str(compute(None).device)
    for network in model:
        for what in work:
            once = partial(alone, "vision:one", what, network)
            runs = in_turn(f"{network} {what}", sides(what, network), once, repeats, images)
            times, told = times_faster(runs), note
            if "fastai" in times:
                told = f"fastai {importlib.metadata.version('fastai')}. {note}".strip()
            part = {
                "model": network, "work": what, "images": images, "runs": runs, "times_faster": times,
                "threads": torch.get_num_threads(), "note": told,
                "environment": machine(compute(None).precision, device),
            }  # fmt: skip
            print(network, what, times, flush=True)
            yield "vision", replaced("vision", "headstart.vision/1", part, key)


def key(part: dict[str, Any]) -> tuple[str, ...]:
    return part["model"], part["work"], part["environment"]["device"], part["environment"]["processor"]
