"""Pretraining a backbone on labelled sources, and the folder it is written to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.inputs.preparation import ImagePreparation
from headstart.backbones.loaders.load import load
from headstart.backbones.loaders.packaged import place_of
from headstart.backbones.loaders.timm_fresh import existing_config, fresh_config, resized_config
from headstart.core.disk.files import replacing_folder, write_json
from headstart.core.disk.runs import read_configuration
from headstart.core.errors import ArtifactError, DataError, ModelError
from headstart.data.examples import Data
from headstart.data.read import read
from headstart.engine.budget import Budget
from headstart.engine.feed.augment import Augment
from headstart.engine.feed.feed import Feed
from headstart.engine.fit import fit
from headstart.engine.runtime import Runtime
from headstart.engine.state.checkpoint import Checkpoint
from headstart.engine.state.tensors import write_tensors
from headstart.pretraining.jobs.labelled import Pretraining, Source
from headstart.pretraining.objectives.classify import IMAGE_SIZE, Classify
from headstart.pretraining.pretraining import REPORT, UNFINISHED, Request, ended, report

AGREEMENT = 1e-3
"maximum difference of a feature between the network in memory and the loaded one, as a share of the largest"


def run(objective: Classify, request: Request) -> list[str]:
    """Trains on the sources' training examples, writes a folder in timm's format, and returns results per source.

    An interrupted run resumes where it stopped. `pretrained.json` is the report.
    """
    data = [
        (Path(source).stem, read(source, label=request.label, workers=request.workers, validation_share=0.04,
                                 test_share=0.01))
        for source in request.sources
    ]  # fmt: skip
    for name, found in data:
        if not found.task.input.is_image or not found.task.exclusive:
            raise DataError(f"{name} can't be used: classify is pretrained on images with one label each.")
    done = _pretrain(objective, data, request)
    return [
        *ended(done),
        f"{sum(source['train'] for source in done['sources']):,} images, {done['parameters']:,} parameters, "
        f"{done['steps']:,} steps in {done['seconds']:.0f} s",
        *(
            f"{source['source']:<16}{source['classes']:>4} classes  accuracy {source['accuracy']:.3f} of "
            f"{source['validation']:,} validation images; the largest class is {source['largest_class']:.3f}"
            for source in done["sources"]
        ),
        *(
            f"warning: on {source['source']} that is no more than naming its largest class; try a lower learning_rate, "
            "or more epochs"
            for source in done["sources"]
            if source["accuracy"] <= source["largest_class"]
        ),
    ]


def _pretrain(objective: Classify, sources: Sequence[tuple[str, Data]], request: Request) -> dict[str, Any]:
    out, seed, compute, progress = request.out, request.seed, request.compute, request.progress
    work, base = out / UNFINISHED, request.base
    work.mkdir(parents=True, exist_ok=True)
    objective, backbone, config = _new(objective, work, seed) if base is None else _further(objective, base)
    backbone.module.to(compute.device)
    backbone.module.to(memory_format=torch.channels_last)  # because convolutions are then twice as fast on a CPU
    augment = Augment(objective.augment, seed=seed)
    feeds = [
        Source(
            name,
            data.task,
            Feed(name, data.train, backbone, augment),
            Feed(name, data.validation, backbone),
            data.record.fingerprint,
        )
        for name, data in sources
    ]
    job = Pretraining(backbone, feeds, objective, compute, seed)
    progress.stage("pretrain classify", job.steps_an_epoch() * objective.epochs)
    checkpoint = Checkpoint(work / "checkpoint.safetensors")
    trace = fit(job, Budget(objective.epochs), Runtime(compute), checkpoint=checkpoint, progress=progress)
    if request.half:  # evaluate the weights that are written
        _round(backbone.module)
    accuracies = job.accuracies()
    judged = [
        {"source": name, "train": len(data.train), "validation": len(data.validation), "accuracy": accuracy,
         "largest_class": float(np.bincount(data.validation.targets).max() / len(data.validation)),
         "classes": len(data.task.labels), "fingerprint": data.record.fingerprint}
        for (name, data), accuracy in zip(sources, accuracies)
    ]  # fmt: skip
    done = report(
        objective,
        request,
        {"sources": judged},
        ("accuracy", fmean(accuracies)),
        trace,
        averaged=objective.ema > 0,
        parameters=backbone.parameters,
    )
    state = {
        name: value.to(torch.bfloat16) if request.half and value.is_floating_point() else value
        for name, value in backbone.module.state_dict().items()
    }
    with replacing_folder(out) as temporary:
        write_tensors(temporary / "model.safetensors", state, {"format": "pt"})
        write_json(temporary / "config.json", config)
        write_json(temporary / REPORT, done)
        _compare(backbone, temporary, feeds[0].validation)
    return done


def _new(objective: Classify, work: Path, seed: int) -> tuple[Classify, Backbone, dict[str, Any]]:
    """The objective with resolved settings, the network with random weights, and its config.json."""
    size = objective.image_size or IMAGE_SIZE
    config = fresh_config(objective.architecture, size, objective.channels, objective.patch_size, objective.depth)
    write_json(work / "config.json", config)
    backbone = load(work, weights=False)
    backbone.reinitialise(backbone.module, seed)
    return _as_built(objective, config, size, backbone), backbone, config


def _further(objective: Classify, base: str) -> tuple[Classify, Backbone, dict[str, Any]]:
    """The objective, network and config.json of a backbone to continue from."""
    config = _config_of(base)
    backbone = load(base, image_size=objective.image_size)
    config = config or existing_config(backbone.module)
    assert isinstance(backbone.preparation, ImagePreparation)
    size = objective.image_size or backbone.preparation.size[0]
    if objective.image_size is not None:
        config = resized_config(config, backbone.module, size)
    return _as_built(objective, config, size, backbone), backbone, config


def _as_built(objective: Classify, config: dict[str, Any], size: int, backbone: Backbone) -> Classify:
    taken = config.get("model_args") or {}
    return replace(
        objective,
        architecture=config["architecture"],
        channels=tuple(taken.get("channels", ())),
        patch_size=taken.get("patch_size", 0),
        depth=taken.get("depth", 0),
        image_size=size,
        learning_rate=objective.rate(backbone.kind),
    )


def _round(module: nn.Module) -> None:
    with torch.no_grad():
        for value in module.state_dict().values():
            if value.is_floating_point():
                value.copy_(value.to(torch.bfloat16))


def _compare(backbone: Backbone, folder: Path, feed: Feed) -> None:
    """Loads the written folder. Raises `ArtifactError` if its features differ from the network in memory."""
    batch = feed.batch(np.arange(min(4, len(feed))))
    backbone.module.cpu().eval()
    with torch.no_grad():
        kept, found = backbone.features(batch), load(folder).features(batch)
    difference = float((kept - found).abs().max())
    if not difference <= AGREEMENT * max(1.0, float(kept.abs().max())):
        raise ArtifactError(f"the network, read again, differs by {difference:.2g} from the one in memory.")


def _config_of(base: str) -> dict[str, Any] | None:
    """config.json of a folder to continue from, for the same architecture; None for models of timm."""
    folder = place_of(base)
    if not folder.is_dir():
        if base.startswith("timm/"):
            return None
        raise ModelError(f"there is no folder {base} to go on from; give one in timm's format, timm/… or builtin/….")
    found: dict[str, Any] = read_configuration(folder / "config.json")
    if "architecture" not in found:
        raise ModelError(f"{base} names no timm architecture; classify continues from a folder in timm's format.")
    return found
