"""The lineage on one table: what each pretraining, from word2vec to MiniLM and CLIP, is worth with few labels.

    python benchmarks/history.py --models runs/lineage [--data debian-sections sst2 …] [--only gpt …] [--sizes 10 30 …]

The folder holds the backbones as examples/lineage.sh makes them; one that is not there is left out, and the record says
so. The BERT is builtin/gist, MiniLM the package's unless the folder holds a copy. Each is tuned on nested subsets under
its methods; for every size the method is chosen by the mean over draws on validation (which has as few labels), and
tested. Beside it stands the same network from scratch (the method `scratch`) on the same examples: the difference is
paired by example, with Holm's correction over the sizes. Taken up where it stopped. Writes benchmarks/results/history-
DATA.json, in which backbones and sizes that are not measured now keep the rows that they have; of a backbone that was
pretrained anew, none. A row says where it was measured; of those that do not, the note tells it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parent))

import peers

LABELS = (10, 30, 100, 300)
TASKS: dict[str, dict[str, Any]] = {
    "debian-sections": {"data": "text/debian-sections", "kind": "text"},
    "sst2": {"data": "text/sst2", "kind": "text"},
    "papirus": {"data": "image/icons/papirus.parquet", "label": "context", "kind": "image"},
    "medical": {"data": "image/medical", "kind": "image"},
}
FOLDERS = {
    "text": ("skipgram", "glove", "elmo", "ulmfit", "bert", "gpt", "gpt-tiny", "minilm"),
    "image": ("cnn", "vit", "clip", "clip-words"),
}
METHODS = {
    "elmo": ("probe", "mix", "full"),
    "ulmfit": ("probe", "ulmfit"),
    "clip-words": ("zeroshot", "probe", "full"),
}
"of each backbone, beside scratch; of the others probe and full"
BUILTIN = {"bert": "builtin/gist"}
SAME = {"clip-words": "clip"}
"another start from the same folder"
OPTIONS: dict[str, dict[str, Any]] = {
    "clip-words": {"settings": {"words": ("{}", "icon, {}")}},
    "gpt-tiny": {"settings": {"scratch.learning_rate": 1e-3, "full.learning_rate": 1e-3}},
    "ulmfit": {"max_length": 64},
}
"""The head begins as the zero-shot classifier; higher rates for so small a network, the same from scratch; the windows
that it was pretrained on, since each token costs a step in turn."""
REPORTED = ("objective", "configuration", "corpus", "sources", "parameters", "steps", "seconds", "held_out_loss",
            "environment")  # fmt: skip


def chosen(readings: list[dict[str, Any]]) -> str:
    """The method that is best on validation."""
    return max(readings, key=lambda one: -1 if one["validation_value"] is None else one["validation_value"])["method"]


def over_scratch(folder: Path, size: int, draws: int, method: str) -> dict[str, float]:
    """The method less the same network from scratch, over the draws of a size in which neither diverged."""
    from headstart.stats.metrics import metric
    from headstart.stats.paired import compare
    from headstart.stats.predictions import Predictions

    files = [
        [folder / "readings" / f"{size}-{draw}" / f"{name}.safetensors" for name in (method, "scratch")]
        for draw in range(draws)
    ]
    tuned, scratch = zip(*(map(Predictions.read, pair) for pair in files if all(file.is_file() for file in pair)))
    test = compare(tuned, scratch, metric("single_label"))
    return {
        "difference": test.difference, "difference_low": test.low, "difference_high": test.high,
        "p_value": test.p_value, "draws": len(tuned),
    }  # fmt: skip


def sizes_of(data: Any) -> list[int]:
    """Labels a class, the last of them all there are."""
    from headstart.comparison.curve import largest

    return [*(size for size in LABELS if size < largest(data)), largest(data)]


def one(name: str, source: str, data: Any, out: Path, draws: int, sizes: list[int]) -> list[dict[str, Any]]:
    """A row for each size: the chosen method, its value, the control's, and their difference.

    Each size is a curve of its own, so that those that are done stand for themselves.
    """
    from headstart.api import curve
    from headstart.cli.progress import Lines

    methods = ("scratch", *METHODS.get(name, ("probe", "full")))
    rows = []
    for size in sizes:
        found = curve(
            data, source, sizes=[size], draws=draws, methods=methods, out=out / str(size), resume=True,
            progress=Lines(), **OPTIONS.get(name, {}),
        )  # fmt: skip
        here = [reading.to_json() for reading in found.readings if reading.status == "ok"]
        control = next(reading for reading in here if reading["method"] == "scratch")
        method = chosen([reading for reading in here if reading is not control])
        best = next(reading for reading in here if reading["method"] == method)
        told = {key: best[key] for key in ("size", "examples", "method", "value", "low", "high", "seconds")}
        scratch = {key: control[key] for key in ("value", "low", "high", "seconds")}
        every = {one["method"]: {key: one[key] for key in ("value", "low", "high")} for one in here}
        rows.append(
            {**told, "methods": every, "scratch": scratch, **over_scratch(out / str(size), size, draws, method)}
        )
    return rows


def adjusted(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows by size, with their p-values after Holm's correction over all of them."""
    from headstart.stats.paired import holm

    rows = sorted(rows, key=lambda row: row["size"])
    for row, p in zip(rows, holm([row["p_value"] for row in rows])):
        row["p_adjusted"] = p
        shown = {k: float(f"{row[k]:.3g}") for k in ("value", "difference", "p_adjusted")}
        print(name, row["size"], row["method"], shown, flush=True)
    return rows


