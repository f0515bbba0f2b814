"""Tables of the engine: speed and memory against the peers."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.cases.leaderboard import headline
from benchmarks.pages.recorded import read, small

from headstart.report.format import p_equals

ENGINE_SIDES = {
    "ours": "Headstart",
    "floor": "one forward pass in bf16, sorted by length",
    "defaults": "Trainer at its defaults",
    "tuned": "Trainer, tuned",
}


def engine() -> list[str]:
    """Times faster than the peers, by work."""
    found = read("engine")
    if not found:
        return []
    lines = ["## The engine against Trainer", ""]
    for part in found["parts"]:
        sides = list(part["runs"][0])
        faster = (f"{times:.2f} times as fast as {ENGINE_SIDES[side]}" for side, times in part["times_faster"].items())
        lines += [
            f"**{part['work']}**, {part['epochs']} epoch{'s' * (part['epochs'] > 1)} of {part['examples']} examples: "
            f"Headstart is {' and '.join(faster)}",
            "", "| side | seconds, median | peak memory, GB | accuracy % | precision |", "|---|---|---|---|---|",
        ]  # fmt: skip
        for side in sides:
            runs = [run[side] for run in part["runs"]]
            accuracy = [100 * run["accuracy"] for run in runs if "accuracy" in run]
            memory = statistics.median(run["peak_memory_bytes"] for run in runs) / 1e9
            mean = f"{statistics.fmean(accuracy):.1f}" if accuracy else ""
            lines.append(
                f"| {ENGINE_SIDES[side]} | {statistics.median(run['seconds'] for run in runs):.1f} | {memory:.2f} "
                f"| {mean} | {runs[0]['precision']} |"
            )
        for side, d in part.get("quality", {}).items():
            low, high = (f"{100 * d[end]:+.1f}" for end in ("low", "high"))
            lines += [
                "", f"Accuracy minus that of {ENGINE_SIDES[side]}, paired by test example: "
                f"{100 * d['difference']:+.1f} points [{low}, {high}], {p_equals(d['p_value'])}.",
            ]  # fmt: skip
        lines += small("engine", part["note"], part["environment"], part["threads"])
    return lines


VISION = {
    "features": "features of the frozen network, one pass",
    "unfreeze": "gradual unfreezing over three epochs (head, upper half, whole network)",
}
VISION_SIDES = {
    "plain": "timm in a plain loop",
    "tuned": "the same in bf16 and channels last",
    "fastai": "fastai, in the usual form",
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
            f"**{part['model']}**, {VISION[part['work']]}, {part['images']:,} images; {len(runs)} runs of each side in "
            "turn", "", "| side | seconds, median | Headstart's speed-up, median |", "|---|---|---|",
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
        (peer,) = share
        how = {"defaults": "at its defaults", "tuned": "tuned: bf16 and batches of similar length"}[peer]
        lines += [
            f"## The whole leaderboard against one full fine-tune at {against}", "",
            "`headstart compare` with its default methods and a budget, on TREC with MiniLM, and one full fine-tune by "
            f"transformers' Trainer ({found['epochs']} epochs, {how}), run in turn. {headline(runs, peer)}", "",
            "| side | seconds of each run | test accuracy % of the resulting model, of each run |", "|---|---|---|",
        ]  # fmt: skip
        for side in ("ours", *share):
            seconds = ", ".join(f"{run[side]['seconds']:.0f}" for run in runs)
            accuracies = ", ".join(f"{100 * run[side]['accuracy']:.1f}" for run in runs)
            lines.append(f"| {ENGINE_SIDES[side]} | {seconds} | {accuracies} |")
        first = runs[0]["ours"]
        lines += [
            "",
            "The table of the first run:",
            "",
            "| method | accuracy % | epochs | seeds | |",
            "|---|---|---|---|---|",
        ]
        for row in sorted(first["rows"], key=lambda row: -(row["value"] or -1)):
            status = "" if row["status"] == "ok" else row["status"]
            value = (
                f"{100 * row['value']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]" if row["value"] else ""
            )
            epochs = f"{row['epochs']:.2g}" if row.get("epochs") else ""
            lines.append(f"| {row['method']} | {value} | {epochs} | {len(row['seeds'])} | {status} |")
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
            f"**{part['data']}, {part['each']} labels a class**, {part['draws']} draws of them{cut}; the peer "
            f"is {peer['name']}",
            "",
            "| method | accuracy % | minus SetFit's, paired | seconds, median | CPU seconds, median |",
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
            count = len(pairs["ours"])
            lines += ["", f"CPU time, {count} run{'s' * (count > 1)} of each in turn: contrastive {ours:.0f} s, SetFit "
                      f"with {pairs['iterations']} pairs a sentence {peers:.0f} s; median ratio "
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
        f"{found['races']} races for each draw of training examples; the budget of a race is the time of one plain "
        "fine-tune of 10 epochs. The race's choice is compared on the test split with that of no race: every method "
        "trained to its end, and the best on validation taken.",
        "",
        "- *stopped*: share of the races in which the method that wins without a race got no long training",
        "- *points lost*: test accuracy without a race minus that with it, mean",
        "- *more than two*, *gained*: share of the races that lose, or gain, more than two points",
        "- *by chance*: share of the choices without a race that lose more than two points if they are made on other "
        "validation examples, a third as many as training examples",
        "",
        "The race's rules were chosen on the first six draws; the draws below them were measured afterwards and "
        "changed no rule.",
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
    for which, some in (("the six on which the rules were chosen", of_rules), ("those held out", held_out)):
        each = list(some.values())
        mean = {key: statistics.fmean(one[key] for one in each) for key in each[0]}
        lines.append(
            f"| mean of {which} | | | {mean['stopped']:.0%} | {100 * mean['lost']:+.1f} "
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
        f"A batch of {found['rows']} rows; median throughput, as a share of the base model's alone.", "",
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
        "Median seconds of two epochs, and how many times as fast Headstart is as transformers' Trainer at its "
        "defaults and tuned (bf16, batches of similar length, workers that decode). Share of peak: of the card's bf16 "
        f"matrix products ({found['matmul_flops'] / 1e12:.0f} TFLOP/s measured). The target is 1.5 times as fast as "
        "the tuned Trainer.", "",
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
        f"{len(found['parts'][0]['runs'])} runs of each side in turn. Other networks and methods were not measured.",
    ]
    return lines + small("gpu", found["note"], found["environment"])
