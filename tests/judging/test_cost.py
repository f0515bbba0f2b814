"""Costs: arithmetic by hand, energy from counters that begin anew, latencies by batch and length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backbones.tiny import WORDS, tiny
from headstart.core.errors import ConfigurationError
from headstart.core.records.evaluation import Cost
from headstart.engine.machine import energy as energy_module
from headstart.engine.machine.energy import energy
from headstart.engine.machine.precision import compute
from headstart.judging import cost as costs
from headstart.judging.cost import Interface, Prices, measure
from headstart.judging.suite import read_suite
from headstart.judging.system import System
from headstart.tasks.task import Task


class Some:
    """Texts of two lengths."""

    def __init__(self, count: int) -> None:
        self.texts = [" ".join(WORDS[: 3 if i % 2 else 30]) for i in range(count)]

    def __len__(self) -> int:
        return len(self.texts)

    def inputs(self, places: np.ndarray) -> list[str]:
        return [self.texts[int(i)] for i in places]


def cost(served: System, test: Some, folder: Path | None, prices: Prices) -> Cost:
    return costs.cost([measure(served, test) for _ in range(costs.ROUNDS)], folder, prices)  # type: ignore[arg-type]


def system(precision: str = "fp32") -> System:
    backbone = tiny("bert")
    task = Task(kind="single_label", modality="text", labels=("a", "b"))
    return System(backbone, compute("cpu", precision), task, torch.nn.Linear(backbone.dimension, 2), "top")


def test_money_is_the_hours_price_at_the_throughput(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(bytes(1234))
    found = cost(system(), Some(64), tmp_path, Prices(machine_hour=3.6))  # type: ignore[arg-type]
    assert found.money == pytest.approx(1000 / found.examples_a_second * 3.6 / 3600)
    assert found.artifact_bytes == 1234
    lengths = [len(system().backbone.preparation.encode([text])[0]["input_ids"]) for text in Some(2).texts]
    assert found.tokens == pytest.approx(np.mean(lengths))
    at = {(one.length, one.batch): one for one in found.latencies}
    assert at.keys() == {(length, batch) for length in ("short", "long") for batch in (1, 8, 32)}
    assert all(one.p50_seconds <= one.p95_seconds <= one.p99_seconds for one in found.latencies)
    assert at["long", 32].p50_seconds > at["long", 1].p50_seconds
    assert cost(system(), Some(10), None, Prices()).money is None  # type: ignore[arg-type]


def test_what_is_timed_has_its_weights_rounded_as_a_predictor_has(monkeypatch: pytest.MonkeyPatch) -> None:
    served = system("bf16")
    layer = next(one for one in served.backbone.module.modules() if type(one) is torch.nn.Linear)
    seen, scores = list[torch.dtype](), System.scores

    def noting(self: System, inputs: list[str]) -> np.ndarray:
        seen.append(layer.weight.dtype)
        return scores(self, inputs)

    monkeypatch.setattr(System, "scores", noting)
    cost(served, Some(10), None, Prices())  # type: ignore[arg-type]
    assert set(seen) == {torch.bfloat16}
    assert layer.weight.dtype == torch.float32


def test_an_interface_is_paid_by_the_token() -> None:
    there = Interface("x", input=2.0, output=10.0, prompt=50, answer=4, quality=0.9)
    found = there.external(tokens=30.0)
    assert found.money == pytest.approx((80 * 2.0 + 4 * 10.0) / 1e6 * 1000)
    assert (found.name, found.quality) == ("x", 0.9)


def test_energy_is_what_the_counters_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy_module, "RAPL", tmp_path)
    with energy(torch.device("cpu")) as nothing:
        pass
    assert nothing.joules is None

    def counter(name: str, now: float, called: str = "package") -> None:
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "name").write_text(called)
        (tmp_path / name / "energy_uj").write_text(str(int(now * 1e6)))
        (tmp_path / name / "max_energy_range_uj").write_text(str(int(100e6)))

    counter("intel-rapl:0", 10.0)
    counter("intel-rapl:1", 95.0)
    counter("intel-rapl:0:0", 5.0)  # a part of package 0, counted with it
    counter("intel-rapl:2", 1.0, "psys")  # the whole board
    with energy(torch.device("cpu")) as still:
        pass
    assert still.joules is None
    with energy(torch.device("cpu")) as found:
        counter("intel-rapl:2", 30.0, "psys")
        counter("intel-rapl:0", 12.5)
        counter("intel-rapl:1", 3.0)  # begun anew at 100
        counter("intel-rapl:0:0", 7.0)
    assert found.joules == pytest.approx(2.5 + 8.0)


def test_the_suites_prices(tmp_path: Path) -> None:
    file = tmp_path / "suite.toml"
    head = '[[check]]\nkind = "target"\n'
    file.write_text(
        head + '[prices]\nmachine_hour = 2\ncurrency = "EUR"\n[[external]]\nname = "x"\ninput = 1\noutput = 2\n'
    )
    found = read_suite(file)
    assert found.prices == Prices(2.0, "EUR")
    assert found.externals == (Interface("x", 1.0, 2.0),)
    for text, words in (
        ("[prices]\nmachine_hours = 2\n", "Did you mean 'machine_hour'"),
        ("[prices]\nmachine_hour = -2\n", "has to be 0 or more"),
        ('[[external]]\nname = "x"\ninput = 1\n', "has no output"),
        ('[external]\nname = "x"\n', "each external one"),
        ("[price]\n", "Did you mean 'prices'"),
    ):
        file.write_text(head + text)
        with pytest.raises(ConfigurationError, match=words):
            read_suite(file)