def place_of(name: str, models: Path, task: str) -> tuple[str, Path]:
    """What to load the backbone by, and its folder; the one that went on on the task's text, where it is there."""
    from headstart.backbones.loaders.packaged import place

    if source := BUILTIN.get(name):
        return source, place() / Path(source).name
    name = SAME.get(name, name)
    folder = next((one for one in (models / f"{name}-{task}", models / name) if one.is_dir()), models / name)
    if name == "minilm" and not folder.is_dir():
        folder = Path(peers.minilm())
    return str(folder), folder


def pretraining(folder: Path) -> dict[str, Any]:
    """What the folder says of its own making, and a digest of its weights."""
    file, weights = folder / "pretrained.json", hashlib.blake2b(digest_size=8)
    for part in sorted(folder.rglob("*.safetensors")):
        weights.update(part.read_bytes())
    if not file.is_file():
        return {"weights": weights.hexdigest()}
    report = json.loads(file.read_text(encoding="utf-8"))
    if corpus := report.get("corpus"):  # paths of this machine say nothing elsewhere
        corpus["sources"] = [Path(source).name for source in corpus["sources"]]
    told = {key: report[key] for key in REPORTED if report.get(key) is not None}
    if base := report.get("base"):  # it went on
        told["before"] = pretraining(folder.parent / Path(base).name)
    return told | {"weights": weights.hexdigest()}


def is_same(made: dict[str, Any], was: dict[str, Any]) -> bool:
    """Whether two records are of one pretraining; older ones say less."""
    return all(made[key] == was[key] for key in made.keys() & was.keys())


def is_same_row(row: dict[str, Any], was: dict[str, Any]) -> bool:
    """Whether two rows hold one measurement: the seconds tell them apart."""
    return was.get("where") is not None and all(was.get(key) == row[key] for key in ("method", "value", "seconds"))


def main() -> None:
    import headstart
    from headstart.core.disk.files import write_json
    from headstart.core.environment import environment
    from headstart.engine.machine.precision import compute

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help="folder of the backbones, made by lineage.sh")
    parser.add_argument("--data", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--only", nargs="+", help="these backbones alone")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", help="these labels a class alone")
    parser.add_argument("--out", type=Path, default=Path("runs/history"))
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()
    here = compute(None)
    for task in arguments.data:
        data = headstart.read(peers.shared() / TASKS[task]["data"], label=TASKS[task].get("label"))
        sizes = arguments.sizes or sizes_of(data)
        if unknown := set(sizes) - set(sizes_of(data)):
            parser.error(f"{task} is measured at {sizes_of(data)} labels a class, not at {sorted(unknown)}")
        file, every = peers.RESULTS / f"history-{task}.json", FOLDERS[TASKS[task]["kind"]]
        before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"backbones": []}
        backbones = {one["name"]: one for one in before["backbones"]}
        for name in arguments.only or every:
            source, folder = place_of(name, arguments.models, task)
            if not folder.is_dir():
                continue
            made, was = pretraining(folder), backbones.get(name, {"pretraining": {}, "rows": []})
            rows = one(name, source, data, arguments.out / task / name, arguments.draws, sizes)
            where = environment(str(here.device), here.precision).to_json()
            now = {key: where[key] for key in ("device", "processor", "cores", "started")}
            known = {row["size"]: row for row in was["rows"]}
            for row in rows:  # a finished curve that is told again was measured then
                earlier = known.get(row["size"], {})
                row["where"] = earlier["where"] if is_same_row(row, earlier) else now
            if is_same(made, was["pretraining"]):
                rows += [row for row in was["rows"] if row["size"] not in sizes]
            elif was["rows"]:
                print(f"{name} was pretrained anew: the rows of the one before it are dropped", flush=True)
            backbones[name] = {
                "name": name, "options": OPTIONS.get(name, {}), "rows": adjusted(name, rows), "pretraining": made
            }  # fmt: skip
        there = {name: {row["size"] for row in one["rows"]} for name, one in backbones.items()}
        missing = [f"{name} at {size}" for name in every for size in sizes_of(data) if size not in there.get(name, ())]
        write_json(file, {
            "schema": "headstart.history/1", "missing": missing,
            "status": "partial" if missing else "ok",
            "note": arguments.note or before.get("note", ""),
            "data": f"shared/data/{TASKS[task]['data']}", "draws": arguments.draws,
            "backbones": [backbones[name] for name in every if name in backbones],
            "environment": environment(str(here.device), here.precision).to_json(),
        })  # fmt: skip


if __name__ == "__main__":
    main()
