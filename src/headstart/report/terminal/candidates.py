"""A ranking of pretrained models as terminal text."""

from __future__ import annotations

import textwrap

from headstart.core.records.ranking import Candidate, Ranking
from headstart.report import format as fmt
from headstart.report.terminal.columns import aligned


def table(found: Ranking) -> str:
    """One line per candidate, best first, then an explanation of the columns."""
    head: tuple[str, ...] = (
        "model",
        "LogME",
        fmt.metric_heading(found.metric),
        "95 % interval",
        "5 neighbours",
        "H-score",
        "seconds",
    )
    scored = [one for one in found.candidates if one.status == "ok"]
    raced = any(one.tuned_share for one in scored)
    if raced:
        head = (*head, "fine-tuned")
    lines = aligned([head, *(_cells(one, found.metric, raced) for one in scored)])
    lines += [f"{one.name}: {one.status}" for one in found.candidates if one.status != "ok"]
    lines += [
        "",
        f"Frozen features of {found.examples} training examples; the metric is that of a linear head on them, on",
        f"{found.validation} of validation. The test split was not looked at.",
        *_read_from(scored),
        *_not_seen(scored),
        *(_raced(scored, found.metric, found.validation) if raced else (
            "Sorted by LogME. Models with overlapping intervals may be equally good. Nothing was trained.",
        )),
    ]  # fmt: skip
    return "\n".join(lines)


def _read_from(scored: list[Candidate]) -> list[str]:
    """Notes on the rung and the image size of the features, because both can change the order."""
    rungs = any(one.rung != "top" for one in scored)
    notes = [] if rungs else ["Features are those of the top; --rungs scores the others too."]
    sizes: dict[tuple[int, ...], list[str]] = {}
    for one in scored:
        if one.image_size:
            sizes.setdefault(one.image_size, []).append(one.model)
    if not sizes:
        return notes
    each = "; ".join(
        f"{' x '.join(map(str, size))} ({', '.join(dict.fromkeys(models))})" for size, models in sizes.items()
    )
    return [*notes, *textwrap.wrap(f"Images were read at {each} pixels; the order may change with --image-size.", 110)]


def _not_seen(scored: list[Candidate]) -> list[str]:
    """Findings on how each model sees the data, one paragraph each."""
    notes = dict.fromkeys(f"{one.model}: {finding}." for one in scored for finding in one.findings)
    return [line for each in notes for line in textwrap.wrap(each, 110)]


def _raced(scored: list[Candidate], metric: str, validation: int) -> tuple[str, ...]:
    """The result of the race, and models that it can't separate from the best."""
    lines = (
        "Fine-tuned models come first (all weights and training examples, one seed), by their race on validation,",
        "then the others by LogME.",
    )
    first = scored[0]
    if first.tuned is None:
        return (*lines, "No model could be fine-tuned at its default learning rate.")
    near = [one for one in scored if one.behind_low is not None and one.behind_low <= 0 <= (one.behind_high or 0.0)]
    close = "; ".join(
        f"{first.name} less {one.name} is {fmt.value(metric, one.behind, signed=True)} "
        f"{fmt.interval(metric, one.behind_low, one.behind_high)}"
        for one in near
    )
    cant = f", though {validation} examples can't separate it from all others: {close}" if near else ""
    return (*lines, *textwrap.wrap(f"Start from {first.name}{cant}.", 110))


def _tuned(one: Candidate, metric: str) -> str:
    if one.tuned_share is None:
        return fmt.MISSING
    if one.tuned is None:
        return "diverged"
    stopped = "" if one.tuned_share == 1 else f", stopped after {fmt.share(one.tuned_share)}"
    return f"{fmt.value(metric, one.tuned)} {fmt.interval(metric, one.tuned_low, one.tuned_high)}{stopped}"


def _cells(one: Candidate, metric: str, raced: bool) -> tuple[str, ...]:
    interval = f"[{fmt.value(metric, one.low)}, {fmt.value(metric, one.high)}]"
    return (
        one.name, _number(one.logme), fmt.value(metric, one.probe), interval, fmt.value(metric, one.knn),
        _number(one.h_score), fmt.seconds(one.seconds, ""), *([_tuned(one, metric)] if raced else []),
    )  # fmt: skip


def _number(value: float | None) -> str:
    return fmt.MISSING if fmt.finite(value) is None else f"{value:.3f}"
