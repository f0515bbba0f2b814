"""Settings for tests: a tiny backbone with a few examples, in fp32 on one thread."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from backbones.tiny import WORDS, tiny
from headstart.artifacts.artifact import fields_of, save
from headstart.backbones.backbone import Backbone
from headstart.core.fields import configured
from headstart.core.seeds import derive
from headstart.data.examples import Examples
from headstart.engine.adapt import Adapted, Setting
from headstart.engine.adaptation import Score
from headstart.engine.cache.cache import Cache
from headstart.engine.feed.augment import Augment
from headstart.engine.feed.feed import Feed
from headstart.engine.job import Options
from headstart.engine.machine.precision import Compute
from headstart.methods.method import METHODS, Method
from headstart.methods.plan import Plan
from headstart.tasks.task import Task

FP32 = Compute(torch.device("cpu"), bf16=False)
LABELS = ("no", "perhaps", "yes")


def task_of(backbone: Backbone, kind: str = "single_label", weights: tuple[float, ...] = ()) -> Task:
    labels = () if kind == "regression" else LABELS
    return Task(kind, "text" if backbone.modality == "text" else "image", labels, weights)


def texts(count: int, seed: int = 0) -> list[str]:
    """Different texts of 2 to 13 words."""
    rng = np.random.default_rng(derive(seed, "texts"))
    return [" ".join(rng.choice(WORDS, size=2 + row % 12)) for row in range(count)]


def images(count: int, seed: int = 0, size: int = 20, channels: int = 3) -> list[bytes]:
    """Different noise pictures as PNG."""
    from PIL import Image

    rng = np.random.default_rng(derive(seed, "images"))
    out = []
    for _ in range(count):
        pixels = rng.integers(0, 256, (size, size, channels), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels if channels == 3 else pixels[:, :, 0]).save(file, "PNG")
        out.append(file.getvalue())
    return out


def examples_of(inputs: list[Any], targets: np.ndarray, first: int = 0) -> Examples:
    kind = pa.large_binary() if isinstance(inputs[0], bytes) else pa.large_string()
    rows = np.arange(len(inputs))
    table = pa.table({"input": pa.array(inputs, kind), "place": pa.array([f"made:{r}" for r in rows])})
    return Examples(table, rows, rows + first, targets)


def targets_of(kind: str, count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(derive(seed, "targets"))
    if kind == "single_label":
        return np.arange(count) % 3 if count < 12 else rng.permutation(np.arange(count) % 3)
    if kind == "multi_label":
        return rng.integers(0, 2, (count, 3)).astype(np.float32)
    return rng.normal(size=count).astype(np.float32)


def made(backbone: Backbone, kind: str, count: int, seed: int, first: int) -> Examples:
    channels = getattr(backbone.preparation, "channels", 3)
    inputs = texts(count, seed) if backbone.modality == "text" else images(count, seed, channels=channels)
    return examples_of(inputs, targets_of(kind, count, seed), first)


def accuracy(scores: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    value = (
        float(-np.square(scores - targets.reshape(len(scores), -1)).mean())
        if targets.dtype != np.int64
        else float((scores.argmax(1) == targets).mean())
    )
    return value, value


def rising() -> Score:
    """A score that improves at each look, so that the last weights are the best."""
    looks = itertools.count(1)

    def score(scores: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
        value = float(next(looks))
        return value, value

    return score


def setting_of(
    backbone: Backbone,
    kind: str = "single_label",
    *,
    count: int = 24,
    held_out: int = 9,
    augment: Augment | None = None,
    weights: tuple[float, ...] = (),
    score: Score = accuracy,
    **options: Any,
) -> Setting:
    """A setting with 24 made examples in steps of 8, two epochs unless said otherwise."""
    name = augment.name if augment else "none"
    settled = {"epochs": 2, "batch_size": 8, "patience": 100, "augment": name, **options}
    train = Feed("train", made(backbone, kind, count, 1, 0), backbone, augment)
    validation = Feed("validation", made(backbone, kind, held_out, 2, count), backbone)
    task = task_of(backbone, kind, weights)
    return Setting(backbone, task, train, validation, Options(**settled), FP32, score, Cache(backbone, FP32))


def method_of(name: str, **settings: Any) -> Method:
    """A method of the registry; a high rate, so that few steps move the weights visibly, and the defaults else."""
    cls = METHODS[name]
    if hasattr(cls, "rate"):
        settings = {"learning_rate": 1e-2, "warmup": 0.0, **settings}
    return configured(cls, settings, name)


def save_adapted(folder: Path, done: Adapted, name: str, method: Method, setting: Setting) -> None:
    save(
        folder, done.model, done.plan, setting.backbone, method=name, configuration=fields_of(method),
        task=setting.task, columns={}, precision="fp32", libraries={},
    )  # fmt: skip


def state_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Copies of all parameters and buffers, whatever their persistence."""
    return {n: v.detach().clone() for n, v in [*module.named_parameters(), *module.named_buffers()]}


def logits_of(backbone: Backbone, head: torch.nn.Module, feed: Feed, plan: Plan) -> torch.Tensor:
    """Logits with the whole forward in eval mode, nothing taken from a cache."""
    backbone.module.eval()
    with torch.no_grad():
        return head(backbone.features(feed.batch(np.arange(len(feed))), plan.reads))


__all__ = ["tiny"]
