"""A comparison made by hand: ten methods and two controls, one of them failed and one diverged."""

from __future__ import annotations

import dataclasses
import math
import random

from headstart.core.records.comparison import ClassRow, Comparison, Mistake, Row, Verdict
from headstart.core.records.data import DataRecord, Finding, SplitRecord, TaskRecord
from headstart.core.records.environment import EnvironmentRecord
from headstart.core.records.model import ModelRecord
from headstart.core.records.training import Point, SeedRun, Trial

SAID = (
    "Best: lora, 96.1 % accuracy [95.0, 97.1] (chosen on validation), 41 s of training.",
    "Cheapest within 3 points of it: bitfit, 94.2 % accuracy [92.6, 95.7], 33 s of training; may cost up to 2.9 points "
    "(one-sided 95 % bound, corrected for 2 cheaper methods).",
    "Tuning is better than the frozen base: lora against probe +8.2 points [+7.2, +9.2].",
)
LABELS = ("abbreviation", "description", "entity", "human", "location", "number")
SEEDS = (1, 2, 3)

#           name               value  half  share   seconds memory  latency size    lr
MEASURED = (
    ("lora", 0.9612, 0.011, 0.0053, 41.2, 1.31e9, 0.0121, 1.4e6, 3e-4),
    ("full", 0.9588, 0.012, 1.0, 187.4, 4.92e9, 0.0117, 265.5e6, 2e-5),
    ("gradual_unfreezing", 0.9571, 0.013, 1.0, 142.9, 4.9e9, 0.0117, 265.5e6, 5e-5),
    ("layerwise_lr", 0.9566, 0.012, 1.0, 181.0, 4.92e9, 0.0118, 265.5e6, 5e-5),
    ("adapter", 0.9547, 0.013, 0.0135, 48.8, 1.42e9, 0.0139, 3.6e6, 1e-3),
    ("bitfit", 0.9421, 0.016, 0.0008, 32.6, 1.18e9, 0.0117, 0.21e6, 2e-3),
    ("prefix", 0.9203, 0.019, 0.0028, 52.3, 1.5e9, 0.0148, 0.74e6, 5e-3),
    ("probe", 0.8792, 0.022, 0.00007, 3.1, 0.61e9, 0.0116, 19e3, 1e-2),
)
CONTROLS = (
    ("scratch", 0.6230, 0.036, 1.0, 190.1, 4.9e9, 0.0117, 265.5e6, 1e-4),
    ("majority", 0.2210, 0.028, 0.0, 0.0, None, None, None, None),
)


def row(numbers: tuple, control: bool, rng: random.Random, labels: tuple[str, ...] = LABELS) -> Row:
    name, value, half, share, seconds, memory, latency, size, lr = numbers
    reference = name == "lora"
    classes = []
    confusion = [[0] * len(labels) for _ in labels]
    for i, label in enumerate(labels):
        support = 40 + 11 * (i % 7)
        right = round(support * 3 * min(1.0, value + rng.uniform(-0.03, 0.03)))
        confusion[i][i] = right
        for _ in range(support * 3 - right):
            confusion[i][(i + rng.choice((1, 1, 1, 2, 3))) % len(labels)] += 1
        recall = right / (support * 3)
        precision = min(1.0, value + rng.uniform(-0.04, 0.02))
        classes.append(ClassRow(label, precision, recall, 2 * precision * recall / (precision + recall), support))
    return Row(
        method=name,
        status="ok",
        metric="accuracy",
        configuration={"rank": 8, "alpha": 16.0, "targets": ["query", "value"]} if name == "lora" else {"dropout": 0.1},
        value=value,
        low=value - half,
        high=value + half * 0.9,
        validation_value=value + rng.uniform(-0.01, 0.01),
        learning_rate=lr,
        trained_parameters=round(66.4e6 * share) if share else 0,
        trained_share=share,
        peak_memory_bytes=None if memory is None else int(memory),
        train_seconds=seconds,
        tuning_seconds=seconds * 4,
        latency_seconds=latency,
        artifact_bytes=None if size is None else int(size),
        difference=None if reference else value - 0.9612,
        difference_low=None if reference else value - 0.9612 - 0.01,
        difference_high=None if reference else value - 0.9612 + 0.01,
        p_value=None if reference else 0.2 if value > 0.95 else 0.0001,
        p_adjusted=None if reference else 0.61 if value > 0.95 else 0.0004,
        control=control,
        seeds=tuple(seed_run(seed, value, lr, seconds, rng) for seed in SEEDS),
        trials=tuple(
            Trial({"learning_rate": lr * factor}, value - loss, 0.2 + loss, seconds, chosen=factor == 1)
            for factor, loss in ((0.3, 0.021), (1, 0.0), (3, 0.013))
        )
        + (Trial({"learning_rate": lr * 10}, None, None, seconds / 2, "diverged"),)
        if lr
        else (),
        classes=tuple(classes),
        confusion=tuple(map(tuple, confusion)),
        notes=("merged into the base on export",) if name == "lora" else (),
        summary="low-rank updates of linear layers" if name == "lora" else "",
    )


def seed_run(seed: int, value: float, lr: float | None, seconds: float, rng: random.Random) -> SeedRun:
    shift = rng.uniform(-0.008, 0.008)
    points = []
    for epoch in range(1, 9) if lr else ():
        progress = 1 - math.exp(-epoch / 2)
        noise = rng.uniform(-0.006, 0.006)
        points.append(
            Point(
                epoch=float(epoch),
                step=epoch * 32,
                train_loss=1.7 * math.exp(-epoch / 1.8) + 0.02,
                validation_loss=1.6 * math.exp(-epoch / 1.6) + 0.14 + 0.008 * epoch + noise,
                validation_value=0.3 + (value - 0.3) * progress + noise + shift,
                learning_rate=lr,
            )
        )
    return SeedRun(seed, value + shift, value + shift, seconds + seed, 6.0 if points else None, tuple(points))


