"""Learning curves to simulate races from: what every configuration answers after 1/9, 1/3 and all of its steps.

    python benchmarks/race_curves.py --task trec|digits|icons|cifar10 [--out DIR]

Adds its part to benchmarks/results/race-curves.json: a line a configuration, with the class it gives each validation
example at each share (base64 of a byte an example). `tests/evaluate/test_race_simulated.py` races them.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import peers

RESULT = peers.RESULTS / "race-curves.json"
COMMON = "full,freeze,unfreeze,discriminative,ulmfit,lpft,lora,scratch,l2sp,norms,bitfit"
TASKS = {
    "trec": ("text/trec", f"{COMMON},houlsby,pfeiffer,ia3,prefix,prompt", 1000, 3),
    "digits": (None, f"{COMMON},conv_adapter", 100, None),
    "icons": ("image/icons/papirus.parquet", f"{COMMON},conv_adapter", 400, 12),
    "cifar10": ("image/cifar10", f"{COMMON},conv_adapter", 300, 12),
}
"data, methods, training examples, epochs"
VALIDATION = 500


def drawn(task: str) -> Any:
    """Few training examples, and 500 others to validate on, of the task's training and test parts."""
    import headstart

    source, _, size, _ = TASKS[task]
    options = {"label": "context"} if task == "icons" else {}
    data = headstart.read(source and peers.shared() / source, **options)
    rng = np.random.default_rng(0)
    spare = data.test if len(data.validation) < VALIDATION else data.validation
    return dataclasses.replace(
        data,
        train=data.train.take(np.sort(rng.permutation(len(data.train))[:size])),
        validation=spare.take(np.sort(rng.permutation(len(spare))[:VALIDATION])),
    )


def main() -> None:
    import headstart
    from headstart.cli.progress import Lines
    from headstart.core.environment import environment
    from headstart.core.errors import MethodError
    from headstart.core.files import write_json
    from headstart.engine.job import Options
    from headstart.engine.precision import compute
    from headstart.evaluate.bench import Bench
    from headstart.evaluate.metrics import metric
    from headstart.evaluate.race import HEATS
    from headstart.evaluate.selection import methods_named
    from headstart.evaluate.trainings import Trainings
    from headstart.evaluate.tune import candidates

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", required=True, choices=list(TASKS))
    parser.add_argument("--out", type=Path, default=Path("runs/race"), help="taken up where it stopped")
    parser.add_argument("--device", default=None)
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()

    _, names, _, epochs = TASKS[arguments.task]
    data = drawn(arguments.task)
    backbone = headstart.load(peers.minilm()) if data.task.modality == "text" else headstart.load()
    computing, folder = compute(arguments.device), arguments.out / arguments.task
    trainings = Trainings(
        data, backbone, Options(epochs=epochs), computing, folder, metric("single_label"), progress=Lines()
    )
    bench = Bench(trainings, (0,), 3)
    lines = []
    for name, method in methods_named(names.split(","), {}).items():
        for candidate in candidates(trainings.settled(method), bench.axes(method), 3):
            try:
                standings = [trainings.until(share, name, candidate, 0) for share in (*HEATS, 1.0)]
            except MethodError as error:
                print(name, error, flush=True)
                break
            trainings.checkpoint(name, candidate, 0).remove()
            given = [one.predictions.scores.argmax(1).astype(np.uint8) for one in standings]
            lines.append(
                {
                    "method": name, "control": method.control, "configuration": bench.changed(method, candidate),
                    "seconds": [one.seconds for one in standings],
                    "answers": [base64.b64encode(each.tobytes()).decode() for each in given],
                }
            )  # fmt: skip
            print(name, lines[-1]["configuration"], [round(one.score, 3) for one in standings], flush=True)
    part = {
        "task": arguments.task, "classes": len(data.task.labels), "train": len(data.train), "note": arguments.note,
        "truth": base64.b64encode(data.validation.targets.astype(np.uint8).tobytes()).decode(), "runs": lines,
        "environment": environment(str(computing.device), computing.precision).to_json(),
    }  # fmt: skip
    whole = {"schema": "headstart.race-curves/1", "status": "ok", "shares": [*HEATS, 1.0], "tasks": []}
    if RESULT.exists():
        whole = json.loads(RESULT.read_text())
    others = [one for one in whole["tasks"] if one["task"] != arguments.task]
    write_json(RESULT, whole | {"tasks": [*others, part]})


if __name__ == "__main__":
    main()
