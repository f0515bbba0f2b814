"""Tables of the engine: speed and memory against the peers."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.pages.recorded import read, small

from headstart.report.format import p_equals


def engine() -> list[str]:
    """Times faster than the peers, by work."""
    found = read("engine")
    if not found:
        return []
    lines = ["## The engine against Trainer", ""]
    for part in found["parts"]:
        sides = list(part["runs"][0])
        lines += [
            f"**{part['work']}**, {part['epochs']} epochs of {part['examples']} examples: "
            + "; ".join(f"{side} {times:.2f} times" for side, times in part["times_faster"].items()),
            "", "| side | seconds, median | peak memory, GB | accuracy % | precision |", "|---|---|---|---|---|",
        ]  # fmt: skip
        for side in sides:
            runs = [run[side] for run in part["runs"]]
            accuracy = [100 * run["accuracy"] for run in runs if "accuracy" in run]
            memory = statistics.median(run["peak_memory_bytes"] for run in runs) / 1e9
            lines.append(
                f"| {side} | {statistics.median(run['seconds'] for run in runs):.1f} | {memory:.2f} "
                f"| {statistics.fmean(accuracy):.1f} | {runs[0]['precision']} |"
                if accuracy
                else f"| {side} | {statistics.median(run['seconds'] for run in runs):.1f} | {memory:.2f} | | "
                f"{runs[0]['precision']} |"
            )
        for side, d in part.get("quality", {}).items():
            lines += ["", f"Accuracy less that of {side}, paired by test example: {100 * d['difference']:+.1f} points "
                      f"[{100 * d['low']:+.1f}, {100 * d['high']:+.1f}], {p_equals(d['p_value'])}."]  # fmt: skip
        lines += small("engine", part["note"], part["environment"], part["threads"])
    return lines


VISION = {
    "features": "features of the frozen network, one pass",
    "unfreeze": "gradual unfreezing, three epochs: the head, the upper half, the whole",
}
VISION_SIDES = {
    "plain": "timm in a plain loop",
    "tuned": "the same in bf16 and channels last",
    "fastai": "fastai as its users write it",
}


def vision() -> list[str]:
    """Images at 224 pixels against plain PyTorch and fastai."""
    found = read("vision")
    if not found:
        return []
    lines = ["## Images at 224 pixels", ""]
    for part in found["parts"]:
        runs = part["runs"]
        lines += [
            f"**{part['model']}**, {VISION[part['work']]}, {part['images']:,} images, {len(runs)} runs of each in turn",
            "", "| side | seconds, median | ours is times as fast, median |", "|---|---|---|",
            f"| Headstart | {statistics.median(run['ours'] for run in runs):.1f} | |",
            *(
                f"| {VISION_SIDES[side]} | {statistics.median(run[side] for run in runs):.1f} | {times:.2f} |"
                for side, times in part["times_faster"].items()
            ),
            *small("vision", part["note"], part["environment"], part["threads"]),
        ]  # fmt: skip
    return lines


def leaderboard() -> list[str]:
    """All methods in the time of one fine-tune, or of two of a tuned one."""
    lines: list[str] = []
    for name, against in (("leaderboard", "its defaults"), ("leaderboard-tuned", "its best")):
        found = read(name)
        if not found:
            continue
        share, runs = found["share_of_the_peers_time"], found["runs"]
        told = {"defaults": "at its defaults", "tuned": "tuned (bf16 and batches of like length)"}
        lines += [
            f"## The whole leaderboard against one full fine-tune at {against}", "",
            "The default methods with a budget, TREC with MiniLM, beside transformers' Trainer "
            f"({found['epochs']} epochs, {', '.join(told[side] for side in share)}), in alternation: "
            f"{found['headline']}.", "",
            "| side | seconds, of each run | test accuracy % of what it hands over, of each run |", "|---|---|---|",
        ] if "headline" in found else [
            f"## The whole leaderboard against one full fine-tune at {against}", "",
            "Measured with the earlier race, which paused long trainings instead of making short ones complete.", "",
            "| side | seconds, of each run | test accuracy % of what it hands over, of each run |", "|---|---|---|",
        ]  # fmt: skip
        for side in ("ours", *share):
            seconds = ", ".join(f"{run[side]['seconds']:.0f}" for run in runs)
            accuracies = ", ".join(f"{100 * run[side]['accuracy']:.1f}" for run in runs)
            lines.append(f"| {side} | {seconds} | {accuracies} |")
        first = runs[0]["ours"]
        lines += [
            "",
            "The first run's rows:",
            "",
            "| method | accuracy % | epochs | seeds | |",
            "|---|---|---|---|---|",
        ]
        for row in sorted(first["rows"], key=lambda row: -(row["value"] or -1)):
            told_of = "" if row["status"] == "ok" else row["status"]
            value = (
                f"{100 * row['value']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]" if row["value"] else ""
            )
            epochs = f"{row['epochs']:.2g}" if row.get("epochs") else ""
            lines.append(f"| {row['method']} | {value} | {epochs} | {len(row['seeds'])} | {told_of} |")
        lines += ["", f"> {first['verdict']}", *small(name, found["note"], found["environment"])]
    return lines


def few() -> list[str]:
    """The few-shot methods beside SetFit."""
    found = read("fewshot")
    if not found:
        return []
    lines = ["## Few examples a class, against SetFit", ""]
    for part in found["parts"]:
        cut = f", texts cut at {part['longest']} tokens" if part["longest"] else ""
        peer = part["peer"]
        lines += [
            f"**{part['data']}, {part['each']} a class**, {part['draws']} draws{cut}; {peer['name']}",
            "",
            "| method | accuracy % | less SetFit's, paired | seconds, median | of the processor |",
            "|---|---|---|---|---|",
        ]

        def seconds(row: dict[str, Any]) -> str:
            cpu = [value for value in row.get("cpu_seconds", []) if value is not None]
            return f"{statistics.median(row['seconds']):.1f} | {f'{statistics.median(cpu):.1f}' if cpu else ''}"

        for name, row in part["methods"].items():
            d = row["against_peer"]
            lines.append(
                f"| {name} | {100 * row['value']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}] "
                f"| {100 * d['difference']:+.1f} [{100 * d['low']:+.1f}, {100 * d['high']:+.1f}], "
                f"{p_equals(d['p_value'])} | {seconds(row)} |"
            )
        lines.append(
            f"| *SetFit* | {100 * peer['value']:.1f} [{100 * peer['low']:.1f}, {100 * peer['high']:.1f}] | "
            f"| {seconds(peer)} |"
        )
        if pairs := part.get("pairs"):
            ours, peers = (statistics.median(run["cpu_seconds"] for run in pairs[side]) for side in ("ours", "peer"))
            lines += ["", f"Timed in alternation, {len(pairs['ours'])} pairs: contrastive {ours:.0f} s of the "
                      f"processor, SetFit with {pairs['iterations']} pairs a sentence {peers:.0f} s; median share "
                      f"{pairs['share_of_the_peers_time']:.2f}."]  # fmt: skip
        lines += small("fewshot", part["note"], part["environment"], part["threads"])
    return lines


def races() -> list[str]:
    """What simulated races under a budget lose."""
    found = read("race-simulated")
    if not found:
        return []
    lines = [
        "## Races under a budget, simulated from measured trainings on few rows", "",
        f"{found['races']} races a draw of training examples, with a budget of one plain fine-tune of 10 epochs. "
        "Stopped: the method that would have won was given no long training. Points lost: on the test split, against "
        "training all to their end and taking the best on validation; in the mean, and how often more than two. By "
        "chance: how often the same choice among all that were trained to their end loses more than two points on "
        "other validation examples, of which there are a third as many as training examples. The race's rules were "
        "chosen on the first six; the draws under them were measured afterwards and changed nothing.",
        "", "| task, training examples, draw | steps of the heat and the final, % of usual | finalists | stopped "
        "| points lost | more than two | gained | by chance |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    of_rules = {name: one for name, one in found["draws"].items() if name in found["chosen_on"]}
    held_out = {name: one for name, one in found["draws"].items() if name not in found["chosen_on"]}
    for name, one in (of_rules | held_out).items():
        lines.append(
            f"| {name} | {100 * one['heat']:.0f}, {100 * one['final']:.0f} | {one['finalists']:.1f} "
            f"| {one['stopped']:.0%} | {100 * one['lost']:+.1f} | {one['lost_more_than_two']:.0%} "
            f"| {one['gained_more_than_two']:.0%} | {one['other_validation_lost_more_than_two']:.0%} |"
        )
    for told, some in (("the six on which the rules were chosen", of_rules), ("those held out", held_out)):
        each = list(some.values())
        mean = {key: statistics.fmean(one[key] for one in each) for key in each[0]}
        lines.append(
            f"| mean of {told} | | | {mean['stopped']:.0%} | {100 * mean['lost']:+.1f} "
            f"| {mean['lost_more_than_two']:.1%} | {mean['gained_more_than_two']:.1%} "
            f"| {mean['other_validation_lost_more_than_two']:.1%} |"
        )
    return lines + small("race-simulated", "Trainings: `benchmarks/results/race-curves.json`.", found["environment"])


def mixed() -> list[str]:
    """Eight LoRAs in one batch."""
    found = read("mixed")
    if not found:
        return []
    lines = [
        "## Eight LoRAs mixed in one batch", "",
        f"{found['rows']} rows; share of the throughput of the base alone, median.", "",
        "| LoRA on | Headstart | PEFT |", "|---|---|---|",
    ]  # fmt: skip
    for title, part in found["targets"].items():
        share = part["share_of_the_base"]
        lines.append(f"| {title} | {share['ours']:.2f} | {share['peft']:.2f} |")
    return lines + small("mixed", found["note"], found["environment"], found["threads"])


def rows() -> list[str]:
    """Many rows."""
    found = read("rows")
    if not found:
        return []
    lines = [
        "## A CSV of many rows: read, audit, split, tokenize", "",
        "| rows | read, audit, split, s | tokenize, s | peak memory, GB |", "|---|---|---|---|",
    ]  # fmt: skip
    for size in found["sizes"]:
        lines.append(
            f"| {size['rows']:,} | {size['read_seconds']:.1f} | {size['tokenize_seconds']:.1f} "
            f"| {size['peak_memory_bytes'] / 1e9:.2f} |"
        )
    return lines + small("rows", found["note"], found["environment"])


def gpu() -> list[str]:
    """Steps on a GPU against Trainer, with PEFT where adapters train."""
    found = read("gpu")
    if found is None:
        return []
    lines = [
        f"## On a {found['card']}", "",
        "Seconds of two epochs (median), times as fast as transformers' Trainer at its defaults and tuned (bf16, like "
        "lengths together, workers that decode); share of the card's bf16 matrix products "
        f"({found['matmul_flops'] / 1e12:.0f} TFLOP/s measured); peak memory. The target is 1.5 times the "
        "tuned one.", "",
        "| network | trains | batch | ours | defaults | tuned | share of peak | memory, ours and tuned |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for part in found["parts"]:
        middle = {side: statistics.median(run[side]["seconds"] for run in part["runs"]) for side in part["runs"][0]}
        memory = [part["runs"][0][side]["peak_memory_bytes"] / 1e9 for side in ("ours", "tuned")]
        lines.append(
            f"| {part['case']} | {part['work']} | {part['batch_size']} | {middle['ours']:.2f} s "
            f"| {middle['defaults']:.2f} s, {part['times_faster']['defaults']:.2f}x "
            f"| {middle['tuned']:.2f} s, {part['times_faster']['tuned']:.2f}x "
            f"| {100 * part['share_of_the_peak']['ours']:.1f} % | {memory[0]:.2f} and {memory[1]:.2f} GB |"
        )
    lines += [
        "",
        f"{len(found['parts'][0]['runs'])} runs of each side in turn; what is not in the table was not measured.",
    ]
    return lines + small("gpu", found["note"], found["environment"])
