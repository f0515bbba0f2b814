"""The page of where the time goes, and why a target is missed."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.pages.recorded import read, small
from benchmarks.pages.targets import missed as targets_missed


def performance() -> list[str]:
    """Where a step's time goes."""
    found = read("step-profile")
    if not found:
        return []
    groups = list(found["parts"][0]["milliseconds"])
    lines = [
        "# Where the time goes", "",
        "Made by `benchmarks/run.py report` from what the case `step_profile` measured: a training step of MiniLM on",
        "TREC, batch 32, what is done once left out. The limit is the arithmetic of the step (two operations a weight",
        "and token forward, as many for each gradient) at the rate of a large matrix product here, "
        f"{found['product_flops'] / 1e9:.0f} GFLOP/s in {found['environment']['precision']}.", "",
        f"| work | tokens a step | a step, ms | limit, ms | {' | '.join(f'{name}, ms' for name in groups)} |",
        f"|---|---|---|---|{'---|' * len(groups)}",
    ]  # fmt: skip
    for part in found["parts"]:
        each = " | ".join(f"{part['milliseconds'][name]:.1f}" for name in groups)
        lines.append(
            f"| {part['work']} | {part['tokens_a_step']:.0f} | {part['step_milliseconds']:.0f} "
            f"| {part['limit_milliseconds']:.0f} | {each} |"
        )
    lines += small("step-profile", found["note"], found["environment"], found["threads"])
    return [*lines, *full_memory(), *kernels(), *images(), *attention(), *whole(), *libraries(), *missed()]


def full_memory() -> list[str]:
    """Full fine-tuning's peak memory as a multiple of the weights."""
    found = read("full-memory")
    if not found:
        return []
    lines = [
        "## Memory of full fine-tuning", "",
        "Peak memory of tuning a whole model on a few questions, with a checkpoint after each step, as a multiple of",
        "its weights in fp32. Weights, gradients and Adam's two moments are four times. The best weights so far and",
        "the base, which is restored afterwards, are in files without a name in `TMPDIR` (above 32 MB; in memory if",
        "the disk is full). What a process takes that only imports the same modules isn't counted; the tokenizer and",
        "the libraries' code in use are, and weigh more beside a small model.", "",
        "| model | weights, MB | peak, MB | times the weights |", "|---|---|---|---|",
    ]  # fmt: skip
    for name, runs in found["runs"].items():
        weights, times = runs[0]["weights_bytes"] / 1e6, found["times_weights"][name]
        lines.append(f"| {name} | {weights:.0f} | {times * weights:.0f} | {times:.2f} |")
    return lines + small("full-memory", found["note"], found["environment"], found["threads"])


def kernels() -> list[str]:
    """What of the peak memory is kernels."""
    found = read("kernel-memory")
    if not found:
        return []
    lines = [
        "## Kernels in memory", "",
        "oneDNN makes a kernel for each product of each length of text and keeps as many as here: part of the peak",
        "memory of a training of LoRA (3 epochs of TREC) is theirs. One question: the test questions, each alone.", "",
        "| kernels kept | seconds | peak memory, GB | one question, p50, p95, ms |", "|---|---|---|---|",
    ]  # fmt: skip
    for run in found["runs"]:
        lines.append(
            f"| {run['kept']:,} | {run['seconds']:.1f} | {run['peak_memory_bytes'] / 1e9:.2f} "
            f"| {run['latency_ms']['p50']:.1f}, {run['latency_ms']['p95']:.1f} |"
        )
    return lines + small("kernel-memory", found["note"], found["environment"], found["threads"])


def whole() -> list[str]:
    """Where the leaderboard's time goes."""
    found = read("leaderboard-profile")
    if not found:
        return []
    lines = [
        "## The whole leaderboard", "",
        f"Ten methods and two controls on TREC with MiniLM under a budget of {found['budget']:.0f} s, by Python's "
        f"profiler: {found['steps']} steps, {len(found['finished'])} methods finished.", "",
        "| part | s | share |", "|---|---|---|",
    ]  # fmt: skip
    for part, seconds in found["seconds"].items():
        lines.append(f"| {part} | {seconds:.1f} | {seconds / found['whole']:.0%} |")
    return lines + small("leaderboard-profile", found["note"], found["environment"], found["threads"])


HELD = {
    "objective": lambda value: f"objective {value:.4f}",
    "largest_difference": lambda value: f"numbers off by at most {value:.0e}" if value else "the same numbers",
    "bytes": lambda value: f"holds {value / 1e6:.1f} MB",
}
"what a side of the case libraries says of its result"


