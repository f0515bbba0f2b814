"""What serving costs: latency by batch size and length, throughput, memory, energy, and money by the suite's prices."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.backbones.preparation import TextPreparation
from headstart.core.evaluation import Cost, External, Latency
from headstart.data.examples import Examples, Input
from headstart.engine.energy import energy
from headstart.engine.frozen import forward_alone
from headstart.engine.meter import meter
from headstart.evaluate.system import System

EXAMPLES = 96
"of the test split, by which costs are measured"
BATCHES = {1: 60, 8: 12, 32: 6}
"batch size to how often a batch is timed"
THROUGHPUT = 32


@dataclass(frozen=True)
class Interface:
    """A model behind an interface of others', which is paid by the token."""

    name: str
    input: float
    "price of a million tokens in"
    output: float
    "price of a million tokens out"
    prompt: int = 0
    "tokens of the instruction that goes with each example"
    answer: int = 5
    "tokens of an answer"
    quality: float | None = None
    "what it reaches on the target check, where you have measured it"

    def external(self, tokens: float | None) -> External:
        """With what a thousand examples of so many tokens cost there."""
        taken = self.input * ((tokens or 0.0) + self.prompt) + self.output * self.answer
        return External(self.name, taken / 1e6 * 1000, self.quality)


@dataclass(frozen=True)
class Prices:
    """The suite's price table."""

    machine_hour: float | None = None
    "of the machine that serves"
    currency: str = "$"


def cost(system: System, test: Examples, folder: Path | None, prices: Prices) -> Cost:
    """Measured on the first examples of the test split, with the weights as a `Predictor` holds them."""
    inputs, device = list(test.inputs(np.arange(min(len(test), EXAMPLES)))), system.compute.device
    with forward_alone(system.backbone.module, system.compute):
        for value in inputs[:5]:
            system.scores([value])
        with meter(device) as reading, energy(device) as spent:
            for at in range(0, len(inputs), THROUGHPUT):
                system.scores(inputs[at : at + THROUGHPUT])
        alone = _quantiles(lambda i: system.scores([inputs[i % len(inputs)]]), max(len(inputs), BATCHES[1]))
        latencies = tuple(_latencies(system, inputs))
    rate = len(inputs) / reading.seconds
    money = None if prices.machine_hour is None else prices.machine_hour / 3600 * 1000 / rate
    return Cost(
        *alone, rate, sum(file.stat().st_size for file in folder.iterdir()) if folder else None,
        latencies, reading.peak_memory_bytes, _tokens(system, inputs),
        None if spent.joules is None else spent.joules / len(inputs), money,
    )  # fmt: skip


def _latencies(system: System, inputs: Sequence[Input]) -> list[Latency]:
    if system.backbone.modality == "image":
        groups = {"any": list(inputs)}
    else:
        order = sorted(inputs, key=lambda value: len(str(value)))
        groups = {"short": order[: len(order) // 2] or order, "long": order[len(order) // 2 :]}
    found = []
    for length, group in groups.items():
        for size, repeats in BATCHES.items():
            if size <= len(group):
                starts = np.linspace(0, len(group) - size, repeats).astype(int)

                def run(i: int, group: list[Input] = group, starts: np.ndarray = starts, size: int = size) -> object:
                    return system.scores(group[starts[i] : starts[i] + size])

                found.append(Latency(size, length, *_quantiles(run, repeats)))
    return found


def _quantiles(run: Callable[[int], object], repeats: int) -> tuple[float, float, float]:
    """Seconds of a call: p50, p95, p99."""
    times = []
    for i in range(repeats):
        start = time.perf_counter()
        run(i)
        times.append(time.perf_counter() - start)
    p50, p95, p99 = (float(x) for x in np.quantile(times, [0.5, 0.95, 0.99]))
    return p50, p95, p99


def _tokens(system: System, inputs: Sequence[Input]) -> float | None:
    preparation = system.backbone.preparation
    if not isinstance(preparation, TextPreparation):
        return None
    texts = [value for value in inputs if not isinstance(value, bytes)]
    return float(np.mean([len(one["input_ids"]) for one in preparation.encode(texts)]))
