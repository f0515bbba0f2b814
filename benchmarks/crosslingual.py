"""English labels, other customers: a multilingual BERT and an English one, tuned on English, tested on six languages.

    python benchmarks/crosslingual.py --models runs/crosslingual [--methods probe,full,lora] [--seeds 3] [--epochs 10]

The folder holds `multi` and `control`, as examples/crosslingual.sh makes them. Both are tuned on debian-sections'
English training examples, chosen on English validation, and tested on the translations of the test packages. Told for
each method and language: both accuracies, and their difference, paired by example, with Holm's correction over the six
languages. Writes benchmarks/results/crosslingual.json.
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

LANGUAGES = ("de", "fr", "it", "ja", "pt_BR", "ru")
MODELS = ("multi", "control")


def differences(folders: dict[str, Path], method: str, parts: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The multilingual model less the control on each part of the test set."""
    from headstart.stats.metrics import metric
    from headstart.stats.paired import compare, holm
    from headstart.stats.predictions import Predictions

    runs = {
        name: [
            Predictions.read(file) for file in sorted((folder / "predictions").glob(f"{method}-seed*.safetensors"))
        ]
        for name, folder in folders.items()
    }  # fmt: skip
    found = {}
    for name, rows in parts.items():
        multi, control = ([run.take(rows) for run in runs[model]] for model in MODELS)
        test = compare(multi, control, metric("single_label"))
        found[name] = {"difference": test.difference, "low": test.low, "high": test.high, "p_value": test.p_value}
    tested = [f"test.{language}.csv" for language in LANGUAGES]
    for name, p in zip(tested, holm([found[name]["p_value"] for name in tested])):
        found[name]["p_adjusted"] = p
    return found


def main() -> None:
    import headstart
    from headstart.cli.progress import Lines
    from headstart.core.disk.files import write_json
    from headstart.core.environment import environment
    from headstart.data.parts import by_file
    from headstart.engine.machine.precision import compute

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help="folder of multi and control")
    parser.add_argument("--methods", type=lambda text: text.split(","), default=["probe", "full", "lora"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("runs/crosslingual-tuned"), help="taken up where it stopped")
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()
    place = peers.shared() / "text" / "debian-sections"
    files = [str(place / f"test.{language}.csv") for language in LANGUAGES] + [str(place / "test.csv")]
    options = {"validation": str(place / "validation.csv"), "test": files}
    parts = by_file(headstart.read(str(place / "train.csv"), **options).test)
    records = {
        name: headstart.compare(
            str(place / "train.csv"), str(arguments.models / name), out=arguments.out / name, resume=True,
            methods=[*arguments.methods, "majority"], seeds=arguments.seeds, trials=1, epochs=arguments.epochs,
            progress=Lines(), remember=False, **options,
        )
        for name in MODELS
    }  # fmt: skip
    folders = {name: arguments.out / name for name in MODELS}
    rows = []
    for method in arguments.methods:
        told = differences(folders, method, parts)
        for at, part in enumerate(records["multi"].row(method).parts):
            both = {name: records[name].row(method).parts[at].to_json() for name in MODELS}
            chance = records["multi"].row("majority").parts[at].value
            rows.append({"method": method, "part": part.name, "size": part.size, "majority": chance, **both,
                         **told[part.name]})  # fmt: skip
            print(method, part.name, {name: round(both[name]["value"], 3) for name in MODELS},
                  {key: round(value, 4) for key, value in told[part.name].items()}, flush=True)  # fmt: skip
    pretrained = {}
    for name in MODELS:
        report = json.loads((arguments.models / name / "pretrained.json").read_text())
        report["corpus"]["sources"] = [Path(source).name for source in report["corpus"]["sources"]]
        report["configuration"]["tokenizer"] = Path(report["configuration"]["tokenizer"]).name
        pretrained[name] = {key: report[key] for key in (
            "configuration", "corpus", "parameters", "steps", "seconds", "held_out_loss", "environment"
        )}  # fmt: skip
    write_json(peers.RESULTS / "crosslingual.json", {
        "schema": "headstart.crosslingual/1", "status": "ok", "note": arguments.note, "seeds": arguments.seeds,
        "epochs": arguments.epochs, "train": "debian-sections/train.csv", "pretrained": pretrained, "rows": rows,
        "environment": environment("cpu", compute("cpu").precision).to_json(),
    })  # fmt: skip


if __name__ == "__main__":
    main()
