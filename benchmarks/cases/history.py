"""The lineage on one table: what each pretraining, from word2vec to MiniLM and CLIP, is worth with few labels.

The folder of models holds the backbones as examples/lineage.sh makes them; one that is not there is left out, and the
record says so. The BERT is builtin/gist, MiniLM the package's unless the folder holds a copy. Each is tuned on nested
subsets under its methods; for every size the method is chosen by the mean over draws on validation (which has as few
labels), and tested. Beside it stands the same network from scratch (the method `scratch`) on the same examples: the
difference is paired by example, with Holm's correction over the sizes. Taken up where it stopped. In the results
backbones and sizes that are not measured now keep the rows that they have; of a backbone that was pretrained anew,
none. A row says where it was measured; of those that do not, the note tells it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

from benchmarks.lib.data import minilm, shared
from benchmarks.lib.results import Note, Results, machine, read

RESULTS = ("history-*",)
QUICK = {"data": ["sst2"], "only": ["minilm"], "sizes": [10], "draws": 1}
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
        folder = Path(minilm())
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


def measure(
    models: Annotated[Path, "folder of the backbones, made by lineage.sh"],
    data: Annotated[tuple[str, ...], f"of {', '.join(TASKS)}"] = tuple(TASKS),
    only: Annotated[tuple[str, ...] | None, "these backbones alone"] = None,
    draws: int = 3,
    sizes: Annotated[tuple[int, ...] | None, "these labels a class alone"] = None,
    out: Path = Path("runs/history"),
    note: Note = "",
) -> Results:
    import headstart
    from headstart.engine.machine.precision import compute

    here = compute(None)
    for task in data:
        examples = headstart.read(shared() / TASKS[task]["data"], label=TASKS[task].get("label"))
        usual, every = sizes_of(examples), FOLDERS[TASKS[task]["kind"]]
        asked = sizes or usual
        if unknown := set(asked) - set(usual):
            raise SystemExit(f"{task} is measured at {usual} labels a class, not at {sorted(unknown)}")
        before = read(f"history-{task}") or {"backbones": []}
        backbones = {one["name"]: one for one in before["backbones"]}
        for name in only or every:
            source, folder = place_of(name, models, task)
            if not folder.is_dir():
                continue
            made, was = pretraining(folder), backbones.get(name, {"pretraining": {}, "rows": []})
            rows = one(name, source, examples, out / task / name, draws, asked)
            where = machine(here.precision, str(here.device))
            now = {key: where[key] for key in ("device", "processor", "cores", "started")}
            known = {row["size"]: row for row in was["rows"]}
            for row in rows:  # a finished curve that is told again was measured then
                earlier = known.get(row["size"], {})
                row["where"] = earlier["where"] if is_same_row(row, earlier) else now
            if is_same(made, was["pretraining"]):
                rows += [row for row in was["rows"] if row["size"] not in asked]
            elif was["rows"]:
                print(f"{name} was pretrained anew: the rows of the one before it are dropped", flush=True)
            backbones[name] = {
                "name": name, "options": OPTIONS.get(name, {}), "rows": adjusted(name, rows), "pretraining": made
            }  # fmt: skip
        there = {name: {row["size"] for row in one["rows"]} for name, one in backbones.items()}
        missing = [f"{name} at {size}" for name in every for size in usual if size not in there.get(name, ())]
        yield f"history-{task}", {
            "schema": "headstart.history/1", "missing": missing, "status": "partial" if missing else "ok",
            "note": note or before.get("note", ""), "data": f"shared/data/{TASKS[task]['data']}", "draws": draws,
            "backbones": [backbones[name] for name in every if name in backbones],
            "environment": machine(here.precision, str(here.device)),
        }  # fmt: skip
