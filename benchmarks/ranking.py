"""How well the scores of `headstart rank` foretell fine-tuning: backbones of seven worths, all of them fine-tuned.

    python benchmarks/ranking.py [--data trec] [--each 30] [--seeds 3] [--epochs 10]

The backbones are MiniLM cut after each of its six blocks, and one of random weights. Each is ranked, then tuned in full
at the default rate and tested. Told for each score: Kendall's tau with the tuned accuracies over the seven, and over
the six that are pretrained; and how far the best by the score is below the best of all. Writes
benchmarks/results/ranking-DATA.json.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parent))

import images
import peers
from scipy.stats import kendalltau

SCORES = ("probe", "knn", "logme", "h_score")
BLOCKS = 6


def cut(folder: Path, blocks: int) -> Path:
    """MiniLM with its first so many blocks, as a folder that every loader takes."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(peers.minilm(), folder)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"num_hidden_layers": blocks}))
    weights = load_file(folder / "model.safetensors")
    numbers = {name: re.search(r"encoder\.layer\.(\d+)\.", name) for name in weights}
    kept = {name: weights[name] for name, at in numbers.items() if at is None or int(at[1]) < blocks}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def random(folder: Path) -> Path:
    """The whole of it with weights that nobody trained."""
    import torch
    from transformers import AutoConfig, AutoModel

    shutil.copytree(peers.minilm(), folder)
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.from_pretrained(folder), add_pooling_layer=False).save_pretrained(folder)
    return folder


def agreement(candidates: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    tuned = [one["tuned"] for one in candidates]
    found = {}
    for score in SCORES:
        given = [one[score] for one in candidates]
        pretrained = [one for one in candidates if one["model"] != "random"]
        chosen = max(candidates, key=lambda one: one[score])
        found[score] = {
            "tau": float(kendalltau(given, tuned).statistic),
            "tau_of_the_pretrained": float(
                kendalltau([one[score] for one in pretrained], [one["tuned"] for one in pretrained]).statistic
            ),
            "regret": max(tuned) - chosen["tuned"],
        }
    return found


def main() -> None:
    import torch

    import headstart
    from headstart.core.disk.files import write_json
    from headstart.core.environment import environment
    from headstart.engine.machine.precision import compute

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="trec")
    parser.add_argument("--each", type=int, default=30, help="labels a class")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()
    data = images.few(headstart.read(peers.shared() / "text" / arguments.data), arguments.each)
    candidates = []
    with tempfile.TemporaryDirectory() as place:
        made = {f"{blocks} blocks": cut(Path(place) / str(blocks), blocks) for blocks in range(1, BLOCKS + 1)}
        made["random"] = random(Path(place) / "random")
        ranked = headstart.rank(data, [str(folder) for folder in made.values()])
        for name, folder in made.items():
            row = headstart.compare(
                data, str(folder), out=Path(place) / f"run-{folder.name}", methods=["full"], seeds=arguments.seeds,
                trials=1, epochs=arguments.epochs, remember=False,
            ).rows[0]  # fmt: skip
            scored = next(one for one in ranked.candidates if one.model == str(folder)).to_json()
            tuned = {
                "tuned": row.value,
                "tuned_low": row.low,
                "tuned_high": row.high,
                "tuned_seconds": row.train_seconds,
            }
            candidates.append({**scored, "model": name, **tuned})
            print(name, {key: round(candidates[-1][key], 3) for key in (*SCORES, "tuned")}, flush=True)
    found = agreement(candidates)
    print(json.dumps(found, indent=1))
    write_json(peers.RESULTS / f"ranking-{arguments.data}.json", {
        "schema": "headstart.ranking-agreement/1", "status": "ok", "note": arguments.note, "data": arguments.data,
        "each": arguments.each, "seeds": arguments.seeds, "epochs": arguments.epochs, "examples": ranked.examples,
        "validation": ranked.validation, "candidates": candidates, "agreement": found,
        "threads": torch.get_num_threads(), "environment": environment("cpu", compute("cpu").precision).to_json(),
    })  # fmt: skip


if __name__ == "__main__":
    main()
