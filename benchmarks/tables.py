"""Writes docs/results.md and docs/benchmarks.md from benchmarks/results: no figure in the docs is typed by hand.

python benchmarks/tables.py
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def table(result: dict[str, Any]) -> list[str]:
    """One comparison as a Markdown table, best first."""
    comparison = result["comparison"]
    rows = sorted(comparison["rows"], key=lambda row: -(row["value"] or -1))
    lines = ["| method | accuracy % | against the reference | trained | train s | rate |", "|---|---|---|---|---|---|"]
    for row in rows:
        if row["value"] is None:
            lines.append(f"| {row['method']} | {row['status']} | | | | |")
            continue
        rate = f"{row['learning_rate']:.0e}" if row["learning_rate"] else ""
        points = [f"{100 * (row[key] or 0):+.1f}" for key in ("difference", "difference_low", "difference_high")]
        difference = "reference" if row["p_value"] is None else (
            f"{points[0]} [{points[1]}, {points[2]}], p = {row['p_adjusted']:.3f}"
        )  # fmt: skip
        lines.append(
            f"| {row['method']}{' (control)' if row['control'] else ''} "
            f"| {100 * row['value']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}] | {difference} "
            f"| {100 * row['trained_share']:.3g} % | {row['train_seconds']:.1f} | {rate} |"
        )
    peer = result.get("peer")
    for name, one in (peer or {}).get("methods", {}).items():
        seconds = sorted(run["seconds"] for run in one["runs"])[len(one["runs"]) // 2]
        lines.append(
            f"| *peer:* PEFT's {name} | {100 * one['value']:.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}] "
            f"| ours {100 * one['difference']['difference']:+.1f} [{100 * one['difference']['low']:+.1f}, "
            f"{100 * one['difference']['high']:+.1f}], p = {one['difference']['p_value']:.3f} | | {seconds:.1f} "
            f"| {one['rate']:.0e} |"
        )
    if peer and "value" in peer:
        seconds = sorted(run["seconds"] for run in peer["runs"])[len(peer["runs"]) // 2]
        lines.append(
            f"| *peer:* {peer['name']} | {100 * peer['value']:.1f} [{100 * peer['low']:.1f}, {100 * peer['high']:.1f}] "
            f"| | 100 % | {seconds:.1f} | 5e-05 |"
        )
    lines += ["", f"> {comparison['verdict']['sentence']}", ""]
    if peer and "value" in peer:
        worst = {name: d for name, d in peer["differences"].items() if name in ("full", "lora", "lpft", "probe")}
        told = "; ".join(
            f"{name} {100 * d['difference']:+.1f} [{100 * d['low']:+.1f}, {100 * d['high']:+.1f}], "
            f"p = {d['p_value']:.3f}"
            for name, d in worst.items()
        )
        lines += [f"Against the peer, paired by example: {told}.", ""]
    return lines


def section(path: Path) -> list[str]:
    result = json.loads(path.read_text(encoding="utf-8"))
    comparison = result["comparison"]
    environment, data = comparison["environment"], comparison["data"]
    sizes = ", ".join(f"{split['size']} {split['name']}" for split in data["splits"])
    versions = ", ".join(f"{name} {version}" for name, version in environment["libraries"].items())
    return [
        f"## {data['source']} with {comparison['model']['source']}",
        "",
        f"{sizes}; seeds {comparison['seeds']}; trials a method: "
        f"{max(len(row['trials']) for row in comparison['rows'])}; {environment['precision']}.",
        "",
        *table(result),
        f"<sub>`benchmarks/results/{path.name}`; {environment['processor']}, {environment['cores']} cores, "
        f"{environment['started']}; {versions}. {result['note']}</sub>",
        "",
    ]


def read(name: str) -> dict[str, Any] | None:
    path = HERE / "results" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def small(name: str, note: str, environment: dict[str, Any], threads: int | None = None) -> list[str]:
    """Where the figures are from."""
    versions = ", ".join(f"{library} {version}" for library, version in environment["libraries"].items())
    used = f", {threads} threads" if threads else ""
    told = f"{environment['processor']}, {environment['cores']} cores{used}, {environment['started']}; {versions}"
    return ["", f"<sub>`benchmarks/results/{name}.json`; {told}. {note}</sub>", ""]


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
        lines += small("engine", part["note"], part["environment"], part["threads"])
    return lines


def leaderboard() -> list[str]:
    """All methods in the time of one fine-tune."""
    found = read("leaderboard")
    if not found:
        return []
    share, runs = found["share_of_the_peers_time"], found["runs"]
    lines = [
        "## The whole leaderboard against one full fine-tune", "",
        f"Ten methods and two controls with a budget, TREC with MiniLM, {len(runs)} pairs in alternation. Median share "
        f"of the time of transformers' Trainer ({found['epochs']} epochs): {share['defaults']:.2f} at its defaults, "
        f"{share['tuned']:.2f} tuned (bf16 and batches of like length).", "",
        "| side | seconds, of each run | test accuracy % of what it hands over, of each run |", "|---|---|---|",
    ]  # fmt: skip
    for side in ("ours", "defaults", "tuned"):
        seconds = ", ".join(f"{run[side]['seconds']:.0f}" for run in runs)
        accuracies = ", ".join(f"{100 * run[side]['accuracy']:.1f}" for run in runs)
        lines.append(f"| {side} | {seconds} | {accuracies} |")
    first = runs[0]["ours"]
    lines += [
        "", f"The first run's rows (epochs to fit the budget: {first['forecast']['epochs'] or 'as usual'}; rates "
        f"tried a method: {max(row['trials'] for row in first['rows'])}):", "",
        "| method | accuracy % | |", "|---|---|---|",
    ]  # fmt: skip
    for row in sorted(first["rows"], key=lambda row: -(row["value"] or -1)):
        told = "" if row["status"] == "ok" else row["status"]
        value = f"{100 * row['value']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]" if row["value"] else ""
        lines.append(f"| {row['method']} | {value} | {told} |")
    return lines + ["", f"> {first['verdict']}", *small("leaderboard", found["note"], found["environment"])]


def performance() -> list[str]:
    """Where a step's time goes."""
    found = read("step-profile")
    if not found:
        return []
    groups = list(found["parts"][0]["milliseconds"])
    lines = [
        "# Where the time goes", "",
        "Made by `benchmarks/tables.py` from what `benchmarks/step_profile.py` measured: a training step of MiniLM on",
        "TREC, batch 32. The limit is the arithmetic of the step (two operations a weight and token forward, as many",
        f"for each gradient) at the rate of a large matrix product here, {found['product_flops'] / 1e9:.0f} GFLOP/s in "
        f"{found['environment']['precision']}.", "",
        f"| work | tokens a step | a step, ms | limit, ms | {' | '.join(f'{name}, ms' for name in groups)} |",
        f"|---|---|---|---|{'---|' * len(groups)}",
    ]  # fmt: skip
    for part in found["parts"]:
        each = " | ".join(f"{part['milliseconds'][name]:.1f}" for name in groups)
        lines.append(
            f"| {part['work']} | {part['tokens_a_step']:.0f} | {part['step_milliseconds']:.0f} "
            f"| {part['limit_milliseconds']:.0f} | {each} |"
        )
    return [*lines, *small("step-profile", found["note"], found["environment"], found["threads"]), *whole()]


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
            f"**{part['data']}, {part['each']} a class**, {part['draws']} draws{cut}; {peer['name']}", "",
            "| method | accuracy % | less SetFit's, paired | seconds, median | of the processor |",
            "|---|---|---|---|---|",
        ]  # fmt: skip

        def seconds(row: dict[str, Any]) -> str:
            cpu = [value for value in row.get("cpu_seconds", []) if value is not None]
            return f"{statistics.median(row['seconds']):.1f} | {f'{statistics.median(cpu):.1f}' if cpu else ''}"

        for name, row in part["methods"].items():
            d = row["against_peer"]
            lines.append(
                f"| {name} | {100 * row['value']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}] "
                f"| {100 * d['difference']:+.1f} [{100 * d['low']:+.1f}, {100 * d['high']:+.1f}], "
                f"p = {d['p_value']:.3f} | {seconds(row)} |"
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
    """What simulated races lose and save."""
    found = read("race-simulated")
    if not found:
        return []
    lines = [
        "## Races, simulated from measured learning curves", "",
        f"{found['races']} races a task. Lost: the method that would have won was stopped. Regret: how far the best "
        "that ran to its end is below the winner. Time: of all trainings in full.", "",
        "| curves of | lost | regret, points | time |", "|---|---|---|---|",
    ]  # fmt: skip
    for task, one in found["tasks"].items():
        lines.append(f"| {task} | {one['lost']:.1%} | {100 * one['regret']:.2f} | {one['cost']:.0%} |")
    told = "Curves: `benchmarks/results/race-curves.json`; cifar10's were not looked at when the rules were set."
    return lines + small("race-simulated", told, found["environment"])


def ranking() -> list[str]:
    """What scores foretell of fine-tuning."""
    scores = {"probe": "probe %", "knn": "5 neighbours %", "logme": "LogME", "h_score": "H-score"}
    lines = ["## What `headstart rank` foretells of fine-tuning", ""]
    for path in sorted((HERE / "results").glob("ranking-*.json")):
        lines += _ranking(json.loads(path.read_text(encoding="utf-8")), path.stem, scores)
    return lines if len(lines) > 2 else []


def _ranking(found: dict[str, Any], name: str, scores: dict[str, str]) -> list[str]:
    lines = [
        f"MiniLM cut after each of its blocks, and random weights, on {found['data']}, {found['each']} labels a class; "
        f"scored on {found['validation']} validation examples, then tuned in full ({found['epochs']} epochs, "
        f"{found['seeds']} seeds, default rate) and tested.", "",
        f"| backbone | {' | '.join(scores.values())} | tuned, test accuracy % |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for one in found["candidates"]:
        tuned = f"{100 * one['tuned']:.1f} [{100 * one['tuned_low']:.1f}, {100 * one['tuned_high']:.1f}]"
        lines.append(
            f"| {one['model']} | {100 * one['probe']:.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}] "
            f"| {100 * one['knn']:.1f} | {one['logme']:.3f} | {one['h_score']:.3f} | {tuned} |"
        )
    lines += ["", "| score | Kendall's tau, all | tau, pretrained | best by it is below the best by, points |",
              "|---|---|---|---|"]  # fmt: skip
    for score, title in scores.items():
        one = found["agreement"][score]
        lines.append(
            f"| {title.removesuffix(' %')} | {one['tau']:.2f} | {one['tau_of_the_pretrained']:.2f} "
            f"| {100 * one['regret']:.1f} |"
        )
    return lines + small(name, found["note"], found["environment"], found["threads"])


def forgetting() -> list[str]:
    """What tuning gains and what it forgets, for each task."""
    lines = ["## Tuned against base: gained and forgotten", ""]
    for path in sorted((HERE / "results").glob("forgetting-*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        found = result["evaluation"]
        told = found["configuration"]
        size = f"{told['each']} labels a class" if told["each"] else "all labels"
        lines += [
            f"{found['base']} tuned on {found['data']} ({size}, {told['seeds']} seeds, default rates), judged by "
            f"`headstart evaluate` with `benchmarks/{found['suite']}`. Tuned less base, in points (calibration error: "
            "as it is), with a 95 % interval; bold where a check was regressed.", "",
            f"| check, base | {' | '.join(one['name'] for one in found['models'])} |",
            "|---|" + "---|" * len(found["models"]),
        ]  # fmt: skip
        for place, check in enumerate(found["models"][0]["checks"]):
            percent = check["metric"] != "ece"
            base = f"{100 * check['base']['value']:.1f} %" if percent else f"{check['base']['value']:.3f}"
            cells = [_change(one["checks"][place], percent) for one in found["models"]]
            lines.append(f"| {check['check']}, {base} | {' | '.join(cells)} |")
        lines.append("| gates | " + " | ".join("passed" if m["passed"] else "failed" for m in found["models"]) + " |")
        seconds = (f"{one['seconds']:.0f} s" for one in found["models"])
        lines.append(f"| one training | {' | '.join(seconds)} |")
        lines += small(path.stem, result["note"], found["environment"])
    return lines if len(lines) > 2 else []


def _change(check: dict[str, Any], percent: bool) -> str:
    values = (check["difference"], check["low"], check["high"])
    d, low, high = (f"{100 * v:+.1f}" if percent else f"{v:+.3f}" for v in values)
    told = f"{d} [{low}, {high}], {check['status']}"
    return f"**{told}**" if check["status"] == "regressed" else told


TEXTBOOK = (
    ("scratch", "100,000 and more"), ("full", "1,000 to 10,000"), ("freeze", "100 to 1,000"),
)  # fmt: skip
"the labels a method is said to need"


def curves() -> list[str]:
    """Quality against labels, beside the textbook's table."""
    lines = ["## How many labels each method needs", ""]
    for path in sorted((HERE / "results").glob("curve-*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        found = result["curve"]
        methods = list(dict.fromkeys(one["method"] for one in found["readings"]))
        lines += [
            f"{found['model']} on {found['data']}, {found['configuration']['draws']} draws of each size, default "
            "rates; accuracy in % with a 95 % interval.", "",
            f"| labels a class | examples | {' | '.join(methods)} |", "|---|---|" + "---|" * len(methods),
        ]  # fmt: skip
        for size in found["sizes"]:
            here = {one["method"]: one for one in found["readings"] if one["size"] == size}
            cells = (
                f"{100 * one['value']:.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}]"
                for one in (here[name] for name in methods)
            )
            lines.append(f"| {size} | {here[methods[0]]['examples']} | {' | '.join(cells)} |")
        laws = {law["method"]: law for law in found["laws"]}
        if laws and next(iter(laws.values()))["reach"]:
            targets = [f"{100 * reach['value']:.0f} %" for reach in next(iter(laws.values()))["reach"]]
            lines += [
                "", "Examples that a value would take by the fitted law, beside what the textbook says a method needs:",
                "", f"| method | textbook | {' | '.join(targets)} |", "|---|---|" + "---|" * len(targets),
            ]  # fmt: skip
            for name, law in laws.items():
                reach = " | ".join(map(_reach, law["reach"]))
                lines.append(f"| {name} | {dict(TEXTBOOK).get(name, '')} | {reach} |")
        lines += small(path.stem, result["note"], found["environment"])
    return lines if len(lines) > 2 else []


def _reach(one: dict[str, Any]) -> str:
    if one["examples"] is None:
        return "out of reach" if one["low"] is None else f"{one['low']:,.0f} at least, perhaps never"
    most = f"{one['high']:,.0f}" if one["high"] else "never"
    return f"{one['examples']:,.0f} [{one['low']:,.0f}, {most}]"


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


def vectors() -> list[str]:
    """Analogies that word vectors answer."""
    found = read("vectors")
    if not found:
        return []
    corpus, words = found["results"][0]["corpus"], found["results"][0]["words"]
    lines = [
        "## Word vectors", "",
        f"Trained on {corpus['words'] / 1e6:.1f} million words of dictionaries, essays and articles, lower-cased; "
        f"{words:,} vectors of 100 numbers. Right are answers to word2vec's questions that have vectors (3CosAdd among "
        "all words); seconds are those of the whole command.", "",
        "| objective | analogies right | of them `family` | seconds | king - man + woman | near king |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for one in found["results"]:
        share = f"{one['total']['right'] / one['total']['asked']:.1%}"
        family = next(section for section in one["sections"] if section["name"] == "family")
        total, (answers, near) = one["total"], (
            ", ".join(f"{word} {cosine:.2f}" for word, cosine in one[name][:4])
            for name in ("king_man_woman", "nearest_to_king")
        )  # fmt: skip
        lines.append(
            f"| `{one['objective']}` | {total['right']:,} of {total['asked']:,} ({share}) "
            f"| {family['right']} of {family['asked']} | {one['seconds']:.0f} | {answers} | {near} |"
        )
    glove = next((one for one in found["results"] if one["entries"]), None)
    if glove:
        lines += [
            "", f"GloVe went over {glove['entries'] / 1e6:.1f} million entries, {glove['entries_a_second'] / 1e6:.2f} "
            f"million a second, {len(glove['costs'])} times; the cost of an entry fell to {glove['costs'][-1]:.4f}. "
            f"Counting took {glove['counting_seconds']:.0f} s.",
        ]  # fmt: skip
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return lines + small(
        "vectors", f"{versions}. {found['note']}", found["environment"], found["results"][0]["threads"]
    )


def main() -> None:
    page = [
        "# Benchmarks", "",
        "Made by `benchmarks/tables.py` from the JSON files in `benchmarks/results`; each part names its own.", "",
        *leaderboard(), *engine(), *few(), *races(), *ranking(), *forgetting(), *curves(), *mixed(), *rows(),
        *vectors(),
    ]  # fmt: skip
    (HERE.parent / "docs" / "benchmarks.md").write_text("\n".join(page), encoding="utf-8")
    if page := performance():
        (HERE.parent / "docs" / "performance.md").write_text("\n".join(page), encoding="utf-8")
    lines = [
        "# Results",
        "",
        "Made by `benchmarks/tables.py` from the JSON files in `benchmarks/results`, which `benchmarks/text.py` and",
        "`benchmarks/images.py` wrote. Quality is accuracy on the test split, mean over seeds, with a 95 % interval;",
        "differences are paired by example, p is adjusted after Holm.",
        "",
    ]
    for path in sorted((HERE / "results").glob("*.json")):
        if "comparison" not in json.loads(path.read_text(encoding="utf-8")):
            continue
        lines += section(path)
    (HERE.parent / "docs" / "results.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
