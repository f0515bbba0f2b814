"""How often gates, claims and intervals are wrong, and what they find: benchmarks/results/gates-simulated.json.

    python benchmarks/gates_simulated.py [--repeats 2000]

Examples differ in difficulty (normal on the logit scale, standard deviation 2), about 87 % are answered right; seeds
have luck (a standard deviation of about 0.8 points of accuracy where it says so); examples of one cluster are alike in
difficulty. Differences are exact in the population: the shift of logits that costs so many points is solved for.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from headstart.judging.gate import Gate, checked
from headstart.stats.before_after import change_of, joined
from headstart.stats.intervals import interval
from headstart.stats.metrics import metric
from headstart.stats.non_inferiority import claims
from headstart.stats.paired import Paired, compare
from headstart.stats.predictions import Predictions

SIZES = (100, 300, 1000, 3000)
SPREAD = 0.1
"of seeds, in logits"
MEAN, DIFFICULTY = 3.0, 2.0
MARGIN = 0.01
ACCURACY = metric("single_label")
ECE = metric("single_label", "ece")
CHANGE = change_of(ACCURACY, "single_label")


@cache
def population() -> np.ndarray:
    return np.random.default_rng(5).standard_normal((2, 400_000))


@cache
def accuracy(mean: float, spread: float = 0.0) -> float:
    difficulty, luck = population()
    return float(expit(mean + DIFFICULTY * difficulty + spread * luck).mean())


@cache
def mean_of(points: float, spread: float = 0.0) -> float:
    """The mean logit at which accuracy is so many points above that of `MEAN`."""
    wanted = accuracy(MEAN, spread) + points / 100
    return float(brentq(lambda mean: accuracy(mean, spread) - wanted, -5, 15, xtol=1e-4))


def difficulties(rng: np.random.Generator, n: int, size: int = 1) -> tuple[np.ndarray, np.ndarray | None]:
    """Difficulty of n examples, and their clusters of that size."""
    clusters = np.arange(n) // size
    drawn = DIFFICULTY * rng.standard_normal(clusters[-1] + 1)[clusters]
    return drawn, clusters if size > 1 else None


def runs(
    rng: np.random.Generator, difficulty: np.ndarray, clusters: np.ndarray | None, points: float, seeds: int,
    spread: float,
) -> list[Predictions]:  # fmt: skip
    """Answers of a method whose accuracy is so many points above 87 %, one a seed."""
    n = len(difficulty)
    luck = spread * rng.standard_normal((seeds, 1))
    right = rng.random((seeds, n)) < expit(mean_of(points, spread) + difficulty + luck)
    targets = np.zeros(n, dtype=np.int64)
    eye = np.eye(2, dtype=np.float32)
    return [Predictions(np.arange(n), targets, eye[np.where(row, 0, 1)], clusters) for row in right]


def pair(rng: np.random.Generator, n: int, points: float, seeds: int, spread: float, cluster: int = 1) -> Paired:
    """A method against one that is so many points better (or worse, below 0)."""
    difficulty, clusters = difficulties(rng, n, cluster)
    a, b = (runs(rng, difficulty, clusters, value, seeds, spread) for value in (points, 0.0))
    return compare(a, b, ACCURACY, permutations=1, draws=300, seed=int(rng.integers(1 << 30)))


def share(repeats: int, happens: Callable[[np.random.Generator], bool]) -> float:
    return float(np.mean([happens(np.random.default_rng(i)) for i in range(repeats)]))


def within_margin(n: int, points: float, seeds: int, spread: float, candidates: int, repeats: int) -> float:
    """How often any of so many methods, each so many points worse, is shown to lie within one point of the best."""

    def claimed(rng: np.random.Generator) -> bool:
        difficulty, _ = difficulties(rng, n)
        best = runs(rng, difficulty, None, 0.0, seeds, spread)
        found = [
            compare(runs(rng, difficulty, None, points, seeds, spread), best, ACCURACY, permutations=1, draws=200)
            for _ in range(candidates)
        ]
        return any(one.shown for one in claims(found, MARGIN))

    return share(repeats, claimed)


def gate(
    n: int, points: float, tolerance: float | None, seeds: int, spread: float, repeats: int, verdict: str = "passed",
    cluster: int = 1,
) -> float:  # fmt: skip
    """How often a guard (or, without a tolerance, a gate for gains) comes to this verdict on a model so much better."""
    asked: Gate = "improved" if tolerance is None else "not_regressed"

    def came(rng: np.random.Generator) -> bool:
        difficulty, clusters = difficulties(rng, n, cluster)
        base = {"r": runs(rng, difficulty, clusters, 0.0, 1, 0.0)}
        tuned = {"r": runs(rng, difficulty, clusters, points, seeds, spread)}
        (found,) = checked({"r": (ACCURACY, asked, tolerance or 0.0)}, base, tuned)
        return found.verdict == verdict

    return share(repeats, came)


def covered(what: str, n: int, repeats: int) -> float:
    """How often the 95 % interval holds the truth."""
    return share(repeats, COVERAGE[what](n))


def _accuracy(n: int) -> Callable[[np.random.Generator], bool]:
    def held(rng: np.random.Generator) -> bool:
        difficulty, _ = difficulties(rng, n)
        _, low, high = interval(runs(rng, difficulty, None, 0.0, 3, SPREAD), ACCURACY, draws=400)
        return low <= accuracy(MEAN, SPREAD) <= high

    return held


def _difference(cluster: int, seeds: int, spread: float) -> Callable[[int], Callable[[np.random.Generator], bool]]:
    def of(n: int) -> Callable[[np.random.Generator], bool]:
        def held(rng: np.random.Generator) -> bool:
            found = pair(rng, n, -3.0, seeds, spread, cluster)
            return found.low <= -0.03 <= found.high

        return held

    return of


def _differences(n: int) -> Callable[[np.random.Generator], bool]:
    """Clean 87 to 90 %, changed 85 to 86: -2 points."""

    def held(rng: np.random.Generator) -> bool:
        difficulty, _ = difficulties(rng, n)
        base, tuned = (
            [joined(*(runs(rng, difficulty, None, points, 1, 0.0)[0] for points in both))]
            for both in ((0.0, -2.0), (3.0, -1.0))
        )
        found = compare(tuned, base, CHANGE, permutations=1, draws=400, seed=int(rng.integers(1 << 30)))
        return found.low <= -0.02 <= found.high

    return held


def _two_classes(rng: np.random.Generator, n: int, sharp: float) -> tuple[np.ndarray, np.ndarray]:
    """What a model says of class 1 whose logits are so many times too sharp, and the truth."""
    logit = 0.5 + 2 * rng.standard_normal(n)
    said = expit(sharp * logit)
    return np.stack([1 - said, said], 1), expit(logit)


@cache
def true_ece(sharp: float) -> float:
    said, truth = _two_classes(np.random.default_rng(9), 2_000_000, sharp)
    confidence, right = said.max(1), np.where(said[:, 1] > 0.5, truth, 1 - truth)
    place = np.minimum((confidence * 15).astype(int), 14)
    return float(np.abs(np.bincount(place, confidence - right, 15)).sum() / len(truth))


def _ece(sharp: float) -> Callable[[int], Callable[[np.random.Generator], bool]]:
    def of(n: int) -> Callable[[np.random.Generator], bool]:
        def held(rng: np.random.Generator) -> bool:
            said, truth = _two_classes(rng, n, sharp)
            targets = (rng.random(n) < truth).astype(np.int64)
            value, low, high = interval([Predictions(np.arange(n), targets, said)], ECE, draws=400)
            assert low <= value <= high
            return low <= true_ece(sharp) <= high

        return held

    return of


COVERAGE: dict[str, Callable[[int], Callable[[np.random.Generator], bool]]] = {
    "accuracy, 3 seeds that differ": _accuracy,
    "difference, 1 seed": _difference(1, 1, 0.0),
    "difference, 3 seeds that differ": _difference(1, 3, SPREAD),
    "difference, clusters of 5": _difference(5, 1, 0.0),
    "difference of differences": _differences,
    "ECE, calibrated": _ece(1.0),
    "ECE, too sure": _ece(1.5),
    "ECE, much too sure": _ece(3.0),
}
"what is covered, by name, to the number of examples to one simulated sample"


def cases(n: int, seeds: int, spread: float, repeats: int) -> dict[str, Callable[[], float]]:
    """Claims and gates on n examples: what is simulated, and how often it happens."""
    few = max(100, repeats // 4)
    return {
        "3 points worse, called within 1": lambda: within_margin(n, -3, seeds, spread, 1, repeats),
        "1 point worse, called within 1": lambda: within_margin(n, -1, seeds, spread, 1, repeats),
        "ten, each 3 points worse, any called within 1": lambda: within_margin(n, -3, seeds, spread, 10, few),
        "as good, called within 1": lambda: within_margin(n, 0, seeds, spread, 1, few),
        "2 points lost, tolerance 2: passed": lambda: gate(n, -2, 0.02, seeds, spread, repeats),
        "nothing lost, tolerance 2: passed": lambda: gate(n, 0, 0.02, seeds, spread, few),
        "8 points lost, tolerance 2: failed": lambda: gate(n, -8, 0.02, seeds, spread, few, "failed"),
        "nothing gained: passed as improved": lambda: gate(n, 0, None, seeds, spread, repeats),
        "5 points gained: passed as improved": lambda: gate(n, 5, None, seeds, spread, few),
    }


def rows(repeats: int) -> Iterator[dict[str, Any]]:
    """Every case: what is simulated, and the share of samples in which it happens."""
    for n in SIZES:
        for seeds, spread in ((1, 0.0), (3, SPREAD), (5, SPREAD)):
            for what, happens in cases(n, seeds, spread, repeats).items():
                yield {"n": n, "seeds": seeds, "spread": spread, "what": what, "share": happens()}
        clustered = gate(n, -2, 0.02, 1, 0.0, repeats, cluster=5)
        yield {"n": n, "what": "2 points lost, tolerance 2, clusters of 5: passed", "share": clustered}
        for what in COVERAGE:
            yield {"n": n, "what": f"coverage: {what}", "share": covered(what, n, repeats)}


def main() -> None:
    from headstart.core.disk.files import write_json
    from headstart.core.environment import environment

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2000)
    arguments = parser.parse_args()
    found = []
    for row in rows(arguments.repeats):
        print(row, flush=True)
        found.append(row)
    out = Path(__file__).parent / "results" / "gates-simulated.json"
    error = math.sqrt(0.05 * 0.95 / arguments.repeats)
    where = environment("cpu", "fp32").to_json()
    write_json(out, {
        "schema": "headstart.benchmark/1", "status": "ok", "repeats": arguments.repeats, "standard_error": error,
        "environment": where, "rows": found,
    })  # fmt: skip


if __name__ == "__main__":
    main()
