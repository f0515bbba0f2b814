"""Word vectors trained on general English, and how many of word2vec's analogies they answer.

The corpus is text/english-general and text/wikitext2, lower-cased; 100 dimensions, words that occur five times. GloVe
at its defaults (window 10, x_max 10, 15 passes), skip-gram and CBOW at theirs (window 5, 5 negatives, 10 passes; gensim
trains them). Told for each: seconds, analogies right by section and in all, and the nearest words to king - man +
woman.
"""

from __future__ import annotations

import json
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from benchmarks.lib.data import shared
from benchmarks.lib.results import Note, Results, machine

RESULTS = ("vectors",)
QUICK = {"objectives": ["cbow"], "corpora": ["wikitext2"]}


def trained(name: str, folder: Path, corpora: list[str], threads: int) -> dict[str, Any]:
    import torch

    from headstart.backbones.loaders.vector_backbone import read_vectors
    from headstart.backbones.networks.word_vectors import total
    from headstart.core.fields import configured
    from headstart.engine.machine.precision import Compute
    from headstart.pretraining.objectives.objective import OBJECTIVES
    from headstart.pretraining.pretraining import Request, pretrain

    text = shared() / "text"
    sources = [str(text / corpus) for corpus in corpora]
    objective = configured(OBJECTIVES[name], {"threads": threads}, name)
    start = time.perf_counter()
    pretrain(objective, Request(sources, folder, Compute(torch.device("cpu"), bf16=False)))
    seconds = time.perf_counter() - start
    told = json.loads((folder / "pretrained.json").read_text())
    vectors = read_vectors(folder)
    sections = vectors.benchmark(text / "analogies" / "questions-words.txt")
    rate = told["entries"] * len(told["costs"]) / told["seconds"] if name == "glove" else None
    return {
        "objective": name, "configuration": told["configuration"], "threads": told["threads"],
        "corpus": {key: told["corpus"][key] for key in ("paragraphs", "words", "kept")}, "words": told["words"],
        "seconds": seconds, "training_seconds": told["seconds"], "counting_seconds": told.get("counting_seconds"),
        "entries": told.get("entries"), "entries_a_second": rate, "costs": told.get("costs"),
        "total": total(sections, "total").to_json(), "sections": [one.to_json() for one in sections],
        "king_man_woman": [[word, round(cosine, 3)] for word, cosine in vectors.analogy("man", "king", "woman", 5)],
        "nearest_to_king": [[word, round(cosine, 3)] for word, cosine in vectors.nearest("king", 5)],
    }  # fmt: skip


def measure(
    objectives: tuple[str, ...] = ("glove", "skipgram", "cbow"),
    corpora: Annotated[tuple[str, ...], "folders of text/"] = ("english-general", "wikitext2"),
    threads: int = 2,
    note: Note = "",
) -> Results:
    found: list[dict[str, Any]] = []
    for name in objectives:
        with tempfile.TemporaryDirectory() as place:
            found.append(trained(name, Path(place) / name, corpora, threads))
        print(name, f"{found[-1]['seconds']:.0f} s", found[-1]["total"], found[-1]["king_man_woman"], flush=True)
        yield "vectors", {
            "schema": "headstart.vectors/1", "status": "ok" if len(found) == 3 else "partial", "note": note,
            "results": found, "versions": {name: version(name) for name in ("gensim", "numba")},
            "environment": machine("fp32"),
        }  # fmt: skip