def libraries() -> list[str]:
    """Own pieces beside the libraries'."""
    found = read("libraries")
    if not found:
        return []
    lines = [
        "## Own pieces beside the libraries'", "",
        "Where this project does itself what a library does too; the code says why.", "",
        "| what | side | s, median | result |", "|---|---|---|---|",
    ]  # fmt: skip
    for part in found["parts"]:
        for side, run in part["runs"][0].items():
            seconds = statistics.median(one[side]["seconds"] for one in part["runs"])
            told = "; ".join(HELD[key](value) for key, value in run.items() if key in HELD)
            lines.append(f"| {part['what']} | {side} | {seconds:.2f} | {told} |")
    return lines + small("libraries", found["note"], found["environment"], found["threads"])


def images() -> list[str]:
    """Where the time of the case `vision` goes, ours beside the tuned peer's."""
    found = read("vision-profile")
    if not found:
        return []
    groups = list(found["parts"][0]["groups"])
    lines = [
        "## Images at 224 pixels", "",
        "By PyTorch's profiler; operations by its counter (two a multiplication and addition), and their rate in the "
        "convolutions", f"and products that do them, beside {found['product_flops'] / 1e9:.0f} GFLOP/s of a large "
        "product. ours: Headstart; tuned: timm in a plain loop, in bf16 and channels last.", "",
        f"| work | side | s | {' | '.join(f'{name}, s' for name in groups)} | TFLOP | GFLOP/s |",
        f"|---|---|---|{'---|' * len(groups)}---|---|",
    ]  # fmt: skip
    for part in found["parts"]:
        each = " | ".join(f"{part['groups'][name]:.1f}" for name in groups)
        lines.append(
            f"| {part['work']}, {part['model']}, {part['images']:,} images | {part['side']} | {part['seconds']:.1f} "
            f"| {each} | {part['operations'] / 1e12:.2f} | {_rate(part) / 1e9:.0f} |"
        )
    return lines + small("vision-profile", "", found["environment"], found["threads"])


def _rate(part: dict[str, Any]) -> float:
    """FLOP/s of what multiplies."""
    rate: float = part["operations"] / (part["groups"]["convolutions, products"] + part["groups"]["fused attention"])
    return rate


def attention() -> list[str]:
    """Plain attention beside the fused kernel, over patches."""
    found = read("attention")
    if not found:
        return []
    lines = [
        "## Attention over the patches of images", "",
        "timm's attention as a fused kernel, its default, and written out, which Headstart takes on a CPU, but for "
        "passes forward alone on one with AMX; bf16.", "",
    ]  # fmt: skip
    for part in found["parts"]:
        lines += ["| network | | images at once | fused, ms an image | plain, ms an image |", "|---|---|---|---|---|"]
        for row in part["rows"]:
            what = "a step's forward and backward" if row["training"] else "forward"
            lines.append(f"| {row['model']} | {what} | {row['batch']} | {row['fused']:.1f} | {row['plain']:.1f} |")
        lines += small("attention", "", part["environment"], part["threads"])
    return lines


def missed() -> list[str]:
    """Why the targets that are missed are missed, in the figures above."""
    works, lines = targets_missed(), list[str]()
    for work, reason in REASONS.items():
        if any(one.startswith(work) for one in works) and (told := reason()):
            lines += [told, ""]
    return ["## What is missed, and why", "", *lines] if lines else []


def _unfreezing() -> str:
    profile, timed = read("vision-profile"), read("vision")
    parts = [p for p in (timed or {"parts": []})["parts"] if p["work"] == "unfreeze"]
    if not profile or not parts:
        return ""
    ours, tuned = (_of(profile, "unfreeze", side) for side in ("ours", "tuned"))
    here, plain = (statistics.median(run[side] for run in parts[0]["runs"]) for side in ("ours", "plain"))
    kernels = ours["groups"]["convolutions, products"]
    return (
        "**Gradual unfreezing** (target 2 times a tuned loop, 3 times a plain one). The last of the three epochs "
        "trains the whole network on both sides: a pass forward and two back, of the six passes that the peer makes. "
        f"What Headstart can leave out is the frozen part of the first two: it does {ours['operations'] / 1e12:.2f} "
        f"TFLOP, the peer {tuned['operations'] / 1e12:.2f}. To be twice as fast, half of them would have to go. "
        f"They run at {_rate(ours) / 1e9:.0f} GFLOP/s, a large product here at "
        f"{profile['product_flops'] / 1e9:.0f}: {kernels:.1f} s of the {ours['seconds']:.1f} of "
        f"{ours['images']:,} images are oneDNN's convolutions. For {parts[0]['images']:,} images Headstart takes "
        f"{here:.1f} s; three times as fast as the plain loop would be {plain / 3:.1f}."
    )


