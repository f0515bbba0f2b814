"""The history of runs as terminal text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.core.disk.history import Entry
from headstart.report import format as fmt
from headstart.report.terminal.columns import aligned


def listing(entries: Sequence[Entry]) -> str:
    """One line per run, the latest last."""
    if not entries:
        return "No runs here yet: `headstart compare`, `fit`, `curve` or `pretrain` makes one."
    head = (
        "run", "started", "verb", "data", "model", "methods", "use", "metric", "value", "95 % interval", "took",
        "folder",
    )  # fmt: skip
    return "\n".join(aligned([head, *map(_cells, entries)], left=(1, 2, 3, 4, 6, 7, 11)))


def _cells(one: Entry) -> tuple[str, ...]:
    return (
        str(one.number), one.started[:16].replace("T", " "), _verb(one), _short(one.data), _short(one.model),
        fmt.MISSING if one.verb == "pretrain" else str(len(one.methods)), _used(one), fmt.metric_heading(one.metric),
        fmt.value(one.metric, one.value), fmt.interval(one.metric, one.low, one.high), fmt.seconds(one.seconds, ""),
        one.folder + ("" if one.there else " (gone)"),
    )  # fmt: skip


def _verb(one: Entry) -> str:
    """The verb, for a pretraining with its objective."""
    return f"{one.verb} {one.methods[0]}" if one.verb == "pretrain" else one.verb


def _used(one: Entry) -> str:
    """The recommended method, or the status of the run if there is none."""
    return one.verdict or (fmt.MISSING if one.status in ("complete", "ok") else one.status)


def _short(source: str) -> str:
    name = ", ".join(Path(one).name or one for one in source.split(", "))
    return name if len(name) <= 24 else name[:23] + "…"


def details(one: Entry) -> str:
    """All that the index holds about a run."""
    value = f"{fmt.value(one.metric, one.value)} {fmt.interval(one.metric, one.low, one.high)}".strip()
    lines = [
        ("folder", one.folder + ("" if one.there else " (gone)")),
        ("started", one.started),
        ("verb", one.verb),
        ("status", one.status),
        ("data", one.data),
        ("model", one.model),
        ("methods", ", ".join(one.methods)),
        ("use", _used(one)),
        (fmt.metric_heading(one.metric), value),
        ("took", fmt.seconds(one.seconds)),
        *((name, fmt.setting(item, name)) for name, item in sorted(one.configuration.items())
          if name not in ("data", "model", "methods")),
        *sorted(one.libraries.items()),
    ]  # fmt: skip
    return "\n".join(aligned([(name, text) for name, text in lines], left=(0, 1)))


def difference(a: Entry, b: Entry) -> str:
    """Differences of two runs in options, versions and results; one line if there are none."""
    sides = [_facts(one) for one in (a, b)]
    names = [name for name in {**sides[0], **sides[1]} if sides[0].get(name) != sides[1].get(name)]
    if not names:
        return f"runs {a.number} and {b.number}: the same options, versions and outcome"
    rows: list[tuple[str, ...]] = [("", f"run {a.number}", f"run {b.number}")]
    rows += [(name, *(side.get(name, fmt.MISSING) for side in sides)) for name in names]
    return "\n".join(aligned(rows, left=(0, 1, 2)))


def _facts(one: Entry) -> Mapping[str, str]:
    outcome: dict[str, Any] = {
        "verb": one.verb, "data": one.data, "model": one.model, "methods": ", ".join(one.methods), "use": _used(one),
        fmt.metric_heading(one.metric): f"{fmt.value(one.metric, one.value)} "
                                        f"{fmt.interval(one.metric, one.low, one.high)}".strip(),
        "took": fmt.seconds(one.seconds),
    }  # fmt: skip
    options = {k: fmt.setting(v, k) for k, v in one.configuration.items() if k not in ("data", "model", "methods")}
    return {k: str(v) for k, v in {**outcome, **options, **one.libraries}.items()}
