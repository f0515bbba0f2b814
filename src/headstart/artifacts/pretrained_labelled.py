"""Pretraining a backbone on labelled sources, and the folder it is written to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from headstart.artifacts.pretraining import Request
from headstart.backbones.load import load
from headstart.core.errors import DataError, ModelError
from headstart.core.files import replacing_folder, write_json
from headstart.core.runs import read_configuration
from headstart.data.examples import Data
from headstart.data.read import read
from headstart.engine.augment import Augment
from headstart.engine.checkpoint import Checkpoint
from headstart.engine.feed import Feed
from headstart.engine.fit import Budget, fit
from headstart.engine.pretraining import Pretraining, Source
from headstart.engine.tensors import write_tensors
from headstart.objectives.classify import Classify


def run(objective: Classify, request: Request) -> list[str]:
    """Trains on the sources' training examples and writes a folder in timm's format; says how each source fared.

    A run that was interrupted goes on where it stopped. `pretrained.json` tells what was done.
    """
    data = [
        (Path(source).stem, read(source, label=request.label, workers=request.workers, validation_share=0.04,
                                 test_share=0.01))
        for source in request.sources
    ]  # fmt: skip
    for name, found in data:
        if found.task.modality != "image" or found.task.kind != "single_label":
            raise DataError(f"{name} can't be used: classify is pretrained on images with one label each.")
    return [
        f"{source['source']:<16}{source['classes']:>4} classes  validation accuracy {source['accuracy']:.3f}"
        for source in _pretrain(objective, data, request)["sources"]
    ]


def _pretrain(objective: Classify, sources: Sequence[tuple[str, Data]], request: Request) -> dict[str, Any]:
    out, seed, compute, progress = request.out, request.seed, request.compute, request.progress
    out.mkdir(parents=True, exist_ok=True)
    if request.base is None:
        config = objective.folder_config()
        write_json(out / "config.json", config)
        backbone = load(out, weights=False)
        backbone.reinitialise(backbone.module, seed)
    else:
        config = _config_of(request.base)
        channels = tuple(config.get("model_args", {}).get("channels", ()))
        objective = replace(objective, architecture=config["architecture"], channels=channels)
        backbone = load(request.base)
    backbone.module.to(compute.device)
    backbone.module.to(memory_format=torch.channels_last)  # convolutions run twice as fast on a CPU
    augment = Augment(objective.augment, seed=seed)
    feeds = [
        Source(name, data.task, Feed(name, data.train, backbone, augment), Feed(name, data.validation, backbone))
        for name, data in sources
    ]
    job = Pretraining(backbone, feeds, objective, compute, seed)
    progress.stage("pretrain classify", job.steps_an_epoch() * objective.epochs)
    checkpoint = Checkpoint(out / "checkpoint.safetensors")
    trace = fit(job, Budget(objective.epochs), checkpoint=checkpoint, progress=progress)
    report = {
        "schema": "headstart.pretrained/1",
        "objective": "classify",
        "configuration": {k: list(v) if isinstance(v, tuple) else v for k, v in vars(objective).items()},
        "seed": seed,
        "sources": [
            {"source": name, "train": len(data.train), "validation": len(data.validation), "accuracy": accuracy,
             "classes": len(data.task.labels), "fingerprint": data.record.fingerprint}
            for (name, data), accuracy in zip(sources, job.accuracies())
        ],
        "status": trace.status,
        "seconds": trace.seconds,
        "curve": [point.to_json() for point in trace.curve],
        "torch": torch.__version__,
    }  # fmt: skip
    state = {
        name: value.to(torch.bfloat16) if request.half and value.is_floating_point() else value
        for name, value in backbone.module.state_dict().items()
    }
    with replacing_folder(out) as temporary:
        write_tensors(temporary / "model.safetensors", state, {"format": "pt"})
        write_json(temporary / "config.json", config)
        write_json(temporary / "pretrained.json", report)
    return report


def _config_of(base: str) -> dict[str, Any]:
    """What the folder says of its network: the one that is written is of the same architecture."""
    place = Path(base) / "config.json"
    if not Path(base).is_dir():
        raise ModelError(f"there is no folder {base} to go on from.")
    found: dict[str, Any] = read_configuration(place)
    if "architecture" not in found:
        raise ModelError(f"{place} names no timm architecture; classify goes on from a folder in timm's format.")
    return found
