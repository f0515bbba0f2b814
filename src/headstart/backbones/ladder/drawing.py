"""Drawing of a ladder for the terminal: the head on top, one line per rung, trained parameters, the cut."""

from __future__ import annotations

from typing import Any

from headstart.backbones.backbone import Backbone

MOST = 30
"maximum number of drawn rungs; the middle of a longer ladder is folded"
WIDTH = 100


def draw(backbone: Backbone, plan: Any = None) -> str:
    """The ladder as plain text of at most 100 columns.

    plan: anything with `groups` that have `rung`, `scale` and `parameters` (names relative to backbone and head).
    """
    ladder = backbone.ladder
    sizes = {name: p.numel() for name, p in backbone.module.named_parameters()}
    total = sum(sizes.values())
    trained = _trained(plan, backbone)
    cut = min((group.rung for group in plan.groups), default=None) if plan is not None else None
    about = f" ({backbone.kind}, {total:,} parameters, {backbone.dimension} features)"
    room = WIDTH - len(about)
    source = backbone.source if len(backbone.source) <= room else f"…{backbone.source[1 - room :]}"
    lines = [source + about]
    lines += [f"  head{' ' * 38}" + ("trains" if plan is not None else "")]
    rows: list[str] = []
    for index, rung in enumerate(ladder.rungs):
        count = sum(sizes[name] for name in rung.parameters)
        name = rung.name if len(rung.name) <= 34 else f"…{rung.name[-33:]}"
        bar = "█" * round(20 * count / total) or "▏"
        rows.append(f"  {index:>3} {name:<34} {count:>13,} {count / total:>5.0%} {bar:<20} {trained.get(index, '')}")
    for index in range(len(rows) - 1, -1, -1):
        if len(rows) > MOST and 5 <= index < len(rows) - 5:
            if index == len(rows) - 6:
                lines.append(f"      … {len(rows) - 10} more rungs")
        else:
            lines.append(rows[index])
        if cut == index and index > 0:
            lines.append("  --- cut: below, activations never change ---")
    if cut == len(rows):
        lines.insert(2, "  --- cut: below, activations never change ---")
    return "\n".join(line.rstrip()[:WIDTH] for line in lines)


def _trained(plan: Any, backbone: Backbone) -> dict[int, str]:
    """Trained parameters by rung: all or a number, with the scale of the learning rate if it is not 1."""
    if plan is None:
        return {}
    found: dict[int, str] = {}
    rungs = backbone.ladder.rungs
    for group in plan.groups:
        names = {n.removeprefix("backbone.") for n in group.parameters if n.startswith("backbone.")}
        scale = f" x{group.scale:.3g}" if group.scale != 1 else ""
        for index, rung in enumerate(rungs):
            own = names & set(rung.parameters)
            if own:
                what = "trains" if len(own) == len(rung.parameters) else f"{len(own)} of {len(rung.parameters)}"
                found[index] = f"{what}{scale}"
        if names and not any(names & set(r.parameters) for r in rungs) and group.rung < len(rungs):
            found[group.rung] = f"adapter{scale}"
    return found
