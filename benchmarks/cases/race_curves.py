"""Complete trainings of every method at several lengths on few rows, to simulate races from.

MiniLM and the built-in encoders; of texts the first 24 tokens are read. For each draw of so many training examples (and
a third as many to validate on): each method with its default values, at 1/27, 1/9, 1/3 and all of its usual steps, each
with a schedule that ends there. Kept: which class each gives to each validation and test example (base64 of a byte an
example), steps, and seconds of processor time of the training alone. Draws that are there already are not measured
again. The case race_simulated races them.
"""

from __future__ import annotations

import base64
import dataclasses
import time
from typing import Annotated, Any

import numpy as np
from benchmarks.lib.data import minilm, shared
from benchmarks.lib.results import Note, Results, machine, read

RESULTS = ("race-curves",)
QUICK = {"tasks": ["gist-trec"], "sizes": [20], "draws": [0]}
SHARES = (1 / 27, 1 / 9, 1 / 3, 1.0)
METHODS = ("probe", "full", "freeze", "unfreeze", "discriminative", "ulmfit", "lpft", "lora")
TASKS = {
    **{name: (f"text/{name}", "minilm") for name in ("trec", "sst2", "debian-sections")},
    "tweets": ("text/tweet-sentiment/english", "minilm"),
    "movie-reviews": ("text/movie-reviews/all.csv", "minilm"),
    **{f"gist-{name}": (f"text/{name}", "builtin/gist") for name in ("trec", "sst2", "debian-sections")},
    "gist-tweets": ("text/tweet-sentiment/english", "builtin/gist"),
    "medical": ("image/medical", "builtin/glance"),
    "papirus": ("image/icons/papirus.parquet", "builtin/glance"),
    "breeze": ("image/icons/breeze.parquet", "builtin/glance"),
    "chest-xray": ("image/chest-xray", "builtin/glance"),
}
"data and model"
TEST = 600
"test examples at most"
TOKENS = 24


def drawn(data: Any, size: int, draw: int) -> Any:
    """Some training examples, and a third as many to validate on."""
    rng = np.random.default_rng([size, draw])
    test = np.random.default_rng(0).permutation(len(data.test))[:TEST]
    places = rng.permutation(len(data.train))[: size + size // 3]
    return dataclasses.replace(
        data,
        train=data.train.take(np.sort(places[:size])),
        validation=data.train.take(np.sort(places[size:])),
        test=data.test.take(np.sort(test)),
    )


def coded(classes: np.ndarray) -> str:
    return base64.b64encode(classes.astype(np.uint8).tobytes()).decode()


def measured(data: Any, backbone: Any, shares: tuple[float, ...]) -> list[dict[str, Any]]:
    """A line for each method and share."""
    from headstart.comparison.selection import methods_named
    from headstart.comparison.trials.workshop import Workshop
    from headstart.engine.adapt import adapted
    from headstart.engine.job import Options
    from headstart.engine.machine.precision import compute
    from headstart.stats.metrics import metric

    workshop = Workshop(data, backbone, Options(), compute("cpu"), metric("single_label"))
    lines = []
    for name, method in methods_named(METHODS, {}).items():
        for share in (1.0,) if method.solved else shares:
            setting = dataclasses.replace(workshop.setting, share=share)
            start = time.process_time()
            with adapted(setting, workshop.settled(method), 0) as done:
                trace, trained = done.trace, time.process_time() - start
                start = time.process_time()
                validation = done.job.predict(workshop.validation).argmax(1)
                look = time.process_time() - start
                test = done.job.predict(workshop.test).argmax(1)
                tested = time.process_time() - start - look
            right = [float((found == truth).mean()) for found, truth in
                     ((validation, data.validation.targets), (test, data.test.targets))]  # fmt: skip
            print(f"{name:<15} {share:.3f} {trace.steps:4d} steps {trained:6.1f} s {tested:4.1f} s {right}", flush=True)
            lines.append({
                "method": name, "share": share, "steps": trace.steps, "seconds": trained, "look_seconds": look,
                "test_seconds": tested, "best_epoch": trace.best_epoch, "validation": coded(validation),
                "test": coded(test),
            })  # fmt: skip
    workshop.cache.close()
    return lines


def measure(
    tasks: Annotated[tuple[str, ...], f"of {', '.join(TASKS)}"] = tuple(TASKS),
    sizes: Annotated[tuple[int, ...], "training examples"] = (100, 300),
    draws: tuple[int, ...] = (0, 1),
    note: Note = "",
) -> Results:
    import headstart
    from headstart.engine.machine.precision import compute

    for size in sizes:
        for draw in draws:
            for name in tasks:
                whole = read("race-curves") or {"draws": []}
                mark = {"task": name, "size": size, "draw": draw}
                if any(mark.items() <= one.items() for one in whole["draws"]):
                    continue
                print(mark, flush=True)
                source, model = TASKS[name]
                options = {"label": "context"} if source and "icons" in source else {}
                data = drawn(headstart.read(source and shared() / source, **options), size, draw)
                options = {} if data.task.modality == "image" else {"max_length": TOKENS}
                backbone = headstart.load(minilm() if model == "minilm" else model, **options)
                found = mark | {
                    "classes": len(data.task.labels), "validation": coded(data.validation.targets),
                    "test": coded(data.test.targets), "runs": measured(data, backbone, SHARES),
                }  # fmt: skip
                yield "race-curves", {
                    "schema": "headstart.race-curves/2", "status": "ok", "note": note, "shares": SHARES,
                    "draws": [*whole["draws"], found], "environment": machine(compute("cpu").precision),
                }  # fmt: skip
