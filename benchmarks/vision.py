"""The engine on images at 224 pixels against plain PyTorch: features of a frozen network, and gradual unfreezing.

    python benchmarks/vision.py [--model resnet18,vit_tiny_patch16_224] [--images 1000] [--repeats 3]

JPEG files of CIFAR-10, decoded and enlarged on both sides; networks without pretrained weights, since only time is
measured. The peer is timm's network in a DataLoader loop: as most write it, and tuned (channels last, and bf16 where
the processor has it); where fastai is installed, its own gradual unfreezing of a ResNet-18 too. Sides take turns, each
in a process of its own. Writes benchmarks/results/vision.json.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import peers

RESULT = peers.RESULTS / "vision.json"
WORKS = ("features", "unfreeze")
SIDES = ("ours", "plain", "tuned")
FASTAI = ("unfreeze", "resnet18")
EPOCHS, STAGES = 3, 3


def some(count: int) -> Any:
    import dataclasses

    import headstart

    data = headstart.read(peers.shared() / "image" / "cifar10")
    places = np.sort(np.random.default_rng(0).permutation(len(data.train))[:count])
    return dataclasses.replace(data, train=data.train.take(places))


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
    import fastai_peer

    labels = [data.task.labels[int(target)] for target in data.train.targets]
    return fastai_peer.unfreeze(data.train.inputs(), labels, 224, 32)


def sides(work: str, model: str) -> tuple[str, ...]:
    here = (work, model) == FASTAI and importlib.util.find_spec("fastai") is not None
    return (*SIDES, "fastai") if here else SIDES


def timed(work: str, model: str, side: str, data: Any) -> float:
    if side == "ours":
        return ours(work, model, data)
    return fastai(data) if side == "fastai" else plain(work, model, data, side == "tuned")


def main() -> None:
    import torch

    from headstart.core.disk.files import write_json
    from headstart.core.environment import environment
    from headstart.engine.machine.precision import compute

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=lambda text: text.split(","), default=["resnet18", "vit_tiny_patch16_224"])
    parser.add_argument("--work", type=lambda text: text.split(","), default=list(WORKS))
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--note", default="", help="about the machine, for the record")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        work, model, side = arguments.one
        data = some(arguments.images)
        print(timed(work, model, side, data))
        return
    for model in arguments.model:
        for work in arguments.work:
            runs = []
            for _ in range(arguments.repeats):
                run = {}
                for side in sides(work, model):
                    command = [sys.executable, __file__, "--one", work, model, side, "--images", str(arguments.images)]
                    done = subprocess.run(command, capture_output=True, text=True)
                    if done.returncode:
                        sys.exit(done.stderr)
                    run[side] = float(done.stdout.strip().splitlines()[-1])
                runs.append(run)
                print(model, work, {side: f"{seconds:.1f} s" for side, seconds in run.items()}, flush=True)
            times = {
                side: statistics.median(run[side] / run["ours"] for run in runs) for side in runs[0] if side != "ours"
            }
            note = arguments.note
            if "fastai" in times:
                note = f"fastai {importlib.metadata.version('fastai')}. {note}".strip()
            device = str(compute(None).device)
            part = {
                "model": model, "work": work, "images": arguments.images, "runs": runs, "times_faster": times,
                "threads": torch.get_num_threads(), "note": note,
                "environment": environment(device, compute(None).precision).to_json(),
            }  # fmt: skip
            print(model, work, times, flush=True)
            whole = {"schema": "headstart.vision/1", "status": "ok", "parts": []}
            if RESULT.exists():
                whole = json.loads(RESULT.read_text())
            key = (model, work, device, part["environment"]["processor"])
            others = [
                p for p in whole["parts"]
                if (p["model"], p["work"], p["environment"]["device"], p["environment"]["processor"]) != key
            ]  # fmt: skip
            write_json(RESULT, whole | {"parts": [*others, part]})


if __name__ == "__main__":
    main()
