"""Writes the pages and plots of docs/ that hold measured figures, from benchmarks/results: none is typed by hand.

python benchmarks/run.py report
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.pages.filled import filled
from benchmarks.pages.gates_drawing import drawing
from benchmarks.pages.history import history, plots
from benchmarks.pages.judging import curve_plots, curves, forgetting, gates, ranking, vectors
from benchmarks.pages.methods import methods
from benchmarks.pages.performance import performance
from benchmarks.pages.recorded import DOCS
from benchmarks.pages.results import results
from benchmarks.pages.speed import engine, few, gpu, leaderboard, mixed, races, rows, vision
from benchmarks.pages.targets import targets


def benchmarks() -> list[str]:
    return [
        "# Benchmarks", "",
        "Written by `benchmarks/run.py report` from `benchmarks/results`; each section names its file.", "",
        *targets(), *leaderboard(), *engine(), *vision(), *few(), *races(), *ranking(), *forgetting(), *gates(),
        *curves(), *mixed(), *rows(), *vectors(), *gpu(),
    ]  # fmt: skip


PAGES: dict[str, Callable[[], list[str]]] = {
    "benchmarks.md": benchmarks,
    "performance.md": performance,
    "results.md": results,
    "history.md": history,
    "methods.md": methods,
}


def texts() -> Iterator[tuple[str, str]]:
    """Each page's name and text."""
    for name, lines in PAGES.items():
        yield name, "\n".join(lines())
    yield from filled()


def main() -> None:
    for name, text in [*texts(), *curve_plots(), *plots(), ("gates.svg", drawing())]:
        (DOCS / name).write_text(text, encoding="utf-8")
        print(f"docs/{name}")
