"""The engine's targets beside what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from benchmarks.pages.recorded import read

Row = tuple[str, str, float, float, bool]
"the work, the peer, target, measured, and whether more is better"


def targets() -> list[str]:
    """A line a target; what has no measurement is left out."""
    lines = [
        "## Targets", "",
        "Each measured value is the median ratio of the runs below. For missed targets, "
        "[performance.md](performance.md) shows where the time goes.", "",
        "| work | against | target | measured | |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for row in _rows():
        work, peer, target, measured, more = row
        sign, note = "at least" if more else "at most", "" if _met(row) else "**missed**"
        lines.append(f"| {work} | {peer} | {sign} {target:.2f} | {measured:.2f} | {note} |")
    return [*lines, ""]


def missed() -> list[str]:
    """The works of which a target is missed."""
    return [row[0] for row in _rows() if not _met(row)]


def _met(row: Row) -> bool:
    _, _, target, measured, more = row
    return measured >= target if more else measured <= target


def _rows() -> Iterator[Row]:
    yield from _leaderboards()
    yield from _engine()
    yield from _vision()
    yield from _few()
    if found := read("mixed"):
        for name, target in (("query and value", 0.95), ("all linear", 0.80)):
            share = found["targets"][name]["share_of_the_base"]["ours"]
            yield f"8 LoRAs mixed in a batch, {name}: share of the throughput", "the base alone", target, share, True
    if found := read("full-memory"):
        for name, times in found["times_weights"].items():
            yield f"full: peak memory of {name}, times the weights", "", 5.0, times, False
    if found := read("rows"):
        million = next(one for one in found["sizes"] if one["rows"] == 1_000_000)
        yield "a CSV of a million rows: peak memory, GB", "", 2.0, million["peak_memory_bytes"] / 1e9, False
    for part in (read("gpu") or {"parts": []})["parts"]:
        work = f"on a GPU, {part['case']}, {part['work']}: times as fast"
        yield work, "Trainer, tuned", 1.5, part["times_faster"]["tuned"], True


def _leaderboards() -> Iterator[Row]:
    for name, side, peer, target in (
        ("leaderboard", "defaults", "a full fine-tune by Trainer, its defaults", 1.0),
        ("leaderboard-tuned", "tuned", "the same, tuned", 2.0),
    ):
        if found := read(name):
            work = "the whole leaderboard: share of the time"
            yield work, peer, target, found["share_of_the_peers_time"][side], False


TRAINER = {"full": (2.8, 1.3), "lora": (2.8, 1.4), "freeze": (6.0, 2.5)}
"times as fast as Trainer at its defaults, and tuned"


def _engine() -> Iterator[Row]:
    for part in (read("engine") or {"parts": []})["parts"]:
        work, times = part["work"], part["times_faster"]
        if work == "probe":
            yield (
                "probe: share of the time",
                "one forward pass in bf16, sorted by length",
                1.2,
                1 / times["floor"],
                False,
            )
            continue
        sides = [side for side in ("defaults", "tuned") if side in times]
        for side, target in zip(sides, TRAINER[work]):
            yield f"{work}, {part['epochs']} epochs: times as fast", f"Trainer, {side}", target, times[side], True
        if work == "lora":
            for side in sides:
                yield f"{work}: share of the peak memory", f"Trainer, {side}", 1.0, memory_share(part, side), False


def memory_share(part: dict[str, Any], side: str) -> float:
    ours, theirs = (
        statistics.median(run[name]["peak_memory_bytes"] for run in part["runs"]) for name in ("ours", side)
    )
    return ours / theirs


IMAGES = {"features": {"plain": 2.0, "tuned": 1.0}, "unfreeze": {"plain": 3.0, "tuned": 2.0, "fastai": 3.0}}
"times as fast as timm in a plain loop, as that loop in bf16 and channels last, and as fastai"


def _vision() -> Iterator[Row]:
    for part in (read("vision") or {"parts": []})["parts"]:
        for side, target in IMAGES[part["work"]].items():
            if side in part["times_faster"]:
                where = part["environment"]["processor"]
                work = (
                    f"{part['work']}, {part['model']}, {part['images']:,} images of 224 pixels, {where}: times as fast"
                )
                yield work, f"PyTorch, {side}" if side != "fastai" else side, target, part["times_faster"][side], True


def _few() -> Iterator[Row]:
    for part in (read("fewshot") or {"parts": []})["parts"]:
        if part["each"] == 8 and part.get("pairs"):
            times = 1 / part["pairs"]["share_of_the_peers_time"]
            data = part["data"].rpartition("/")[2]
            count = len(part["pairs"]["ours"])
            work = f"contrastive, 8 labels a class, {data}: times as fast in CPU time, median of {count}"
            yield work, "SetFit at its defaults", 3.0, times, True
