"""docs/results.md: each comparison as a table, with the peers beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.lib.results import RECORD

from headstart.report.format import p_equals


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
            f"{points[0]} [{points[1]}, {points[2]}], {p_equals(row['p_adjusted'])}"
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
            f"{100 * one['difference']['high']:+.1f}], {p_equals(one['difference']['p_value'])} | | {seconds:.1f} "
            f"| {one['rate']:.0e} |"
        )
    if peer and "value" in peer:
        seconds = sorted(run["seconds"] for run in peer["runs"])[len(peer["runs"]) // 2]
        lines.append(
            f"| *peer:* {peer['name']} | {100 * peer['value']:.1f} [{100 * peer['low']:.1f}, {100 * peer['high']:.1f}] "
            f"| | 100 % | {seconds:.1f} | 5e-05 |"
        )
    # records of the first schema recommended what was merely not shown to be worse
    said = comparison["verdict"].get("lines") or []
    lines += ["", *(f"> {line}  " for line in said), *([""] if said else [])]
    if peer and "value" in peer:
        worst = {name: d for name, d in peer["differences"].items() if name in ("full", "lora", "lpft", "probe")}
        told = "; ".join(
            f"{name} {100 * d['difference']:+.1f} [{100 * d['low']:+.1f}, {100 * d['high']:+.1f}], "
            f"{p_equals(d['p_value'])}"
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


def results() -> list[str]:
    lines = [
        "# Results",
        "",
        "Made by `benchmarks/run.py report` from the JSON files in `benchmarks/results`, which the cases `text` and",
        "`images` wrote. Quality is accuracy on the test split, mean over seeds, with a 95 % interval;",
        "differences are paired by example, p is adjusted after Holm.",
        "",
    ]
    for path in sorted(RECORD.glob("*.json")):
        if "comparison" in json.loads(path.read_text(encoding="utf-8")):
            lines += section(path)
    return lines
