"""Pretraining two towers on pictures and their captions, and the folder they are written to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headstart.backbones.backbone import Backbone, fingerprint
from headstart.backbones.loaders.files import read_config
from headstart.backbones.loaders.hub import quiet
from headstart.backbones.loaders.load import load, two_towers
from headstart.backbones.loaders.packaged import is_builtin, place_of
from headstart.backbones.loaders.timm_fresh import existing_config, fresh_config
from headstart.backbones.loaders.two_towers import KIND, TwoTowers, joined
from headstart.backbones.networks import language
from headstart.backbones.tokenizers.tokenizer import train_tokenizer
from headstart.core.disk.files import replacing_folder, write_json
from headstart.core.errors import ArtifactError, ConfigurationError, DataError, ModelError
from headstart.data.audit.findings import Findings
from headstart.data.corpus.corpus import Corpus
from headstart.data.corpus.pairs import Pairs, held_out, read_pairs
from headstart.engine.budget import Budget
from headstart.engine.feed.augment import Augment
from headstart.engine.feed.feed import Feed
from headstart.engine.fit import fit
from headstart.engine.machine.precision import compute
from headstart.engine.runtime import Runtime
from headstart.engine.state.checkpoint import Checkpoint
from headstart.engine.state.tensors import write_tensors
from headstart.engine.towers import image_features, recalls, text_features, told_apart
from headstart.pretraining.jobs.pairs import PairTraining
from headstart.pretraining.objectives.clip import Clip
from headstart.pretraining.pretraining import REPORT, TOLD, UNFINISHED, Request, ended, is_done, report, shown

AGREEMENT, AGREEMENT_HALF = 1e-3, 0.02
"maximum difference of a feature between the towers in memory and the loaded ones, for fp32 and bf16 weights"
LEAST = 10
"minimum number of pairs, of which at least one is held out"


def run(objective: Clip, request: Request) -> list[str]:
    """Trains both towers, writes a folder for `--model` and `headstart zeroshot`, and returns a summary.

    An interrupted run resumes where it stopped. `pretrained.json` is the report.
    """
    if request.base is not None:
        raise ConfigurationError(
            "clip continues from two towers, not from one folder: name them with --set image=… and --set text=…."
        )
    findings = Findings()
    request.progress.stage("read the pairs")
    pairs = read_pairs(request.sources, request.text, findings)
    train, held = held_out(pairs, request.seed)
    found = shown(findings, request.progress)
    work = request.out / UNFINISHED
    work.mkdir(parents=True, exist_ok=True)
    if len(pairs) < LEAST or not len(train):
        raise DataError(
            f"{len(pairs)} pairs are too few to learn from some and be judged by others; give {LEAST} at least."
        )
    stamp = Corpus(tuple(request.sources), None).stamp(request.progress)
    told = {"sources": stamp, "captions": request.text, "seed": request.seed}
    image, config = _image(objective, work, request)
    text = _text(objective, train, work, request, told)
    torch.manual_seed(request.seed)
    towers = joined(image, text, objective.width, objective.temperature, str(request.out))
    augment = Augment(objective.augment, seed=request.seed)
    feeds = [
        (Feed(name, pairs.images, image, augment if name == "train" else None), Feed(name, pairs.texts, text))
        for name, pairs in (("train", train), ("held out", held))
    ]
    # fingerprinted, because given towers may have changed
    start = json.dumps([told, fingerprint(towers.module)])
    job = PairTraining(towers, feeds[0], feeds[1], objective, request.compute, request.seed, start)
    same, chance = told_apart([str(text) for text in held.texts.inputs()])
    request.progress.stage("pretrain clip", job.steps_an_epoch() * objective.epochs)
    before = recalls(*job.features(), same)
    checkpoint, runtime = Checkpoint(work / "checkpoint.safetensors"), Runtime(request.compute)
    trace = fit(job, Budget(objective.epochs), runtime, checkpoint=checkpoint, progress=request.progress)
    after = recalls(*job.features(), same)
    corpus = {
        "sources": list(request.sources), "pairs": len(train), "held_out": len(held), "captions": list(pairs.columns),
        "findings": found,
    }  # fmt: skip
    exist = {
        objective.image: _is_network(objective.image),
        objective.text: objective.text not in language.SIZES,
    }
    done = report(
        objective, request, {"corpus": corpus}, ("recall_at_10", after["texts"]["10"]), trace,
        base=", ".join(name for name, there in exist.items() if there) or None, scale=towers.scale,
        parameters=sum(p.numel() for p in towers.module.parameters()),
        held_out={"loss": trace.best_loss, "before": before, "after": after, "chance_at_10": chance},
    )  # fmt: skip
    with replacing_folder(request.out) as temporary:
        _write(temporary, towers, objective, config, text.pooling, request.half)
        write_json(temporary / REPORT, done)
        _compare(towers, temporary, held, AGREEMENT_HALF if request.half else AGREEMENT)
    return ended(done) + [
        f"{len(train):,} pairs of image and {', '.join(pairs.columns)} to train on, {done['parameters']:,} parameters, "
        f"{trace.steps:,} steps in {trace.seconds:.0f} s",
        f"of {len(held):,} held-out pairs the caption is among the first 10 for {after['texts']['10']:.1%} of the "
        f"pictures (before {before['texts']['10']:.1%}, by chance {chance:.1%})",
    ]


def _is_network(image: str) -> bool:
    """True if the image tower is an existing backbone, False for a new architecture."""
    return image.startswith("timm/") or place_of(image).is_dir()


def _image(objective: Clip, work: Path, request: Request) -> tuple[Backbone, dict[str, Any]]:
    """The image tower and its config.json."""
    name = objective.image
    source = place_of(name)
    if _is_network(name) and (given := [one for one in ("channels", "image_size") if one in request.given]):
        raise ConfigurationError(f"{given[0]} is of a new network, and {name} is one that exists; leave it out.")
    if name.startswith("timm/") and not source.is_dir():
        backbone = load(name)
        return backbone, existing_config(backbone.module)
    if source.is_dir():
        config = read_config(source)
        if "architecture" not in config:
            raise ModelError(f"{name} is no folder in timm's format; give one, or a timm architecture.")
        return load(name if is_builtin(name) else source), config
    if "/" in name:
        raise ModelError(
            f"there is no folder {name}; image is a timm architecture, timm/… with its weights, a folder or builtin/…."
        )
    config = fresh_config(name, objective.image_size, objective.channels)
    (work / "image").mkdir(exist_ok=True)
    write_json(work / "image" / "config.json", config)
    backbone = load(work / "image", weights=False)
    backbone.reinitialise(backbone.module, request.seed)
    return backbone, config


def _text(objective: Clip, train: Pairs, work: Path, request: Request, told: dict[str, Any]) -> Backbone:
    """The text tower: a new BERT with a tokenizer trained on the captions, or an existing backbone."""
    if objective.text not in language.SIZES:
        if "/" not in objective.text and not place_of(objective.text).exists():
            raise ModelError(
                f"there is no folder {objective.text}; text is {', '.join(language.SIZES)}, a folder in transformers' "
                "format or a name of the hub, such as OWNER/NAME."
            )
        if "vocabulary" in request.given:
            raise ConfigurationError(
                f"vocabulary is of a new tokenizer, and {objective.text} has its own; leave it out."
            )
        found = load(objective.text, max_length=objective.length)
        if found.modality != "text" or found.loader not in ("transformers", "builtin"):
            raise ModelError(f"{objective.text} is no text encoder of transformers; give one, or tiny, mini, small.")
        return found
    folder = work / "text"
    told = {**told, "text": objective.text, "vocabulary": objective.vocabulary, "length": objective.length}
    if not is_done(folder, told):
        request.progress.stage("train the tokenizer")
        captions = [str(text) for text in train.texts.inputs()]
        # byte-level, because its trainer breaks ties deterministically, so that a resumed run has the same tokens
        tokenizer = train_tokenizer(captions, "bpe", objective.vocabulary, True, True, objective.length)
        network = language.new("masked", objective.text, tokenizer, objective.length, 0.0, False, request.seed)
        with replacing_folder(folder) as temporary, quiet():
            network.module.base_model.save_pretrained(temporary)
            tokenizer.save_pretrained(temporary)
            write_json(temporary / TOLD, told)
    return load(folder)


def _write(folder: Path, towers: TwoTowers, objective: Clip, config: dict[str, Any], pooling: str, half: bool) -> None:
    kind = torch.bfloat16 if half else torch.float32
    module: Any = towers.module.cpu()
    (folder / "image").mkdir()
    write_json(folder / "image" / "config.json", config)
    state = {name: value.to(kind) if value.is_floating_point() else value
             for name, value in module.image.state_dict().items()}  # fmt: skip
    write_tensors(folder / "image" / "model.safetensors", state, {"format": "pt"})
    with quiet():
        module.text.to(kind).save_pretrained(folder / "text")
        towers.text_preparation.tokenizer.save_pretrained(folder / "text")
    module.text.float()
    own = {
        name: value.detach().to(kind if value.dim() else torch.float32)
        for name, value in module.named_parameters()
        if not name.startswith(("image.", "text."))
    }
    write_tensors(folder / "model.safetensors", own, {"format": "pt"})
    length = min(objective.length, towers.text_preparation.max_length)
    write_json(folder / "config.json", {
        "library": "headstart", "kind": KIND, "width": objective.width, "length": length, "text_pooling": pooling,
    })  # fmt: skip
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)


def _compare(towers: TwoTowers, folder: Path, held: Pairs, agreement: float) -> None:
    """Loads the written folder. Raises `ArtifactError` if its features differ from those of the towers in memory."""
    again, here = two_towers(folder), compute("cpu", "fp32")
    few = held.take(np.arange(min(4, len(held))))
    said = [str(text) for text in few.texts.inputs()]
    for one, other in (
        (image_features(towers, few.images, here), image_features(again, few.images, here)),
        (text_features(towers, said, here), text_features(again, said, here)),
    ):
        difference = float((one - other).abs().max())
        if not difference <= agreement:
            raise ArtifactError(f"the towers, read again, differ by {difference:.2g} from those in memory.")
