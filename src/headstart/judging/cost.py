"""Serving costs: latency by batch size and length, throughput, memory, energy, and money by the suite's prices."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.backbones.inputs.preparation import TextPreparation
from headstart.comparison.trials.latency import ROUNDS, latencies
from headstart.core.records.evaluation import Cost, External, Latency
from headstart.data.examples import Examples, Input
from headstart.engine.cache.frozen import forward_alone
from headstart.engine.decoding.asked import Prompts
from headstart.engine.machine.energy import energy
from headstart.engine.machine.meter import meter
from headstart.judging.system import System

EXAMPLES = 96
"number of test examples for measuring costs"
BATCHES = {1: 60, 8: 12, 32: 6}
"number of timed batches over all rounds, by batch size"
THROUGHPUT = 32
ALONE = "length key for single examples with their original lengths"


@dataclass(frozen=True)
class Interface:
    """An external model behind an API, paid by the token."""

    name: str
    input: float
    "price of a million input tokens"
    output: float
    "price of a million output tokens"
    prompt: int = 0
    "tokens of the instruction with each example"
    answer: int = 5
    "tokens of an answer"
    quality: float | None = None
    "its quality on the target check, if you have measured it"

    def external(self, tokens: float | None) -> External:
        """A copy with the price of a thousand examples of this many tokens."""
        taken = self.input * ((tokens or 0.0) + self.prompt) + self.output * self.answer
        return External(self.name, taken / 1e6 * 1000, self.quality)


@dataclass(frozen=True)
class Prices:
    """The suite's price table."""

    machine_hour: float | None = None
    "price per hour of the serving machine"
    currency: str = "$"


@dataclass(frozen=True)
class Measured:
    """Measurements of one round for a model."""

    latencies: dict[tuple[int, str], list[float]]
    "seconds of each batch by (batch size, length); single examples with original lengths under (1, ALONE)"
    examples: int
    seconds: float
    "seconds for all examples in batches of 32"
    peak_memory_bytes: int | None
    joules: float | None
    tokens: float | None


def measure(system: System, test: Examples) -> Measured:
    """Measures on the first test examples, with the weights as in a `Predictor`."""
    inputs, device = list(test.inputs(np.arange(min(len(test), EXAMPLES)))), system.compute.device
    with forward_alone(system.backbone.module, system.compute):
        for value in inputs[:5]:
            system.scores([value])
        with meter(device) as reading, energy(device) as spent:
            for at in range(0, len(inputs), THROUGHPUT):
                system.scores(inputs[at : at + THROUGHPUT])
        alone = -(-max(len(inputs), BATCHES[1]) // ROUNDS)
        times = {(1, ALONE): latencies(lambda i: system.scores([inputs[i % len(inputs)]]), alone, warmup=0)}
        times |= _latencies(system, inputs)
    return Measured(
        times, len(inputs), reading.seconds, reading.peak_memory_bytes, spent.joules, _tokens(system, inputs)
    )


def cost(rounds: Sequence[Measured], folder: Path | None, prices: Prices) -> Cost:
    """Summary of all rounds: latency quantiles, throughput of the median, and money by the price per hour."""
    first = rounds[0]
    times = {key: [second for one in rounds for second in one.latencies[key]] for key in first.latencies}
    alone = _quantiles(times.pop((1, ALONE)))
    rate = first.examples / statistics.median(one.seconds for one in rounds)
    money = None if prices.machine_hour is None else prices.machine_hour / 3600 * 1000 / rate
    joules = [one.joules for one in rounds if one.joules is not None]
    return Cost(
        *alone, rate, sum(file.stat().st_size for file in folder.iterdir()) if folder else None,
        tuple(Latency(size, length, *_quantiles(taken)) for (size, length), taken in times.items()),
        max((one.peak_memory_bytes or 0 for one in rounds), default=0) or None, first.tokens,
        statistics.median(joules) / first.examples if joules else None, money,
    )  # fmt: skip


def _latencies(system: System, inputs: Sequence[Input]) -> dict[tuple[int, str], list[float]]:
    if system.backbone.reads_images:
        groups = {"any": list(inputs)}
    else:
        order = sorted(inputs, key=lambda value: len(str(value)))
        groups = {"short": order[: len(order) // 2] or order, "long": order[len(order) // 2 :]}
    found = {}
    for length, group in groups.items():
        for size, repeats in BATCHES.items():
            if size <= len(group):
                each = -(-repeats // ROUNDS)
                starts = np.linspace(0, len(group) - size, each).astype(int)

                def run(i: int, group: list[Input] = group, starts: np.ndarray = starts, size: int = size) -> object:
                    return system.scores(group[starts[i] : starts[i] + size])

                found[size, length] = latencies(run, each, warmup=0)
    return found


def _quantiles(times: Sequence[float]) -> tuple[float, float, float]:
    """Quantiles of the latency in seconds: p50, p95, p99."""
    p50, p95, p99 = (float(x) for x in np.quantile(times, [0.5, 0.95, 0.99]))
    return p50, p95, p99


def _tokens(system: System, inputs: Sequence[Input]) -> float | None:
    preparation = system.backbone.preparation
    if not isinstance(preparation, TextPreparation):
        return None
    texts = [value for value in inputs if not isinstance(value, bytes)]
    lengths = np.array([len(one["input_ids"]) for one in preparation.encode(texts)])
    return float(np.mean(preparation.prompt_lengths(lengths) if isinstance(preparation, Prompts) else lengths))
