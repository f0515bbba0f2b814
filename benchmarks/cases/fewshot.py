"""Few examples a class: the contrastive method and heads on frozen features, against SetFit on the same draws.

There is no validation split: few-shot users have none, so nothing is tuned. The result has a part a data set and number
of examples; --pairs adds to it the times of so many trainings in alternation, of the contrastive method and of SetFit
at its default number of pairs.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from benchmarks.lib import setfit
from benchmarks.lib.data import drawn, minilm, shared
from benchmarks.lib.results import Note, Results, machine, read, replaced

RESULTS = ("fewshot",)
QUICK = {"each": 2, "draws": 2, "iterations": 1, "methods": ["probe", "centroid"]}


def key(part: dict[str, Any]) -> tuple[str, int]:
    return part["data"], part["each"]


def ours(
    data: Any, cache: Any, name: str, places: np.ndarray, seed: int, test: bool = True
) -> tuple[Any, float, float]:
    """Test predictions of one training on these examples, and its seconds, of the clock and of the processor.

    The cache is there for the test examples' features, which all draws share; the training's own are counted.
    """
    from headstart.engine.adapt import Setting, adapted
    from headstart.engine.feed.feed import Feed
    from headstart.engine.job import Options
    from headstart.methods.method import METHODS
    from headstart.stats.predictions import Predictions

    backbone, cut = cache.backbone, data.train.take(places)
    held = Feed("test", data.test, backbone)
    start, start_cpu = time.perf_counter(), time.process_time()
    train = Feed(f"{name} {seed}", cut, backbone)
    setting = Setting(
        backbone, data.task, train, held.none(), Options(), cache.compute, lambda scores, targets: (0.0, 0.0), cache
    )
    with adapted(setting, METHODS[name](), seed) as done:
        seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
        scores = done.job.predict(held) if test else np.empty((len(held), len(data.task.labels)))
    return Predictions(data.test.ids, data.test.targets, scores), seconds, cpu


def timed(data: Any, cache: Any, each: int, pairs: int, longest: int | None) -> dict[str, Any]:
    """Seconds of trainings in alternation, of the clock and of the processor: ours, and the peer's at its defaults."""
    found: dict[str, Any] = {"iterations": 20, "ours": [], "peer": []}
    for number in range(pairs):
        places = drawn(data.train.targets, each, number)
        _, seconds, cpu = ours(data, cache, "contrastive", places, number, test=False)
        found["ours"].append({"seconds": seconds, "cpu_seconds": cpu})
        run = setfit.setfit(minilm(), data, places, number, 20, longest, test=False)
        found["peer"].append({"seconds": run["seconds"], "cpu_seconds": run["cpu_seconds"]})
        print(each, found["ours"][-1], found["peer"][-1], flush=True)
    ratios = [a["cpu_seconds"] / b["cpu_seconds"] for a, b in zip(found["ours"], found["peer"])]
    return found | {
        "share_of_the_peers_time": statistics.median(ratios),
        "threads": torch.get_num_threads(),
        "environment": machine(cache.compute.precision),
    }


def measure(
    data: Annotated[str, "a folder of text/"] = "trec",
    each: Annotated[int, "labels a class"] = 8,
    draws: int = 10,
    methods: tuple[str, ...] = ("contrastive", "probe", "centroid", "mahalanobis", "knn"),
    iterations: Annotated[int, "SetFit's pairs a sentence"] = 20,
    longest: Annotated[int | None, "tokens at which texts are cut, on both sides"] = None,
    pairs: Annotated[int, "only time so many trainings of each, in alternation"] = 0,
    out: Annotated[Path, "SetFit's trainings; one that is there is not run again"] = Path("runs/setfit"),
    note: Note = "",
) -> Results:
    import headstart
    from headstart.engine.cache.cache import Cache
    from headstart.engine.machine.precision import compute
    from headstart.stats.intervals import interval
    from headstart.stats.metrics import metric
    from headstart.stats.paired import compare

    asked, examples = f"shared/data/text/{data}", headstart.read(shared() / "text" / data)
    backbone = headstart.load(minilm(), **({"max_length": longest} if longest else {}))
    cache, accuracy = Cache(backbone, compute("cpu")), metric("single_label")
    known = {key(part): part for part in (read("fewshot") or {"parts": []})["parts"]}
    before = known.get((asked, each), {})
    if pairs:
        if not before:
            raise SystemExit(f"there is no result of {asked} with {each} a class to add times to: run it first")
        part = before | {"pairs": timed(examples, cache, each, pairs, longest)}
        yield "fewshot", replaced("fewshot", "headstart.fewshot/1", part, key)
        return
    folder = out / f"{data}-{each}-{iterations}"
    facts, theirs = zip(
        *(setfit.kept(folder, minilm(), examples, each, number, iterations, longest) for number in range(draws))
    )
    rows: dict[str, Any] = {}
    for name in methods:
        found = [
            ours(examples, cache, name, drawn(examples.train.targets, each, number), number) for number in range(draws)
        ]
        runs, seconds, cpu = ([one[i] for one in found] for i in range(3))
        value, low, high = interval(runs, accuracy)
        rows[name] = {
            "value": value, "low": low, "high": high, "each": [accuracy.of(one) for one in runs], "seconds": seconds,
            "cpu_seconds": cpu, "against_peer": vars(compare(runs, list(theirs), accuracy)),
        }  # fmt: skip
        print(name, round(value, 4), f"{statistics.median(seconds):.1f} s", rows[name]["against_peer"], flush=True)
    value, low, high = interval(list(theirs), accuracy)
    part = {
        "data": asked, "each": each, "draws": draws, "longest": longest, "methods": rows, "note": note,
        "threads": torch.get_num_threads(),
        "peer": {
            "name": f"SetFit, {iterations} pairs a sentence, one epoch", "value": value, "low": low,
            "high": high, "runs": list(facts), "seconds": [run["seconds"] for run in facts],
            "cpu_seconds": [run.get("cpu_seconds") for run in facts],
        },
        "environment": machine(compute("cpu").precision),
    }  # fmt: skip
    if "pairs" in before:
        part["pairs"] = before["pairs"]
    yield "fewshot", replaced("fewshot", "headstart.fewshot/1", part, key)
