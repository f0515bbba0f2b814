"""What continued pretraining is worth: MiniLM, further pretrained on package descriptions, on few labels of sections.

    python benchmarks/continued.py [--objective mlm] [--epochs 1] [--sizes 10,30,100] [--draws 3]

`headstart pretrain OBJECTIVE debian-descriptions --from MiniLM`, then the base and what came of it side by side on the
same nested subsets of debian-sections, under `probe` and `full`: accuracies, and their difference, paired by example,
with Holm's correction over methods and sizes. Taken up where it stopped. Writes benchmarks/results/continued.json, in
which sizes that are not measured now keep their rows.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parent))

import peers

METHODS = ("probe", "full")
SIZES = (10, 30, 100)


def pretrained(out: Path, objective: str, epochs: int, rate: float) -> dict[str, Any]:
    """What the command writes of its run."""
    from headstart.cli.progress import Lines
    from headstart.engine.machine.precision import compute
    from headstart.pretraining.objectives.objective import OBJECTIVES
    from headstart.pretraining.pretraining import Request, pretrain

    if not (out / "pretrained.json").is_file():
        chosen = OBJECTIVES[objective](epochs=epochs, learning_rate=rate)
        corpus = peers.shared() / "text" / "debian-descriptions" / "en.txt.gz"
        request = Request((str(corpus),), out, compute(None), Lines(), base=peers.minilm())
        print(*pretrain(chosen, request), sep="\n", flush=True)
    return json.loads((out / "pretrained.json").read_text(encoding="utf-8"))


def paired(folders: list[Path], size: int, draws: int, method: str) -> dict[str, float]:
    """The second less the first."""
    from headstart.stats.metrics import metric
    from headstart.stats.paired import compare
    from headstart.stats.predictions import Predictions

    base, further = (
        [Predictions.read(folder / "readings" / f"{size}-{draw}" / f"{method}.safetensors") for draw in range(draws)]
        for folder in folders
    )
    test = compare(further, base, metric("single_label"))
    return {
        "difference": test.difference, "difference_low": test.low, "difference_high": test.high,
        "p_value": test.p_value,
    }  # fmt: skip


def main() -> None:
    import headstart
    from headstart.api import curve
    from headstart.cli.progress import Lines
    from headstart.core.disk.files import write_json
    from headstart.core.environment import environment
    from headstart.engine.machine.precision import compute
    from headstart.stats.paired import holm

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objective", default="mlm", choices=["mlm", "declutr"])
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--sizes", type=lambda text: [int(size) for size in text.split(",")], default=[*SIZES])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/continued"))
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()
    further = arguments.out / arguments.objective
    report = pretrained(further, arguments.objective, arguments.epochs, arguments.rate)
    data = headstart.read(peers.shared() / "text" / "debian-sections")
    folders = [arguments.out / "curve-base", arguments.out / f"curve-{arguments.objective}"]
    kept = ("configuration", "corpus", "parameters", "steps", "seconds", "held_out_loss")
    report["corpus"]["sources"] = [Path(source).name for source in report["corpus"]["sources"]]
    made = {key: report[key] for key in kept}
    result = peers.RESULTS / "continued.json"
    before = json.loads(result.read_text(encoding="utf-8")) if result.is_file() else {"rows": [], "pretraining": None}
    rows = [row for row in before["rows"] if before["pretraining"] == made and row["size"] not in arguments.sizes]
    for size in arguments.sizes:  # each is a curve of its own, so that those that are done stand for themselves
        places = [folder / str(size) for folder in folders]
        curves = [
            curve(data, model, sizes=[size], draws=arguments.draws, methods=METHODS, out=place, resume=True,
                  progress=Lines())
            for model, place in zip((peers.minilm(), str(further)), places)
        ]  # fmt: skip
        for method in METHODS:
            values = [
                {key: getattr(one, key) for key in ("value", "low", "high")}
                for found in curves
                for one in found.readings
                if (one.size, one.method) == (size, method)
            ]
            told = paired(places, size, arguments.draws, method)
            rows.append({"size": size, "method": method, "base": values[0], "further": values[1], **told})
    rows.sort(key=lambda row: (row["size"], METHODS.index(row["method"])))
    for row, adjusted in zip(rows, holm([row["p_value"] for row in rows])):
        row["p_adjusted"] = adjusted
        print(row, flush=True)
    missing = sorted({*SIZES} - {row["size"] for row in rows})
    write_json(result, {
        "schema": "headstart.continued/1", "status": "partial" if missing else "ok", "missing": missing,
        "note": arguments.note, "objective": arguments.objective,
        "draws": arguments.draws, "pretraining": made, "rows": rows,
        "environment": environment("cpu", compute("cpu").precision).to_json(),
    })  # fmt: skip


if __name__ == "__main__":
    main()
