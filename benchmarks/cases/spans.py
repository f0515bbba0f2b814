"""Questions about passages: an encoder that points at the answer, tuned on English, tested in six languages.

MiniLM (the test dependency, English) and a multilingual e5 (HEADSTART_E5, or the folder e5 of the models at hand) are
tuned in full and by LoRA on the English questions, and tested on the same 263 questions in English, Arabic, German,
Spanish, Russian and Chinese. Exact match and token F1 by SQuAD's normalisation, with intervals by passage; each
language's gap to English is paired by question. --questions takes so many training questions, the first.
The defaults take about four hours on one thread with AVX-512's bf16, of which e5 two thirds.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from benchmarks.lib.data import minilm, shared
from benchmarks.lib.results import Note, Results, machine

RESULTS = ("spans",)
QUICK = {"questions": 16, "tested": 8, "epochs": 1, "seeds": 1, "methods": ["full"], "models": ["minilm"]}
LANGUAGES = ("en", "ar", "de", "es", "ru", "zh")


def e5() -> str:
    """The folder of multilingual-e5-small."""
    place = Path(os.environ.get("HEADSTART_E5") or Path.home() / ".cache" / "headstart-models" / "e5")
    if not (place / "config.json").is_file():
        raise SystemExit(f"no multilingual e5 at {place}: name its folder in HEADSTART_E5")
    return str(place)


MODELS = {"minilm": minilm, "e5": e5}


def shortened(file: Path, count: int, folder: Path) -> str:
    """A copy with the first so many questions; 0 for all."""
    if not count:
        return str(file)
    found, left = json.loads(file.read_text(encoding="utf-8")), count
    for article in found["data"]:
        for paragraph in article["paragraphs"]:
            paragraph["qas"] = paragraph["qas"][:left]
            left -= len(paragraph["qas"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file.name).write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
    return str(folder / file.name)


def scored(folder: Path, method: str, parts: dict[str, np.ndarray], passages: np.ndarray) -> list[dict[str, Any]]:
    """A row for each language. parts: rows of each in the test set, the same questions in the same order."""
    from headstart.stats.intervals import interval
    from headstart.stats.paired import compare
    from headstart.stats.predictions import Predictions
    from headstart.stats.span_metrics import ANSWERS

    files = sorted((folder / "predictions").glob(f"{method}-seed*.safetensors"))
    whole = [Predictions.read(file) for file in files]

    def of(language: str) -> list[Predictions]:
        """The same questions have the same numbers in every language."""
        at = parts[language]
        return [Predictions(np.arange(len(at)), run.targets[at], run.scores[at], passages) for run in whole]

    rows = []
    for language in LANGUAGES:
        row: dict[str, Any] = {"method": method, "language": language, "questions": len(parts[language])}
        for metric in ANSWERS:
            value, low, high = interval(of(language), metric)
            row[metric.name] = {"value": value, "low": low, "high": high}
            if language != "en":
                test = compare(of(language), of("en"), metric)
                row[metric.name] |= {"gap": test.difference, "gap_low": test.low, "gap_high": test.high,
                                     "p_value": test.p_value}  # fmt: skip
        rows.append(row)
    return rows


def measure(
    models: tuple[str, ...] = tuple(MODELS),
    methods: tuple[str, ...] = ("full", "lora"),
    seeds: int = 3,
    epochs: int = 3,
    batch_size: int = 8,
    questions: Annotated[int, "training questions, the first; 0 for all"] = 0,
    tested: Annotated[int, "test questions of each language, the first; 0 for all"] = 0,
    max_length: Annotated[int, "tokens of a window"] = 256,
    out: Annotated[Path, "taken up where it stopped"] = Path("runs/spans"),
    note: Note = "",
) -> Results:
    import torch

    import headstart
    from headstart.cli.progress import Lines
    from headstart.engine.machine.precision import compute

    place, few = shared() / "text" / "passages", out / "few"
    train = shortened(place / "train.json", questions, few)
    names = {one: "test.json" if one == "en" else f"test.{one}.json" for one in LANGUAGES}
    options: dict[str, Any] = {
        "validation": shortened(place / "validation.json", tested and 2 * tested, few),
        "test": [shortened(place / name, tested, few) for name in names.values()],
    }
    test = headstart.read(train, **options).test
    count = len(test) // len(LANGUAGES)
    parts = {one: np.arange(at * count, (at + 1) * count) for at, one in enumerate(LANGUAGES)}
    files = [[where.partition("[")[0] for where in test.places(rows)] for rows in parts.values()]
    if [{*one} for one in files] != [{name} for name in names.values()]:
        raise SystemExit("the languages do not have the same questions")
    assert test.clusters is not None
    passages = test.clusters[parts["en"]]
    rows: list[dict[str, Any]] = []
    trained: list[dict[str, Any]] = []
    for name in models:
        record = headstart.compare(
            train, headstart.load(MODELS[name](), max_length=max_length), out=out / name, resume=True, methods=methods,
            seeds=seeds, trials=1, epochs=epochs, batch_size=batch_size, progress=Lines(), remember=False, **options,
        )  # fmt: skip
        for row in record.rows:
            if row.status != "ok":
                raise SystemExit(f"{name} {row.method}: {row.status}")
            trained.append({"model": name, "method": row.method, "seconds": row.train_seconds,
                            "trained_parameters": row.trained_parameters})  # fmt: skip
            rows += [{"model": name, **one} for one in scored(out / name, row.method, parts, passages)]
        sizes = {split.name: split.size for split in record.data.splits}
        yield "spans", {
            "schema": "headstart.spans/1", "status": "ok" if name == models[-1] else "partial", "note": note,
            "seeds": seeds, "epochs": epochs, "batch_size": batch_size, "max_length": max_length, "questions": sizes,
            "data": "text/passages",
            "passages": len(np.unique(passages)), "trained": trained, "rows": rows,
            "threads": torch.get_num_threads(), "environment": machine(compute("cpu").precision),
        }  # fmt: skip
    for row in rows:
        one = {key: f"{100 * row[key]['value']:.1f}" for key in ("exact_match", "f1")}
        print(f"{row['model']:8} {row['method']:8} {row['language']} {one}")
