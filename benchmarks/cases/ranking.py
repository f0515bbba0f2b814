"""How well the scores of `headstart rank` foretell fine-tuning: backbones of seven worths, all of them fine-tuned.

The backbones are MiniLM cut after each of its six blocks, and one of random weights. Each is ranked, then tuned in full
at the default rate and tested. Told for each score: Kendall's tau with the tuned accuracies over the seven, and over
the six that are pretrained; and how far the best by the score is below the best of all.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

from benchmarks.lib.data import few, minilm, shared
from benchmarks.lib.results import Note, Results, machine
from scipy.stats import kendalltau

RESULTS = ("ranking-*",)
QUICK = {"each": 5, "seeds": 1, "epochs": 1, "blocks": [1, 2]}
SCORES = ("probe", "knn", "logme", "h_score")


def cut(folder: Path, blocks: int) -> Path:
    """MiniLM with its first so many blocks, as a folder that every loader takes."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(minilm(), folder)
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

    shutil.copytree(minilm(), folder)
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


def measure(
    data: Annotated[str, "a folder of text/"] = "trec",
    each: Annotated[int, "labels a class"] = 30,
    seeds: int = 3,
    epochs: int = 10,
    blocks: Annotated[tuple[int, ...], "after which MiniLM is cut"] = (1, 2, 3, 4, 5, 6),
    note: Note = "",
) -> Results:
    import torch

    import headstart
    from headstart.engine.machine.precision import compute

    examples = few(headstart.read(shared() / "text" / data), each)
    candidates = []
    with tempfile.TemporaryDirectory() as place:
        made = {f"{count} blocks": cut(Path(place) / str(count), count) for count in blocks}
        made["random"] = random(Path(place) / "random")
        ranked = headstart.rank(examples, [str(folder) for folder in made.values()])
        for name, folder in made.items():
            row = headstart.compare(
                examples, str(folder), out=Path(place) / f"run-{folder.name}", methods=["full"], seeds=seeds, trials=1,
                epochs=epochs, remember=False,
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
    yield f"ranking-{data}", {
        "schema": "headstart.ranking-agreement/1", "status": "ok", "note": note, "data": data, "each": each,
        "seeds": seeds, "epochs": epochs, "examples": ranked.examples, "validation": ranked.validation,
        "candidates": candidates, "agreement": found, "threads": torch.get_num_threads(),
        "environment": machine(compute("cpu").precision),
    }  # fmt: skip
