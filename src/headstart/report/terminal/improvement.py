"""An improvement as terminal text: proposals, their evidence, and the results of the trials."""

from __future__ import annotations

import math
import textwrap

from headstart.core.records.improvement import Improvement, Tried
from headstart.report.format import interval, metric_heading, p_value, seconds, value

SPARE = 1.2
"factor on the forecast time in the advised budget"


def text(found: Improvement) -> str:
    """One paragraph per proposal."""
    if not found.tried:
        return f"{found.run}: nothing to propose for {found.method} from the evidence."
    parts = [_part(found, one) for one in found.tried]
    helped = [one.proposal.name for one in found.tried if one.status == "helped"]
    tried = [one for one in found.tried if one.difference is not None]
    end, seeds = "", f"{found.seeds} seed{'s' * (found.seeds > 1)}"
    if tried:
        what = f"{', '.join(helped)} helped" if helped else "none was shown to help"
        took = seconds(sum(one.seconds or 0.0 for one in tried))
        end = (
            f"\nOf {len(tried)} tried with {seeds} on {found.validation:,} validation examples, {what} "
            f"({took}). No trial read the test split."
        )
    if found.needed is not None:
        end += (
            f"\nNothing {'more ' * bool(tried)}was tried: the method as it was and one change to it, with "
            f"{seeds}, take about {seconds(found.needed)} with the preparation: "
            f"--budget {math.ceil(SPARE * found.needed)}s or more."
        )
    return "\n".join(parts) + end


def _part(found: Improvement, one: Tried) -> str:
    lines = [f"{one.proposal.name}: {_outcome(found, one)}"]
    for label, sentence in (("because", one.proposal.evidence), ("so", one.proposal.advice)):
        lines += textwrap.wrap(f"{label} {sentence}", 100, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines)


def _outcome(found: Improvement, one: Tried) -> str:
    if one.difference is None or one.before is None or one.after is None:
        yours = "can be tried" if one.proposal.can_be_tried else "for you to do"
        return {"yours": yours, "no time": "not tried, no time was left"}.get(one.status, one.status)
    before, after = (value(found.metric, number) for number in (one.before, one.after))
    difference = value(found.metric, one.difference, signed=True)
    span = interval(found.metric, one.low, one.high)
    p = "" if one.p_adjusted is None else f", p {p_value(one.p_adjusted)} after Holm"
    return f"{one.status}: {metric_heading(found.metric)} {before} -> {after} on validation, {difference} {span}{p}"
