"""How often gates, claims and intervals are wrong, and what they find.

Examples differ in difficulty (normal on the logit scale, standard deviation 2), about 87 % are answered right; seeds
have luck (a standard deviation of about 0.8 points of accuracy where it says so); examples of one cluster are alike in
difficulty. Differences are exact in the population: the shift of logits that costs so many points is solved for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from multiprocessing import Pool
from typing import Annotated, Any

import numpy as np
from benchmarks.lib.results import Results, machine, read
from scipy.optimize import brentq
from scipy.special import expit

from headstart.judging.gate import Gate, checked
from headstart.stats.before_after import change_of, joined
from headstart.stats.intervals import interval
from headstart.stats.metrics import metric
from headstart.stats.non_inferiority import claims
from headstart.stats.paired import compare
from headstart.stats.predictions import Predictions
from headstart.stats.probability_scores import BINS

RESULTS = ("gates-simulated",)
QUICK = {"repeats": 8, "coverage_repeats": 8, "sizes": [100]}
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
    return share(repeats, lambda rng: COVERAGE[what](rng, n))


Held = Callable[[np.random.Generator, int], bool]


def resampling(rng: np.random.Generator, draws: int = 2000) -> dict[str, int]:
    """As many draws as a comparison makes, others for each sample: with one set for all its luck would be in all."""
    return {"draws": draws, "seed": int(rng.integers(1 << 30))}


def _accuracy(seeds: int, spread: float, cluster: int = 1) -> Held:
    def held(rng: np.random.Generator, n: int) -> bool:
        difficulty, clusters = difficulties(rng, n, cluster)
        found = runs(rng, difficulty, clusters, 0.0, seeds, spread)
        _, low, high = interval(found, ACCURACY, **resampling(rng))
        return low <= accuracy(MEAN, spread) <= high

    return held


def _difference(seeds: int, spread: float, cluster: int = 1) -> Held:
    def held(rng: np.random.Generator, n: int) -> bool:
        difficulty, clusters = difficulties(rng, n, cluster)
        a, b = (runs(rng, difficulty, clusters, points, seeds, spread) for points in (-3.0, 0.0))
        found = compare(a, b, ACCURACY, permutations=1, **resampling(rng))
        return found.low <= -0.03 <= found.high

    return held


def _differences(rng: np.random.Generator, n: int) -> bool:
    """Clean 87 to 90 %, changed 85 to 86: -2 points."""
    difficulty, _ = difficulties(rng, n)
    base, tuned = (
        [joined(*(runs(rng, difficulty, None, points, 1, 0.0)[0] for points in both))]
        for both in ((0.0, -2.0), (3.0, -1.0))
    )
    found = compare(tuned, base, CHANGE, permutations=1, **resampling(rng))
    return found.low <= -0.02 <= found.high


def _logits(rng: np.random.Generator, n: int) -> np.ndarray:
    return 0.5 + 2 * rng.standard_normal(n)


def _said(logit: np.ndarray, sharp: float) -> np.ndarray:
    """What a model says of two classes whose logits are so many times too sharp."""
    said = expit(sharp * logit)
    return np.stack([1 - said, said], 1).astype(np.float32)


@cache
def true_ece(sharp: float) -> float:
    """Of 2 million examples, by the probability of a right answer, in the bins that the metric takes."""
    logit = _logits(np.random.default_rng(9), 2_000_000)
    said = _said(logit, sharp)
    confidence, right = said.max(1).astype(np.float64), expit(np.where(said[:, 1] > said[:, 0], logit, -logit))
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return 0.0 if sharp == 1 else float(np.abs(np.bincount(place, confidence - right, BINS)).sum() / len(logit))


def _answers(rng: np.random.Generator, n: int, *sharp: float) -> list[Predictions]:
    """The same questions put to models that are so much too sure of one logit."""
    logit = _logits(rng, n)
    targets = (rng.random(n) < expit(logit)).astype(np.int64)
    return [Predictions(np.arange(n), targets, _said(logit, one)) for one in sharp]


def _ece(sharp: float) -> Held:
    def held(rng: np.random.Generator, n: int) -> bool:
        value, low, high = interval(_answers(rng, n, sharp), ECE, **resampling(rng, 1000))
        assert low <= value <= high
        return low <= true_ece(sharp) <= high

    return held


def _ece_difference(a: float, b: float) -> Held:
    def held(rng: np.random.Generator, n: int) -> bool:
        one, other = _answers(rng, n, a, b)
        found = compare([one], [other], ECE, permutations=1, **resampling(rng, 1000))
        return found.low <= true_ece(a) - true_ece(b) <= found.high

    return held


COVERAGE: dict[str, Held] = {
    "accuracy, 1 seed": _accuracy(1, 0.0),
    "accuracy, 3 seeds alike": _accuracy(3, 0.0),
    "accuracy, 3 seeds that differ": _accuracy(3, SPREAD),
    "accuracy, clusters of 5": _accuracy(1, 0.0, 5),
    "difference, 1 seed": _difference(1, 0.0),
    "difference, 3 seeds alike": _difference(3, 0.0),
    "difference, 3 seeds that differ": _difference(3, SPREAD),
    "difference, clusters of 5": _difference(1, 0.0, 5),
    "difference of differences": _differences,
    "ECE, calibrated": _ece(1.0),
    "ECE, too unsure": _ece(0.6),
    "ECE, too sure": _ece(1.5),
    "ECE, much too sure": _ece(3.0),
    "difference of ECE, too sure and much too sure": _ece_difference(1.5, 3.0),
    "difference of ECE, too sure and calibrated": _ece_difference(1.5, 1.0),
}
"what is covered: whether the interval of one simulated sample of n examples holds the truth"


def cases(n: int, seeds: int, spread: float, repeats: int) -> dict[str, Callable[[], float]]:
    """Claims and gates on n examples: what is simulated, and how often it happens."""
    few = min(repeats, max(100, repeats // 4))
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


def claims_and_gates(repeats: int, sizes: Iterable[int]) -> Iterator[dict[str, Any]]:
    """Every case: what is simulated, and the share of samples in which it happens."""
    for n in sizes:
        for seeds, spread in ((1, 0.0), (3, SPREAD), (5, SPREAD)):
            for what, happens in cases(n, seeds, spread, repeats).items():
                yield {"n": n, "seeds": seeds, "spread": spread, "what": what, "share": happens()}
        clustered = gate(n, -2, 0.02, 1, 0.0, repeats, cluster=5)
        yield {"n": n, "what": "2 points lost, tolerance 2, clusters of 5: passed", "share": clustered}


def covering(job: tuple[str, int, int]) -> dict[str, Any]:
    what, n, repeats = job
    found = covered(what, n, repeats)
    error = math.sqrt(0.05 * 0.95 / repeats)
    return {"n": n, "what": f"coverage: {what}", "share": found, "repeats": repeats, "standard_error": error}


def measure(
    repeats: Annotated[int, "samples of each claim and gate"] = 2000,
    coverage_repeats: Annotated[int, "samples of each interval"] = 2000,
    coverage: Annotated[bool, "intervals alone; claims and gates stay what they were"] = False,
    sizes: Annotated[tuple[int, ...], "numbers of test examples"] = tuple(SIZES),
    processes: int = 1,
) -> Results:
    where = machine("fp32")
    record = read("gates-simulated") if coverage else None
    if record:
        record["rows"] = [row for row in record["rows"] if not row["what"].startswith("coverage")]
    else:
        error = math.sqrt(0.05 * 0.95 / repeats)
        record = {
            "schema": "headstart.benchmark/1", "status": "ok", "repeats": repeats, "standard_error": error,
            "environment": where, "rows": list(claims_and_gates(repeats, sizes)),
        }  # fmt: skip
    jobs = [
        (what, n, max(1, coverage_repeats // (4 if what.startswith("difference of ECE") else 1)))
        for n in sizes
        for what in COVERAGE
    ]
    with Pool(processes) as pool:
        for row in pool.imap(covering, jobs):
            print(row, flush=True)
            record["rows"].append(row)
            yield "gates-simulated", record | {"coverage_environment": where}
