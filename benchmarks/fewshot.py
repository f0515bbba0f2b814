"""Few examples a class: the contrastive method and heads on frozen features, against SetFit on the same draws.

    python benchmarks/fewshot.py --data trec --each 8 [--draws 10] [--methods A,B] [--iterations 20] [--longest N]
    python benchmarks/fewshot.py --data trec --each 8 --pairs 3 [--longest N]

The peer's trainings are those of `benchmarks/setfit_peer.py`, run here where they are missing. There is no validation
split: few-shot users have none, so nothing is tuned. Adds its part to benchmarks/results/fewshot.json. `--pairs` times
the contrastive method and SetFit at its default number of pairs in alternation, and adds the times to that part.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import peers
import setfit_peer
import torch

RESULT = peers.RESULTS / "fewshot.json"


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
    from headstart.core.environment import environment

    found: dict[str, Any] = {"iterations": 20, "ours": [], "peer": []}
    for number in range(pairs):
        places = setfit_peer.draw(data.train.targets, each, number)
        _, seconds, cpu = ours(data, cache, "contrastive", places, number, test=False)
        found["ours"].append({"seconds": seconds, "cpu_seconds": cpu})
        run = setfit_peer.setfit(peers.minilm(), data, places, number, 20, longest, test=False)
        found["peer"].append({"seconds": run["seconds"], "cpu_seconds": run["cpu_seconds"]})
        print(each, found["ours"][-1], found["peer"][-1], flush=True)
    ratios = [a["cpu_seconds"] / b["cpu_seconds"] for a, b in zip(found["ours"], found["peer"])]
    return found | {
        "share_of_the_peers_time": statistics.median(ratios), "threads": torch.get_num_threads(),
        "environment": environment("cpu", cache.compute.precision).to_json(),
    }  # fmt: skip


def main() -> None:
    import headstart
    from headstart.core.disk.files import write_json
    from headstart.core.environment import environment
    from headstart.engine.cache.cache import Cache
    from headstart.engine.machine.precision import compute
    from headstart.stats.intervals import interval
    from headstart.stats.metrics import metric
    from headstart.stats.paired import compare

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="trec")
    parser.add_argument("--each", type=int, default=8)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--methods", default="contrastive,probe,centroid,mahalanobis,knn")
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--longest", type=int, default=None, help="tokens at which texts are cut, on both sides")
    parser.add_argument("--pairs", type=int, default=0, help="only time so many trainings of each, in alternation")
    parser.add_argument("--peer-runs", type=Path, default=Path("runs/setfit"))
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()

    data = headstart.read(peers.shared() / "text" / arguments.data)
    backbone = headstart.load(peers.minilm(), **({"max_length": arguments.longest} if arguments.longest else {}))
    whole = json.loads(RESULT.read_text()) if RESULT.exists() else {"schema": "headstart.fewshot/1", "status": "ok"}
    cache = Cache(backbone, compute("cpu"))
    if arguments.pairs:
        asked = (f"shared/data/text/{arguments.data}", arguments.each)
        mine = [part for part in whole.get("parts", []) if (part["data"], part["each"]) == asked]
        if not mine:
            parser.error(f"{RESULT} has no part of {asked[0]} with {asked[1]} a class to add times to: run it first")
        found = timed(data, cache, arguments.each, arguments.pairs, arguments.longest)
        for part in mine:
            part["pairs"] = found
        write_json(RESULT, whole)
        return
    accuracy = metric("single_label")
    folder = arguments.peer_runs / f"{arguments.data}-{arguments.each}-{arguments.iterations}"
    facts, theirs = zip(
        *(
            setfit_peer.kept(
                folder, peers.minilm(), data, arguments.each, number, arguments.iterations, arguments.longest
            )
            for number in range(arguments.draws)
        )
    )
    rows: dict[str, Any] = {}
    for name in arguments.methods.split(","):
        found = [
            ours(data, cache, name, setfit_peer.draw(data.train.targets, arguments.each, number), number)
            for number in range(arguments.draws)
        ]
        runs, seconds, cpu = ([one[i] for one in found] for i in range(3))
        value, low, high = interval(runs, accuracy)
        rows[name] = {
            "value": value, "low": low, "high": high, "each": [accuracy.of(one) for one in runs], "seconds": seconds,
            "cpu_seconds": cpu,
            "against_peer": vars(compare(runs, list(theirs), accuracy)),
        }  # fmt: skip
        print(name, round(value, 4), f"{statistics.median(seconds):.1f} s", rows[name]["against_peer"], flush=True)
    value, low, high = interval(list(theirs), accuracy)
    part = {
        "data": f"shared/data/text/{arguments.data}", "each": arguments.each, "draws": arguments.draws,
        "longest": arguments.longest, "methods": rows, "note": arguments.note, "threads": torch.get_num_threads(),
        "peer": {
            "name": f"SetFit, {arguments.iterations} pairs a sentence, one epoch", "value": value, "low": low,
            "high": high, "runs": list(facts), "seconds": [run["seconds"] for run in facts],
            "cpu_seconds": [run.get("cpu_seconds") for run in facts],
        },
        "environment": environment("cpu", compute("cpu").precision).to_json(),
    }  # fmt: skip
    for before in whole.get("parts", []):
        if (before["data"], before["each"]) == (part["data"], part["each"]) and "pairs" in before:
            part["pairs"] = before["pairs"]
    parts = [p for p in whole.get("parts", []) if (p["data"], p["each"]) != (part["data"], part["each"])]
    write_json(RESULT, whole | {"parts": [*parts, part]})


if __name__ == "__main__":
    main()
