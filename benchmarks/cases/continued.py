"""What continued pretraining is worth: MiniLM, further pretrained on package descriptions, on few labels of sections.

`headstart pretrain OBJECTIVE debian-descriptions --from MiniLM`, then the base and what came of it side by side on the
same nested subsets of debian-sections, under `probe` and `full`: accuracies, and their difference, paired by example,
with Holm's correction over methods and sizes. Sizes that are not measured now keep their rows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from benchmarks.lib.data import minilm, shared
from benchmarks.lib.results import Note, Results, machine, read

RESULTS = ("continued",)
QUICK = {"sizes": [10], "draws": 1, "language": "ja"}
METHODS = ("probe", "full")
SIZES = (10, 30, 100)


def pretrained(out: Path, objective: str, epochs: int, rate: float, language: str) -> dict[str, Any]:
    """What the command writes of its run."""
    from headstart.cli.progress import Lines
    from headstart.engine.machine.precision import compute
    from headstart.pretraining.objectives.objective import OBJECTIVES
    from headstart.pretraining.pretraining import Request, pretrain

    if not (out / "pretrained.json").is_file():
        chosen = OBJECTIVES[objective](epochs=epochs, learning_rate=rate)
        corpus = shared() / "text" / "debian-descriptions" / f"{language}.txt.gz"
        request = Request((str(corpus),), out, compute(None), Lines(), base=minilm())
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


def measure(
    objective: Literal["mlm", "declutr"] = "mlm",
    epochs: int = 1,
    rate: float = 1e-4,
    sizes: Annotated[tuple[int, ...], "labels a class"] = tuple(SIZES),
    draws: int = 3,
    language: Annotated[str, "of the descriptions"] = "en",
    out: Annotated[Path, "taken up where it stopped"] = Path("runs/continued"),
    note: Note = "",
) -> Results:
    import headstart
    from headstart.api import curve
    from headstart.cli.progress import Lines
    from headstart.engine.machine.precision import compute
    from headstart.stats.paired import holm

    further = out / objective
    report = pretrained(further, objective, epochs, rate, language)
    data = headstart.read(shared() / "text" / "debian-sections")
    folders = [out / "curve-base", out / f"curve-{objective}"]
    kept = ("configuration", "corpus", "parameters", "steps", "seconds", "held_out_loss")
    report["corpus"]["sources"] = [Path(source).name for source in report["corpus"]["sources"]]
    made = {key: report[key] for key in kept}
    before = read("continued") or {"rows": [], "pretraining": None}
    rows = [row for row in before["rows"] if before["pretraining"] == made and row["size"] not in sizes]
    for size in sizes:  # each is a curve of its own, so that those that are done stand for themselves
        places = [folder / str(size) for folder in folders]
        curves = [
            curve(data, model, sizes=[size], draws=draws, methods=METHODS, out=place, resume=True, progress=Lines())
            for model, place in zip((minilm(), str(further)), places)
        ]
        for method in METHODS:
            values = [
                {key: getattr(one, key) for key in ("value", "low", "high")}
                for found in curves
                for one in found.readings
                if (one.size, one.method) == (size, method)
            ]
            told = paired(places, size, draws, method)
            rows.append({"size": size, "method": method, "base": values[0], "further": values[1], **told})
    rows.sort(key=lambda row: (row["size"], METHODS.index(row["method"])))
    for row, adjusted in zip(rows, holm([row["p_value"] for row in rows])):
        row["p_adjusted"] = adjusted
        print(row, flush=True)
    missing = sorted({*SIZES} - {row["size"] for row in rows})
    yield "continued", {
        "schema": "headstart.continued/1", "status": "partial" if missing else "ok", "missing": missing,
        "note": note, "objective": objective, "draws": draws, "pretraining": made, "rows": rows,
        "environment": machine(compute("cpu").precision),
    }  # fmt: skip
