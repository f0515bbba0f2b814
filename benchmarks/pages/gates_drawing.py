"""docs/gates.svg: bounds of a difference against 0 and -tolerance, and what a gate makes of them."""

from __future__ import annotations

from headstart.judging.gate import gate_of, status_of

TOLERANCE = 1.0
CASES = ((0.6, 2.4), (-0.6, 1.4), (-0.8, -0.2), (-2.2, 1.6), (-2.0, -0.3), (-3.0, -1.4))
"bounds of a difference, in points"
WIDTH, LEFT, RIGHT, TOP, STEP = 760, 40, 400, 64, 34
COLOURS = {"passed": "#2f7d4f", "failed": "#b3261e", "undecided": "#8a6d00"}


def across(points: float) -> float:
    """Pixels of a difference between -3.5 and 3 points."""
    return LEFT + (points + 3.5) / 6.5 * (RIGHT - LEFT)


def drawing() -> str:
    height = TOP + STEP * len(CASES) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="13">',
        "<title>When a gate passes: one-sided 95 % bounds of tuned less base, in points</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        '<g fill="#444"><text x="40" y="18">tuned less base, points; one-sided 95 % bounds</text>',
        '<text x="420" y="42">shown</text><text x="560" y="42">not_regressed</text>',
        '<text x="670" y="42">improved</text></g>',
    ]
    for points, words in ((-TOLERANCE, "-tolerance"), (0.0, "0")):
        x = across(points)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="48" y2="{height - 10}" stroke="#999" stroke-dasharray="4 3"/>'
        )
        parts.append(f'<text x="{x:.1f}" y="42" fill="#444" text-anchor="middle">{words}</text>')
    for row, (low, high) in enumerate(CASES):
        y, middle = TOP + STEP * row, (low + high) / 2
        guard = gate_of(low, high, "not_regressed", TOLERANCE)
        gain = gate_of(low, high, "improved", TOLERANCE)
        parts += [
            '<g stroke="#333" stroke-width="2">'
            f'<line x1="{across(low):.1f}" x2="{across(high):.1f}" y1="{y}" y2="{y}"/>'
            f'<line x1="{across(low):.1f}" x2="{across(low):.1f}" y1="{y - 5}" y2="{y + 5}"/>'
            f'<line x1="{across(high):.1f}" x2="{across(high):.1f}" y1="{y - 5}" y2="{y + 5}"/></g>'
            f'<circle cx="{across(middle):.1f}" cy="{y}" r="4" fill="#333"/>',
            f'<text x="420" y="{y + 4}" fill="#333">{status_of(low, high, TOLERANCE)}</text>',
        ]
        for x, verdict in ((560, guard), (670, gain)):
            parts.append(f'<text x="{x}" y="{y + 4}" fill="{COLOURS[verdict]}" font-weight="bold">{verdict}</text>')
    return "\n".join([*parts, "</svg>", ""])
