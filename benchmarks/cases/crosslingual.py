"""English labels, other customers: a multilingual BERT and an English one, tuned on English, tested on six languages.

The folder of models holds `multi` and `control`, as examples/crosslingual.sh makes them. Both are tuned on
debian-sections' English training examples, chosen on English validation, and tested on the translations of the test
packages. Told for each method and language: both accuracies, and their difference, paired by example, with Holm's
correction over the six languages.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from benchmarks.lib.data import shared
from benchmarks.lib.results import Note, Results, machine

RESULTS = ("crosslingual",)
QUICK = {"methods": ["probe"], "seeds": 1, "epochs": 1}
LANGUAGES = ("de", "fr", "it", "ja", "pt_BR", "ru")
MODELS = ("multi", "control")


def differences(folders: dict[str, Path], method: str, parts: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The multilingual model less the control on each part of the test set."""
    from headstart.stats.metrics import metric
    from headstart.stats.paired import compare, holm
    from headstart.stats.predictions import Predictions

    runs = {
        name: [Predictions.read(file) for file in sorted((folder / "predictions").glob(f"{method}-seed*.safetensors"))]
        for name, folder in folders.items()
    }
    found = {}
    for name, rows in parts.items():
        multi, control = ([run.take(rows) for run in runs[model]] for model in MODELS)
        test = compare(multi, control, metric("single_label"))
        found[name] = {"difference": test.difference, "low": test.low, "high": test.high, "p_value": test.p_value}
    tested = [f"test.{language}.csv" for language in LANGUAGES]
    for name, p in zip(tested, holm([found[name]["p_value"] for name in tested])):
        found[name]["p_adjusted"] = p
    return found


def measure(
    models: Annotated[Path, "folder of multi and control"],
    methods: tuple[str, ...] = ("probe", "full", "lora"),
    seeds: int = 3,
    epochs: int = 10,
    out: Annotated[Path, "taken up where it stopped"] = Path("runs/crosslingual-tuned"),
    note: Note = "",
) -> Results:
    import headstart
    from headstart.cli.progress import Lines
    from headstart.data.parts import by_file
    from headstart.engine.machine.precision import compute

    place = shared() / "text" / "debian-sections"
    files = [str(place / f"test.{language}.csv") for language in LANGUAGES] + [str(place / "test.csv")]
    options = {"validation": str(place / "validation.csv"), "test": files}
    parts = by_file(headstart.read(str(place / "train.csv"), **options).test)
    records = {
        name: headstart.compare(
            str(place / "train.csv"), str(models / name), out=out / name, resume=True,
            methods=[*methods, "majority"], seeds=seeds, trials=1, epochs=epochs, progress=Lines(), remember=False,
            **options,
        )
        for name in MODELS
    }  # fmt: skip
    folders = {name: out / name for name in MODELS}
    rows = []
    for method in methods:
        told = differences(folders, method, parts)
        for at, part in enumerate(records["multi"].row(method).parts):
            both = {name: records[name].row(method).parts[at].to_json() for name in MODELS}
            chance = records["multi"].row("majority").parts[at].value
            rows.append(
                {"method": method, "part": part.name, "size": part.size, "majority": chance, **both, **told[part.name]}
            )
            print(method, part.name, {name: round(both[name]["value"], 3) for name in MODELS},
                  {key: round(value, 4) for key, value in told[part.name].items()}, flush=True)  # fmt: skip
    yield "crosslingual", {
        "schema": "headstart.crosslingual/1", "status": "ok", "note": note, "seeds": seeds, "epochs": epochs,
        "train": "debian-sections/train.csv", "pretrained": {name: pretrained(models / name) for name in MODELS},
        "rows": rows, "environment": machine(compute("cpu").precision),
    }  # fmt: skip


def pretrained(folder: Path) -> dict[str, Any]:
    """What the folder says of its own making, without the paths of the machine."""
    report = json.loads((folder / "pretrained.json").read_text())
    report["corpus"]["sources"] = [Path(source).name for source in report["corpus"]["sources"]]
    report["configuration"]["tokenizer"] = Path(report["configuration"]["tokenizer"]).name
    kept = ("configuration", "corpus", "parameters", "steps", "seconds", "held_out_loss", "environment")
    return {key: report[key] for key in kept}
