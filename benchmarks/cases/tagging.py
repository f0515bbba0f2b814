"""Named entities of WikiGold: a frozen encoder's words under a probe, full tuning, LoRA, ELMo's words, from scratch.

MiniLM (the test dependency) or, with --elmo, an ELMo of `headstart pretrain elmo`, in a separate result. This one takes
20 minutes of one processor core, for two passes over essays of 1.8 million words:

    headstart pretrain elmo ../shared/data/text/english-general/essays.txt.gz --half --set epochs=2 \\
      --set samples=1024 --set batch_tokens=1024 --set length=32 --out runs/elmo
    python benchmarks/run.py tagging --trials 1 --epochs 6 --elmo runs/elmo

Entity F1 on the test sentences, with intervals by sentence; every method has as many trials. If seqeval is installed,
it computes each run's F1 too, and a difference ends the run. --few takes so many sentences of each split, the first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from benchmarks.cases.history import pretraining
from benchmarks.lib.data import minilm, shared
from benchmarks.lib.results import Note, Results, machine

RESULTS = ("tagging", "tagging-elmo")
QUICK = {"few": 60, "epochs": 1, "seeds": 1, "trials": 1, "methods": ["probe", "full", "majority"]}
METHODS = {"minilm": ("probe", "full", "lora", "scratch", "majority"), "elmo": ("probe", "mix", "random")}


def shortened(place: Path, few: int, folder: Path) -> Path:
    """The first so many sentences of each split."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("train", "validation", "test"):
        sentences = (place / f"{name}.conll").read_text(encoding="utf-8").strip().split("\n\n")
        (folder / f"{name}.conll").write_text("\n\n".join(sentences[:few]) + "\n", encoding="utf-8")
    return folder


def seqeval_f1(folder: Path, method: str, seeds: int, labels: tuple[str, ...]) -> list[float] | None:
    """The same runs' F1 by seqeval; None where it is not installed."""
    from headstart.stats.predictions import Predictions
    from headstart.stats.tag_metrics import tags_of

    try:
        from seqeval.metrics import f1_score
    except ImportError:
        return None
    found = []
    for seed in range(seeds):
        run = Predictions.read(folder / "predictions" / f"{method}-seed{seed}.safetensors")
        known, answers = run.targets >= 0, tags_of(run)
        true, said = (
            [[labels[tag] if tag >= 0 else "O" for tag in row[here]] for row, here in zip(side, known)]
            for side in (run.targets, answers)
        )
        found.append(float(f1_score(true, said)))
    return found


def measured(record: Any, folder: Path) -> list[dict[str, Any]]:
    """A row for each method. Raises where seqeval finds another value."""
    rows = []
    for row in record.rows:
        if row.status != "ok":
            rows.append({"method": row.method, "status": row.status})
            continue
        theirs = seqeval_f1(folder, row.method, len(row.seeds), record.task.labels)
        if theirs and abs(sum(theirs) / len(theirs) - row.value) > 1e-6:
            raise SystemExit(f"{row.method}: seqeval finds {theirs}, the record has {row.value}")
        rows.append(
            {
                "method": row.method, "status": "ok", "entity_f1": row.value, "low": row.low, "high": row.high,
                "accuracy": row.also[0].value if row.also else None, "seqeval": theirs, "seconds": row.train_seconds,
                "trained_parameters": row.trained_parameters,
            }
        )  # fmt: skip
    return rows


def measure(
    seeds: int = 3,
    trials: int = 3,
    epochs: int | None = None,
    methods: Annotated[tuple[str, ...] | None, "of the model; default: those of the record"] = None,
    elmo: Annotated[Path | None, "a folder of `headstart pretrain elmo`, measured instead of MiniLM"] = None,
    few: Annotated[int, "so many sentences of each split; 0 for all"] = 0,
    out: Annotated[Path, "taken up where it stopped"] = Path("runs/tagging"),
    note: Note = "",
) -> Results:
    import torch

    import headstart
    from headstart.cli.progress import Lines
    from headstart.engine.machine.precision import compute

    data = shared() / "text" / "tagging" / "entities" / "wikigold"
    if few:
        data = shortened(data, few, out / "few")
    name, model = ("elmo", str(elmo)) if elmo else ("minilm", minilm())
    record = headstart.compare(
        data, model, out=out / name, resume=True, methods=methods or METHODS[name], seeds=seeds, trials=trials,
        epochs=epochs, progress=Lines(), remember=False,
    )  # fmt: skip
    rows: list[dict[str, Any]] = [{"model": name, **row} for row in measured(record, out / name)]
    for row in rows:
        said = row["status"] if row["status"] != "ok" else (
            f"{100 * row['entity_f1']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
        )  # fmt: skip
        print(f"{row['model']:8} {row['method']:10} {said:>20}")
    yield "tagging-elmo" if elmo else "tagging", {
        "schema": "headstart.tagging/1", "status": "ok", "note": note, "seeds": seeds, "trials": trials,
        "epochs": epochs, "sentences": {split.name: split.size for split in record.data.splits},
        "data": "tagging/entities/wikigold", "rows": rows, "pretraining": pretraining(elmo) if elmo else None,
        "threads": torch.get_num_threads(), "environment": machine(compute("cpu").precision),
    }  # fmt: skip
