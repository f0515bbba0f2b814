"""The table of methods with their measurements, for terminals and the documentation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from headstart.core.records.measured import Facts, MeasuredMethods
from headstart.report import format as fmt
from headstart.report.terminal.columns import aligned

FILE = Path(__file__).parents[1] / "measured" / "methods.json"

EXPECTED = {
    "full": (1.0, 1.0),
    "probe@top": (0.0, 0.0001),
    "lora": (0.001, 0.01),
    "houlsby": (0.01, 0.05),
    "pfeiffer": (0.01, 0.05),
    "prompt": (0.0, 0.001),
}
"expected share of trained parameters by the literature: from, to"


def measured() -> MeasuredMethods:
    return MeasuredMethods.from_json(json.loads(FILE.read_text(encoding="utf-8")))


def table(found: MeasuredMethods, summaries: Mapping[str, str]) -> str:
    """A text table of the methods of `summaries` with their measurements, 100 columns wide; `–` if unmeasured."""
    letters = {kind: kind[0].upper() for kind in found.kinds}
    head = ["method", "trains", "memory", "a step", "size", "1 ex.", "merged", *found.tasks, "works on"]
    lines = aligned([head, *(_cells(name, found, letters) for name in summaries)], left=(0, -1))
    legend = ", ".join(f"{letter} {kind}" for kind, letter in letters.items())
    return "\n".join([
        *lines, "",
        f"{found.model}: trained share, peak memory, one step of 32 examples",
        "(or the whole solution of a head), artifact, one example as trained and merged; test accuracy in %;",
        *(f"{facts.method}: costs on {facts.elsewhere}" for facts in found.facts if facts.elsewhere),
        f"– was not measured. Works on: {legend};",
        "a small letter could not, ? was not tried.",
        "Settings of one: headstart methods NAME",
    ])  # fmt: skip


def _cells(name: str, found: MeasuredMethods, letters: Mapping[str, str]) -> list[str]:
    facts = found.of(name) or Facts(name)
    merged = fmt.seconds(facts.merged_latency_seconds, "") if facts.mergeable else fmt.MISSING
    return [
        name,
        fmt.share(facts.trained_share),
        fmt.size(facts.peak_memory_bytes, ""),
        fmt.seconds(facts.step_seconds, ""),
        fmt.size(facts.artifact_bytes, ""),
        fmt.seconds(facts.latency_seconds, ""),
        merged,
        *(fmt.value("accuracy", facts.quality[t].value) if t in facts.quality else fmt.MISSING for t in found.tasks),
        "".join(
            "?" if kind not in facts.kinds else letter if facts.kinds[kind] == "yes" else letter.lower()
            for kind, letter in letters.items()
        ),
    ]


def markdown(found: MeasuredMethods, summaries: Mapping[str, str]) -> str:
    """The table as Markdown, with intervals, and the literature's expectations beside the measurements."""
    tasks = "".join(f" {task} % |" for task in found.tasks)
    lines = [
        f"| method | trains | memory | a step | size | one example | merged |{tasks} works on |",
        "|---|---|---|---|---|---|---|" + "---|" * (len(found.tasks) + 1),
    ]
    named = [*summaries, *(f.method for f in found.facts if f.method not in summaries)]
    for name in named:
        facts = found.of(name) or Facts(name)
        cells = _cells(name, found, {kind: kind for kind in found.kinds})[:7]
        cells[0] = f"`{name}`"
        for task in found.tasks:
            q = facts.quality.get(task)
            range_ = fmt.interval("accuracy", q.low, q.high) if q else ""
            cells.append(f"{fmt.value('accuracy', q.value)} {range_}" if q else fmt.MISSING)
        works = [kind for kind in found.kinds if facts.kinds.get(kind) == "yes"]
        unknown = [f"{kind}?" for kind in found.kinds if kind not in facts.kinds]
        cells.append(", ".join([*works, *unknown]) or fmt.MISSING)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def refusals(found: MeasuredMethods) -> list[str]:
    """Methods that could not run on a kind of backbone, with their error messages."""
    return [
        f"- `{facts.method}` on {kind}: {said}"
        for facts in found.facts
        for kind, said in facts.kinds.items()
        if said != "yes"
    ]


def elsewhere(found: MeasuredMethods) -> list[str]:
    """Methods whose costs were measured on another model."""
    return [
        f"- `{facts.method}` has no place in {found.model}: its costs are of {facts.elsewhere}, which alone takes "
        f"{fmt.seconds(facts.elsewhere_base_latency_seconds, '')} for one example."
        for facts in found.facts
        if facts.elsewhere
    ]


def expectations(found: MeasuredMethods) -> list[str]:
    """The expected share of trained parameters beside the measured one, per method."""
    lines = ["| method | the textbook expects | measured | |", "|---|---|---|---|"]
    for name, (low, high) in EXPECTED.items():
        facts = found.of(name)
        if facts is None or facts.trained_share is None:
            continue
        share = facts.trained_share
        expected = fmt.share(high) if low == high else f"< {fmt.share(high)}" if low == 0 else (
            f"{fmt.share(low)} to {fmt.share(high)}")  # fmt: skip
        agrees = low - 5e-5 <= share <= high + 5e-5
        verdict = "agrees" if agrees else "more than expected" if share > high else "less than expected"
        lines.append(f"| `{name}` | {expected} | {fmt.share(share)} | {verdict} |")
    return lines
