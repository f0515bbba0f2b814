"""The built-in backbone on images: the embedded digits, X-ray and other medical images, CIFAR-10 with few labels.

    --name demo --demo                               what `headstart compare` does by itself
    --name demo-avx2 --demo --precision fp32         the same as on an older machine: set ATEN_CPU_CAPABILITY=avx2,
                                                     ONEDNN_MAX_CPU_ISA=AVX2 and MKL_ENABLE_INSTRUCTIONS=AVX2
    --name methods --data cifar10 --each 30 --methods probe,lora,…

CIFAR-10's training images are among those the backbone was trained on: that comparison shows that all works, not
transfer to an unseen task.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Literal

from benchmarks.lib.data import few, shared
from benchmarks.lib.results import Note, Results

RESULTS = ("images-*", "demo-*", "methods-cifar10", "methods-rest-cifar10", "methods-vit-papirus")
QUICK = {"each": 5, "epochs": 1, "seeds": 1, "trials": 1, "methods": ["probe", "full"]}


def measure(
    data: Literal["digits", "medical", "cifar10", "papirus"] = "digits",
    model: Annotated[Path | None, "a folder, by the case vit; else the built-in"] = None,
    methods: tuple[str, ...] | None = None,
    name: Annotated[str, "the result's name, before that of the data"] = "images",
    epochs: int | None = None,
    each: Annotated[int, "labels a class, 0 for all"] = 0,
    augment: str = "none",
    seeds: int = 3,
    trials: int = 3,
    demo: Annotated[bool, "the methods, trials, epochs and budget of the demo"] = False,
    precision: str | None = None,
    budget: Annotated[str | None, "a race into this time, such as 4m"] = None,
    note: Note = "",
) -> Results:
    import headstart
    from headstart.cli.progress import Lines
    from headstart.cli.verbs.compare import DEMO

    inside = {"papirus": "icons/papirus.parquet"}.get(data, data)
    source = None if data == "digits" else shared() / "image" / inside
    examples = few(headstart.read(source, **({"label": "context"} if data == "papirus" else {})), each)
    options = {"methods": methods, "trials": trials, "epochs": epochs, "budget": budget, **(DEMO if demo else {})}
    with tempfile.TemporaryDirectory() as folder:
        record = headstart.compare(
            examples, model, out=Path(folder) / "run", seeds=seeds, augment=augment, precision=precision,
            progress=Lines(), remember=False, **options,
        )  # fmt: skip
    print(record)
    found = record.to_json()
    found["data"]["source"] = "scikit-learn's digits" if source is None else f"shared/data/image/{inside}"
    if model:
        found["model"]["source"] = f"a ViT of benchmarks/cases/{model.name}.py"
    found["configuration"] = {
        "augment": augment, "each": each, "epochs": options["epochs"], "budget": options["budget"],
    }  # fmt: skip
    yield (
        f"{name}-{data}",
        {"schema": "headstart.benchmark/1", "status": "ok", "note": note, "comparison": found, "peer": {}},
    )
