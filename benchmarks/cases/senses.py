"""One word, several senses: are ELMo's vectors of a word nearer where it means the same?

Sentences of english-general and debian-descriptions with port, shell, mouse or bank; which sense, is told by other
words in them (below), and those with words of both or neither are left out. For each layer: mean cosine between two
sentences of one sense less that of different senses, with a bootstrap over sentences, and how often the nearest other
sentence is of the same sense. Beside it the same network with random weights. A static vector is one for all senses:
its difference is 0.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import numpy as np
import torch
from benchmarks.lib.data import shared
from benchmarks.lib.results import Note, Results, machine
from torch.nn import functional as F

RESULTS = ("senses",)
QUICK = {"each": 10}

SENSES = {
    "port": {
        "harbour": r"ships?|harbou?rs?|vessels?|sails?|sea|coast|town",
        "computer": r"serial|usb|tcp|udp|server|printer",
    },
    "shell": {
        "hard cover": r"eggs?|snails?|molluscs?|mollusks?|turtles?|oysters?|animals?",
        "program": r"bash|command|commands|scripts?|unix|zsh|login",
    },
    "mouse": {
        "animal": r"cats?|rats?|rodents?|tail|fur|animals?",
        "device": r"clicks?|keyboards?|buttons?|pointer|cursor|window",
    },
    "bank": {
        "of a river": r"rivers?|streams?|shores?|water|ditch",
        "for money": r"money|accounts?|deposits?|credit|notes?|cash|transactions?",
    },
}
LONGEST, DRAWS = 60, 2000


def sentences(word: str, each: int) -> list[tuple[str, int]]:
    """Text and sense, at most so many of each."""
    from headstart.backbones.tokenizers.words import words_of
    from headstart.data.corpus.corpus import Corpus

    place = shared() / "text"
    corpus = Corpus((str(place / "debian-descriptions" / "en.txt.gz"), str(place / "english-general")))
    cues = [re.compile(rf"\b({cue})\b") for cue in SENSES[word].values()]
    found: list[list[str]] = [[], []]
    for paragraph in corpus.paragraphs():
        for sentence in re.split(r"(?<=[.;])\s+", paragraph.lower()):
            words = words_of(sentence)
            if words.count(word) != 1 or not 5 <= len(words) <= LONGEST:
                continue
            told = [bool(cue.search(sentence)) for cue in cues]
            if sum(told) == 1 and len(mine := found[told.index(True)]) < each and sentence not in mine:
                mine.append(sentence)
    return [(text, sense) for sense, texts in enumerate(found) for text in texts]


def vectors(backbone: Any, word: str, texts: list[str]) -> dict[str, torch.Tensor]:
    """Layer to [n, D] of the word in each text."""
    from headstart.backbones.tokenizers.words import words_of

    body = backbone.module.eval()
    layers: dict[str, list[torch.Tensor]] = {f"layer {number + 1}": [] for number in range(len(body.layers))}
    for text in texts:
        at = words_of(text).index(word)
        state = None
        with torch.no_grad():
            ids = torch.tensor([backbone.preparation.tokenizer(text)["input_ids"]])
            words = body.characters(ids)
            state = torch.cat([words, words], -1)
            for number, layer in enumerate(body.layers):
                state = layer(state)
                layers[f"layer {number + 1}"].append(state[0, at])
    return {name: F.normalize(torch.stack(found), dim=-1) for name, found in layers.items()}


def judged(found: torch.Tensor, sense: np.ndarray, seed: int = 0) -> dict[str, float]:
    cosines = (found @ found.T).numpy()
    same, other = sense[:, None] == sense[None], ~np.eye(len(sense), dtype=bool)

    def difference(rows: np.ndarray) -> float:
        table, alike = cosines[np.ix_(rows, rows)], same[np.ix_(rows, rows)]
        apart = rows[:, None] != rows[None]  # a sentence that was drawn twice is no pair
        return float(table[alike & apart].mean() - table[~alike].mean())

    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(sense == value) for value in (0, 1)]
    draws = [difference(np.concatenate([rng.choice(group, len(group)) for group in groups])) for _ in range(DRAWS)]
    nearest = np.where(other, cosines, -2).argmax(1)
    return {
        "difference": difference(np.arange(len(sense))), "low": float(np.quantile(draws, 0.025)),
        "high": float(np.quantile(draws, 0.975)), "nearest_of_the_same_sense": float((sense[nearest] == sense).mean()),
    }  # fmt: skip


def measure(
    model: Annotated[str, "a folder of `headstart pretrain elmo`"],
    each: Annotated[int, "sentences of a sense at most"] = 100,
    note: Note = "",
) -> Results:
    from headstart.backbones.loaders.load import load
    from headstart.engine.machine.precision import compute

    rows = []
    for word in SENSES:
        told = sentences(word, each)
        sense = np.array([number for _, number in told])
        for name, weights in (("elmo", True), ("random weights", False)):
            for layer, found in vectors(load(model, weights=weights), word, [t for t, _ in told]).items():
                row = {"word": word, "senses": list(SENSES[word]), "sentences": np.bincount(sense).tolist(),
                       "network": name, "layer": layer, **judged(found, sense),
                       "largest_sense": float(np.bincount(sense).max() / len(sense))}  # fmt: skip
                rows.append(row)
                print(row, flush=True)
    yield "senses", {
        "schema": "headstart.senses/1", "status": "ok", "note": note, "rows": rows,
        "environment": machine(compute("cpu").precision),
    }  # fmt: skip
