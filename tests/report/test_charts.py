from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
import report_example

from headstart.core.records.comparison import Row
from headstart.core.records.training import SeedRun, Share
from headstart.report.charts.axis import linear, linear_steps, log_steps, logarithmic, time_steps
from headstart.report.charts.curves import interpolation_curves, loss_curves, validation_curves
from headstart.report.charts.placement import Box, place
from headstart.report.charts.plots import learning_curve, learning_rate_curve
from headstart.report.charts.scatter import COSTS, scatter
from headstart.report.pages.comparison import page


def test_ticks_are_round_and_within():
    assert linear_steps(0.853, 0.978, 7) == [0.86, 0.88, 0.9, 0.92, 0.94, 0.96]
    assert log_steps(0.9, 150, 4) == [1, 10, 100]
    assert log_steps(2.5, 250, 5) == [3, 10, 30, 100]
    assert time_steps(2.5, 250, 10) == [5, 10, 20, 30, 60, 120]
    axis = logarithmic([1, 100], 0, 100, margin=0)
    assert axis(10) == 50
    assert linear([5.0], 0, 10)(5.0) == 5


@pytest.mark.parametrize("low", [1e-6, 3e-3, 0.2, 7, 4e3, 5e6])
@pytest.mark.parametrize("factor", [10, 77, 1e4])
def test_time_ticks_always_exist(low, factor):
    ticks = time_steps(low, low * factor, 6)
    assert ticks
    assert all(low <= tick <= low * factor for tick in ticks)


@pytest.mark.parametrize("width", [350, 920])
@pytest.mark.parametrize("cost", COSTS, ids=lambda cost: cost.field)
def test_scatter(cost, width):
    chart = scatter(report_example.comparison(), cost, width=width)
    assert chart is not None
    marks = {mark.row.method: mark for mark in chart.marks}
    assert marks["lora"].kind == "chosen"
    assert marks["lora"].y < marks["probe"].y
    assert marks["scratch"].outside
    assert all(0 <= mark.x <= width and chart.frame.top <= mark.y <= chart.frame.bottom for mark in chart.marks)
    if cost.field == "train_seconds":
        assert chart.zero == marks["majority"].x
    if cost.field == "latency_seconds":
        assert chart.missing == ["majority"]
    assert "prompt" not in marks


def test_scatter_needs_two_points():
    assert scatter(report_example.bare(), COSTS[0]) is None


def test_better_is_up_where_lower_is_better():
    chart = scatter(report_example.regression(), COSTS[0])
    assert chart is not None
    marks = {mark.row.method: mark for mark in chart.marks}
    assert marks["lora"].y < marks["probe"].y


def test_labels_keep_apart():
    points = [(200.0 + 9 * i, 150.0 + 5 * (i % 3)) for i in range(8)]
    labels = place([f"method_{i}" for i in range(8)], points, [], Box(0, 0, 500, 300))
    for a, b in itertools.combinations(labels, 2):
        assert abs(a.y - b.y) > 8 or abs(a.x - b.x) > 40


def test_the_curve_between_start_and_tuned_rings_the_share_kept():
    shares = (Share(0.0, 0.5), Share(0.5, 0.8), Share(1.0, 0.7))
    row = Row("wiseft", "ok", "accuracy", seeds=(SeedRun(3, 0.8, 0.75, 1.0, interpolation=shares),))
    chart = interpolation_curves(row, "accuracy")
    assert chart is not None
    (line,) = chart.lines
    assert line.best == line.dots[1]
    assert line.dots[1][1] < line.dots[2][1] < line.dots[0][1], "better is up"
    assert line.dots[1][0] == pytest.approx((line.dots[0][0] + line.dots[2][0]) / 2)
    tied = dataclasses.replace(row.seeds[0], interpolation=(Share(0.4, 0.8, 0.3), Share(0.6, 0.8, 0.2)))
    chart = interpolation_curves(dataclasses.replace(row, seeds=(tied,)), "accuracy")
    assert chart.lines[0].best == chart.lines[0].dots[1], "of equals the one with the lower loss was kept"
    whole = report_example.comparison()
    assert "share of the tuned weights" in page(dataclasses.replace(whole, rows=(*whole.rows, row)))
    assert interpolation_curves(report_example.comparison().row("lora"), "accuracy") is None


def test_curves():
    row = report_example.comparison().row("lora")
    values, losses = validation_curves(row, "accuracy"), loss_curves(row)
    assert values is not None
    assert losses is not None
    assert [words for _, words in values.legend] == ["seed 1", "seed 2", "seed 3"]
    assert all(line.best for line in values.lines)
    assert len(losses.lines) == 6
    diverged = loss_curves(report_example.comparison().row("full_sgd"))
    assert diverged is not None
    assert len(diverged.lines[0].dots) == 3  # the point without a reading is left out
    assert validation_curves(report_example.comparison().row("prompt"), "accuracy") is None


def test_plots_are_deterministic_svg():
    first, again = (learning_rate_curve([1e-6, 1e-4, 1e-2, 1.0], [2.0, 1.4, 1.0, math.inf], 1e-3) for _ in range(2))
    assert first.startswith("<?xml")
    assert first == again
    assert "dc:date" not in first
    assert "suggested 1e-3" in learning_rate_curve([1e-4, 1e-2], [1.0, 0.9], 1e-3)
    assert "suggested" not in learning_rate_curve([1e-4, 1e-2], [1.0, 0.9], None)
    with pytest.raises(ValueError, match="2 learning rates"):
        learning_rate_curve([1, 2], [1], None)


def test_a_learning_curve_shows_its_law_and_its_goal():
    """Counts are written out, the law goes on to ten times the examples, and the goal has its line."""
    from headstart.core.records.curve import Law, LearningCurve, Reach, Reading

    readings = tuple(
        Reading("full", size, 2 * size, "ok", 1 - 0.1 - 2 * (2 * size) ** -0.5, 0.5, 0.95, 3)
        for size in (50, 200, 1000)
    )
    law = Law("full", 0.1, 0.05, 0.15, 2.0, 0.5, (), (Reach(0.88, 10_000, 5_000, None),))
    found = LearningCurve(
        "d.csv", "0", "m", "accuracy", True, (50, 200, 1000), readings, (law,), report_example.comparison().environment
    )
    text = learning_curve(found)
    assert ">1,000<" in text
    assert ">20,000<" in text, "ten times the most that was tried"
    assert "goal 88.0" in text
    assert "10^" not in text
    assert text == learning_curve(found)
    bare = learning_curve(dataclasses.replace(found, laws=()))
    assert ">20,000<" not in bare
    assert "goal" not in bare
