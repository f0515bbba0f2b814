"""The built-in backbone on images: the embedded digits, X-ray and other medical images, CIFAR-10 with few labels.

    python benchmarks/images.py [--data digits|medical|cifar10|papirus] [--seeds 3] [--trials 3]
    python benchmarks/images.py --name demo --data digits --budget 4m      # what `headstart compare` does by itself
    python benchmarks/images.py --name methods --data cifar10 --each 30 --methods probe,lora,…

Writes benchmarks/results/NAME-DATA.json. CIFAR-10's training images are among those the backbone was trained on:
that comparison shows that all works, not transfer to an unseen task.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any


def few(data: Any, each: int) -> Any:
    """The data with only `each` training and validation examples a class, the first ones of each."""
    import dataclasses

    import numpy as np

    def first(examples: Any) -> Any:
        places = [np.flatnonzero(examples.targets == label)[:each] for label in range(len(data.task.labels))]
        return examples.take(np.sort(np.concatenate(places)))

    train, validation = first(data.train), first(data.validation)
    splits = tuple(
        dataclasses.replace(
            split, size={"train": len(train), "validation": len(validation)}.get(split.name, split.size)
        )
        for split in data.record.splits
    )
    record = dataclasses.replace(data.record, splits=splits)
    return dataclasses.replace(data, train=train, validation=validation, record=record)


def main() -> None:
    import headstart
    from headstart.cli.progress import Lines
    from headstart.core.disk.files import write_json

    sys.path.insert(0, str(Path(__file__).parent))
    import peers

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits", choices=["digits", "medical", "cifar10", "papirus"])
    parser.add_argument("--model", type=Path, default=None, help="a folder, by benchmarks/vit.py; else the built-in")
    parser.add_argument("--methods", type=lambda text: text.split(","), default=None)
    parser.add_argument("--name", default="images", help="the result's name")
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--each", type=int, default=0, help="labels a class, 0 for all")
    parser.add_argument("--augment", default="none")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--budget", default=None, help="a race into this time, such as 4m")
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()

    inside = {"papirus": "icons/papirus.parquet"}.get(arguments.data, arguments.data)
    source = None if arguments.data == "digits" else peers.shared() / "image" / inside
    data = headstart.read(source, **({"label": "context"} if arguments.data == "papirus" else {}))
    if arguments.each:
        data = few(data, arguments.each)
    with tempfile.TemporaryDirectory() as folder:
        record = headstart.compare(
            data, arguments.model, out=Path(folder) / "run", methods=arguments.methods,
            seeds=arguments.seeds, trials=arguments.trials, epochs=arguments.epochs, augment=arguments.augment,
            budget=arguments.budget, progress=Lines(), remember=False,
        )  # fmt: skip
    print(record)
    result = record.to_json()
    result["data"]["source"] = "scikit-learn's digits" if source is None else f"shared/data/image/{inside}"
    if arguments.model:
        result["model"]["source"] = f"a ViT of benchmarks/{arguments.model.name}.py"
    result["configuration"] = {"augment": arguments.augment, "each": arguments.each, "epochs": arguments.epochs,
                               "budget": arguments.budget}  # fmt: skip
    name = f"{arguments.name}-{arguments.data}.json"
    write_json(
        peers.RESULTS / name,
        {"schema": "headstart.benchmark/1", "status": "ok", "note": arguments.note, "comparison": result, "peer": {}},
    )


if __name__ == "__main__":
    main()