def failures() -> tuple[Row, Row]:
    failed = Row("prompt", "failed: out of memory: 12.1 GB asked, 7.8 GB free", "accuracy")
    points = tuple(Point(float(e), e * 32, 1.5**e, 2.0**e, 0.2) for e in (1, 2, 3)) + (Point(4.0, 128),)
    diverged = Row(
        "full_sgd",
        "diverged",
        "accuracy",
        learning_rate=0.5,
        seeds=(SeedRun(1, None, None, 12.0, None, points),),
        trials=(Trial({"learning_rate": 0.5}, None, status="diverged"),),
    )
    return failed, diverged


def findings() -> tuple[Finding, ...]:
    return (
        Finding("leak", "error", "4 test questions also stand in train; they were left out of train", 4, ("q.csv:17",)),
        Finding("near_duplicate", "warning", "11 pairs of near twins", 11, ("q.csv:5", "q.csv:81", "q.csv:9")),
        Finding("imbalance", "note", "the largest class is 14 times the smallest"),
    )


def comparison() -> Comparison:
    rng = random.Random(7)
    sizes = {"train": 400, "validation": 100, "test": 500}
    counts = (0.02, 0.21, 0.23, 0.22, 0.15, 0.17)
    splits = tuple(
        SplitRecord(name, size, "made (stratified)", {la: round(size * c) for la, c in zip(LABELS, counts)})
        for name, size in sizes.items()
    )
    rows = [row(numbers, False, rng) for numbers in MEASURED] + [row(numbers, True, rng) for numbers in CONTROLS]
    rng.shuffle(rows)
    return Comparison(
        task=TaskRecord("single_label", "text", LABELS, "accuracy"),
        model=ModelRecord(
            "distilbert-base-uncased",
            "transformers",
            "encoder",
            "9f3c1a77b2",
            66_362_880,
            768,
            "mean",
            ("embedding", "block 0", "block 1", "block 2", "block 3", "block 4", "block 5", "pool"),
        ),
        data=DataRecord("q.csv", "77ab03", {"text": "question", "label": "kind"}, 0, splits, 1019, 1000, findings()),
        seeds=SEEDS,
        environment=EnvironmentRecord(
            "0.1.0",
            "3.12.3",
            {"torch": "2.9.0", "transformers": "5.0.1", "timm": "1.0.22"},
            "Linux-6.1-x86_64",
            "AMD EPYC 7B13",
            8,
            32_000_000_000,
            "cpu",
            "float32",
            "2026-01-14T09:21:33Z",
        ),
        rows=(*rows, *failures()),
        verdict=Verdict("lora", " ".join(SAID), "lora", lines=SAID, cheapest="bitfit", most_lost=0.029, margin=0.03),
        mistakes=(
            Mistake("q.csv:17", "What does NASA stand for ?", "abbreviation", "entity", 0.994, 5.2),
            Mistake("q.csv:81", "Who was Galileo ?", "human", "description", 0.71, 1.4),
        ),
        configuration={
            "data": "q.csv",
            "model": "distilbert-base-uncased",
            "text": "question",
            "label": "kind",
            "methods": ["lora", "full", "probe"],
            "seeds": [1, 2, 3],
            "trials": 4,
            "cache": True,
        },
        seconds=5321.0,
    )


def many_classes(number: int = 100) -> Comparison:
    """The same with `number` classes."""
    labels = tuple(f"class {i:03d} with a rather long name" for i in range(number))
    rng = random.Random(3)
    base = comparison()
    rows = tuple(row(numbers, False, rng, labels) for numbers in MEASURED)
    splits = tuple(
        dataclasses.replace(split, class_counts={la: rng.randint(3, 40) for la in labels}) for split in base.data.splits
    )
    return dataclasses.replace(
        base,
        task=dataclasses.replace(base.task, labels=labels),
        rows=rows,
        data=dataclasses.replace(base.data, splits=splits),
    )


def regression() -> Comparison:
    """Mean absolute error, lower is better, one seed, no classes."""
    base = comparison()
    rows = tuple(
        dataclasses.replace(
            r, metric="mae", value=1 - r.value, low=1 - (r.high or 0), high=1 - (r.low or 0), classes=(), confusion=(),
            difference=None if r.difference is None else -r.difference, seeds=r.seeds[:1],
        )
        for r in base.rows if r.value is not None
    )  # fmt: skip
    return dataclasses.replace(
        base,
        task=TaskRecord("regression", "text", (), "mae", higher_is_better=False),
        rows=rows,
        seeds=(1,),
        mistakes=(Mistake("q.csv:17", "What does NASA stand for ?", "3", "9.5", None, 6.5),),
        data=dataclasses.replace(
            base.data, splits=tuple(dataclasses.replace(s, class_counts={}) for s in base.data.splits)
        ),
    )


def bare() -> Comparison:
    """Nothing measured: every value missing, no reference, no method to use."""
    base = comparison()
    rows = (
        Row("lora", "not run", "accuracy"),
        Row("full", "ok", "accuracy"),
        Row("broken", "ok", "accuracy", value=float("nan")),
    )
    verdict = Verdict(None, "Nothing was measured.", None)
    return dataclasses.replace(
        base, rows=rows, verdict=verdict, status="partial", seconds=None, configuration={}, mistakes=()
    )
