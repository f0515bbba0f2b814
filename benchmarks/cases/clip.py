"""CLIP trained on seven icon themes, asked for the eighth: contexts told in words, and captions found.

Both towers begin at random, so that nothing has seen the eighth theme. The captions never say what context an icon is
of, so the texts to train on are caption and context, `folder new, action`. Told: zero-shot accuracy over its contexts
with 95 % interval, beside the largest class and one of as many; recall at 1, 5 and 10 of captions and of pictures,
beside chance, where equal captions are equally right.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from benchmarks.lib.data import shared
from benchmarks.lib.results import Note, Results, machine

RESULTS = ("clip",)
QUICK = {"epochs": 1, "themes": 1}
TEMPLATES = ("{}", "icon, {}")


def measure(
    theme: Annotated[str, "the one that is held out"] = "papirus",
    epochs: int = 20,
    themes: Annotated[int, "how many of the others are learned from"] = 7,
    out: Annotated[Path, "where the model is kept; taken up where it stopped"] = Path("runs/clip"),
    note: Note = "",
) -> Results:
    from headstart.backbones.loaders.load import two_towers
    from headstart.cli.progress import Lines
    from headstart.engine.machine.precision import compute
    from headstart.judging.retrieval import retrieved
    from headstart.judging.zeroshot import accuracy
    from headstart.pretraining.objectives.clip import Clip
    from headstart.pretraining.pretraining import Request, pretrain

    files = sorted((shared() / "image" / "icons").glob("*.parquet"))
    held = next(file for file in files if file.stem == theme)
    if not (out / "pretrained.json").is_file():
        sources = [str(file) for file in files if file != held][:themes]
        request = Request(sources, out, compute(None), Lines(), text="caption,context")
        print(*pretrain(Clip(epochs=epochs), request), sep="\n", flush=True)
    towers = two_towers(out)
    zeroshot = accuracy(towers, str(held), "context", TEMPLATES, compute("cpu"))
    retrieval = retrieved(towers, (str(held),), "caption", compute("cpu"))
    print(json.dumps({"zeroshot": zeroshot, "retrieval": retrieval}, indent=1))
    report = json.loads((out / "pretrained.json").read_text(encoding="utf-8"))
    report["corpus"]["sources"] = [Path(source).stem for source in report["corpus"]["sources"]]
    kept = ("configuration", "corpus", "parameters", "steps", "seconds", "scale", "held_out", "environment")
    yield "clip", {
        "schema": "headstart.clip/1", "status": "ok", "note": note, "theme": theme, "zeroshot": zeroshot,
        "retrieval": retrieval, "pretraining": {key: report[key] for key in kept},
        "environment": machine(compute("cpu").precision),
    }  # fmt: skip
