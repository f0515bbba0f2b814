"""Training of GloVe: AdaGrad over the entries of a co-occurrence matrix, in lock-free threads (Hogwild)."""

from __future__ import annotations

import hashlib
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from headstart.core.errors import ConfigurationError
from headstart.core.progress import Progress
from headstart.core.seeds import derive
from headstart.data.corpus.cooccurrence import Cooccurrence
from headstart.engine.state.checkpoint import Checkpoint


class Objective(Protocol):
    """Part of an objective that the training uses."""

    @property
    def dimension(self) -> int: ...

    @property
    def learning_rate(self) -> float: ...

    @property
    def epochs(self) -> int: ...

    @property
    def x_max(self) -> float: ...

    @property
    def alpha(self) -> float: ...


@dataclass
class Trained:
    """vectors: [V, D] w + w'. costs: mean cost per entry in each pass, computed before its step.

    status: `ok`, or `diverged: …` with the vectors of the last good pass.
    """

    vectors: np.ndarray
    costs: list[float] = field(default_factory=list)
    seconds: float = 0.0
    status: str = "ok"


def train(
    found: Cooccurrence, vocabulary: int, objective: Objective, threads: int, seed: int, told: str,
    checkpoint: Checkpoint, progress: Progress,
) -> Trained:  # fmt: skip
    """Trains on all entries for `epochs` passes, each with its blocks in another order.

    Each pass is saved, so that an interrupted training resumes there, with one thread to the same vectors. The last
    argument further identifies this training. Raises `ConfigurationError` if it diverges in the first pass.
    """
    from headstart.pretraining.jobs.glove_kernel import descend

    text = repr((objective, seed, vocabulary, len(found), told))
    signature = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    vectors, squares = _start(vocabulary, objective.dimension, seed)
    costs: list[float] = []
    seconds, status = 0.0, "ok"
    if saved := checkpoint.read(signature):
        states, facts = saved
        vectors, squares = (states["model"][name].numpy() for name in ("vectors", "squares"))
        costs, seconds = facts["costs"], facts["seconds"]
        progress.say(f"continues after pass {len(costs)} of {objective.epochs}")
    else:
        checkpoint.tell_others(signature, progress)
    progress.advance(len(costs) * len(found))
    learned = vectors
    numbers = np.float32(objective.learning_rate), np.float32(objective.x_max), np.float32(objective.alpha)
    with ThreadPoolExecutor(threads) as pool:
        while len(costs) < objective.epochs:
            start, cost, untrained = time.perf_counter(), 0.0, 0.0
            order = np.random.default_rng(derive(seed, "blocks", len(costs))).permutation(len(found.files))
            for block in order:
                entries = found.block(int(block))
                parts = np.array_split(entries, threads)
                untrained += 0.0 if costs else _untrained(entries["count"], objective)
                cost += sum(pool.map(lambda part: float(descend(part, vectors, squares, *numbers)), parts))
                progress.advance(len(entries), note=f"cost {costs[-1]:.4f}" if costs else "")
            cost /= len(found)
            if not math.isfinite(cost) or cost > (costs[0] if costs else untrained / len(found)):
                what = f"an entry's cost is {cost:g} in pass {len(costs) + 1}"
                if (saved := checkpoint.read(signature)) is None:
                    raise ConfigurationError(
                        f"the training diverges: {what}. A learning_rate of {objective.learning_rate:g} is too much; "
                        "0.05 is usual."
                    )
                learned, status = saved[0]["model"]["vectors"].numpy(), f"diverged: {what}"
                break
            costs.append(cost)
            seconds += time.perf_counter() - start
            state = {"vectors": torch.from_numpy(vectors), "squares": torch.from_numpy(squares)}
            checkpoint.write({"model": state}, {"signature": signature, "costs": costs, "seconds": seconds})
    both = learned[:, :-1].reshape(2, vocabulary, -1)
    return Trained(both[0] + both[1], costs, seconds, status)


def _untrained(counts: np.ndarray, objective: Objective) -> float:
    """Upper bound of the cost without learning: sum of `1/2 f(X) (log X)^2`, plus 1 for random vectors."""
    weights = np.minimum((counts / objective.x_max) ** objective.alpha, 1)
    return float((weights * np.log(counts) ** 2).sum(dtype=np.float64)) / 2 + len(counts)


def _start(vocabulary: int, dimension: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and biases uniform in ±0.5 / (D + 1), sums of squares 1. [2 V, D + 1] each."""
    rng = np.random.default_rng(derive(seed, "vectors"))
    vectors = (rng.random((2 * vocabulary, dimension + 1), dtype=np.float32) - 0.5) / (dimension + 1)
    return vectors, np.ones_like(vectors)