def _patches() -> str:
    profile, timed = read("vision-profile"), read("vision")
    parts = [p for p in (timed or {"parts": []})["parts"] if p["work"] == "features" and "vit" in p["model"]]
    if not profile or not parts:
        return ""
    faster = "; on ".join(
        f"{p['environment']['processor']} Headstart is {p['times_faster']['plain']:.2f} times as fast as the plain "
        f"loop and {p['times_faster']['tuned']:.2f} times as fast as the tuned one"
        for p in parts
    )
    ours = _of(profile, "features", "ours")
    groups = ours["groups"]
    told = ", ".join(f"{name} {seconds:.1f}" for name, seconds in groups.items())
    return (
        "**Features of a ViT-tiny** (targets: 2 times a plain loop, 1.0 a tuned one). "
        f"Of {ours['seconds']:.1f} s: {told}. "
        f"The products run at {_rate(ours) / 1e9:.0f} of {profile['product_flops'] / 1e9:.0f} GFLOP/s. "
        "The attention that is faster has brought what the tables above show. The tuned loop makes the same pass in "
        f"the same format, and there is no gradient to leave out. On {faster}."
    )


def _memory() -> str:
    parts = [p for p in (read("engine") or {"parts": []})["parts"] if p["work"] == "lora"]
    kernels = read("kernel-memory")
    if not parts or not kernels:
        return ""
    sides = ([run[side]["peak_memory_bytes"] for run in parts[0]["runs"]] for side in ("defaults", "tuned"))
    theirs = " and ".join(f"{statistics.median(side) / 1e9:.2f}" for side in sides)
    usual, few = kernels["runs"][0], min(kernels["runs"], key=lambda run: run["kept"])
    return (
        "**Peak memory of LoRA** (target: not above PEFT's). oneDNN keeps a kernel for each product of each length. "
        f"With {few['kept']} kernels kept instead of {usual['kept']:,} the peak "
        f"is {few['peak_memory_bytes'] / 1e9:.2f} GB instead of {usual['peak_memory_bytes'] / 1e9:.2f} (the peers: "
        f"{theirs}), for {few['seconds']:.0f} s instead of {usual['seconds']:.0f}; one question alone then takes "
        f"{few['latency_ms']['p50']:.1f} ms instead of {usual['latency_ms']['p50']:.1f}. The number can be set from "
        f"outside alone, before the first product: `ONEDNN_PRIMITIVE_CACHE_CAPACITY={few['kept']}`."
    )


def _frozen() -> str:
    parts = [p for p in (read("engine") or {"parts": []})["parts"] if p["work"] == "freeze"]
    profile = read("step-profile")
    if not parts or not profile:
        return ""
    (step,) = [part for part in profile["parts"] if part["work"] == "freeze"]
    tuned = statistics.median(run["tuned"]["seconds"] for run in parts[0]["runs"])
    ours = statistics.median(run["ours"]["seconds"] for run in parts[0]["runs"])
    steps = parts[0]["epochs"] * -(-_count(parts[0]) // 32)
    return (
        f"**Freezing the lower two thirds** (targets 6 and 2.5 times). A step takes {1000 * ours / steps:.0f} ms over "
        f"the whole training, the cache's one pass and its states included, and the tuned peer's "
        f"{1000 * tuned / steps:.0f}; 2.5 times as fast would be {1000 * tuned / steps / 2.5:.0f}. The upper third's "
        f"arithmetic alone, forward and back, takes {step['limit_milliseconds']:.0f} ms at a large product's rate; "
        f"its products {step['milliseconds']['matrix products']:.0f} ms as they are, of "
        f"{step['step_milliseconds']:.0f} of a step once the cache is filled."
    )


def _count(part: dict[str, Any]) -> int:
    """Training examples; all are those of TREC that are not kept to validate on."""
    if part["examples"] != "all":
        return int(part["examples"])
    splits = (read("text-trec") or {})["comparison"]["data"]["splits"]
    return next(int(split["size"]) for split in splits if split["name"] == "train")


def _gpu() -> str:
    found = read("gpu")
    if not found:
        return ""
    shares = ", ".join(f"{part['case']} {part['share_of_the_peak']['ours']:.0%}" for part in found["parts"])
    return (
        f"**On a GPU** (target 1.5 times a tuned Trainer). Of the card's peak a step reaches: {shares}. The rest "
        "was not profiled, and LoRA and the decoder of a billion parameters, which the case `gpu` has too, were "
        "not measured: there was no GPU for them any more."
    )


def _of(profile: dict[str, Any], work: str, side: str) -> dict[str, Any]:
    return next(part for part in profile["parts"] if (part["work"], part["side"]) == (work, side))


REASONS = {
    "unfreeze": _unfreezing, "features, vit": _patches, "lora: share of the peak memory": _memory, "freeze": _frozen,
    "on a GPU": _gpu,
}  # fmt: skip
"how works begin, and what is said where one is missed"
