"""Latencies are measured in turns, so that what drifts with time falls on all models alike."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headstart.comparison.bench import Bench
from headstart.comparison.trials.latency import ROUNDS, latencies
from headstart.core.records.comparison import Row


def test_a_machine_that_speeds_up_makes_no_method_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured one after another, the first method looked half as fast again as the last."""
    asked: list[str] = []

    def measured(model: Path, workshop: object, count: int) -> list[float]:
        asked.append(model.parent.name)
        return [1.0 / len(asked)] * count

    places = {("majority", 0): Path("a"), ("majority", 1): Path("a1"), ("full", 0): Path("b")}
    bench: Any = SimpleNamespace(places=places, workshop=None)
    monkeypatch.setattr("headstart.comparison.bench.latencies_of", measured)
    rows = [Row(name, "ok", "accuracy", latency_seconds=9.0) for name in ("majority", "full", "stopped")]
    found = Bench.in_turns(bench, rows)
    assert asked == ["a", "b"] * ROUNDS
    assert [row.latency_seconds for row in found] == pytest.approx([1 / 3, 1 / 4, 9.0])


def test_what_fails_keeps_what_was_measured_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> list[float]:
        raise RuntimeError("out of memory")

    bench: Any = SimpleNamespace(places={("full", 0): Path("b")}, workshop=None)
    monkeypatch.setattr("headstart.comparison.bench.latencies_of", failing)
    assert Bench.in_turns(bench, [Row("full", "ok", "accuracy", latency_seconds=9.0)])[0].latency_seconds == 9.0


def test_calls_before_the_count_are_not_counted() -> None:
    seen: list[int] = []
    assert len(latencies(seen.append, count=4, warmup=2)) == 4
    assert seen == [0, 1, 0, 1, 2, 3]
