"""Devices: what one lacks is done elsewhere, and what one computes its own way stands in the record."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from backbones.tiny import tiny
from contract.settings import FP32, method_of, setting_of, task_of
from headstart.engine import adaptation
from headstart.engine.adapt import adapted
from headstart.engine.machine import meter
from headstart.engine.machine.precision import surroundings
from headstart.methods import convex
from headstart.methods.solver import exact


def test_heads_are_solved_where_there_is_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for a device that has none: tensors that refuse `double` until they are moved."""
    assert exact(torch.device("mps")) == torch.device("cpu")
    assert exact(torch.device("cuda:1")) == torch.device("cuda:1")
    moved: list[torch.device] = []
    monkeypatch.setattr(convex, "exact", lambda device: moved.append(device) or torch.device("cpu"))
    x, y = torch.randn(12, 4), torch.arange(12) % 3
    task = task_of(tiny("mlp"))
    convex.solve(x, y, task, 1.0, nn.Linear(4, 3))
    assert moved == [x.device]
    monkeypatch.setattr(adaptation, "exact", lambda device: moved.append(device) or torch.device("cpu"))
    for name in ("centroid", "mahalanobis", "knn", "majority"):
        with adapted(setting_of(tiny("mlp")), method_of(name), 0):
            pass
    assert len(moved) == 5


def test_the_record_says_what_a_device_computes_its_own_way() -> None:
    found = surroundings(FP32)
    assert found.device == "cpu"
    assert any("dropout" in line for line in found.numerics)
    assert any("embedding table" in line for line in found.numerics)
    assert found.accelerator == found.cuda == ""


def test_memory_is_not_measured_where_the_unix_module_resource_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has none, and reads no /proc: the engine is imported all the same."""

    def missing(*_: object) -> None:
        raise FileNotFoundError

    assert not hasattr(meter, "resource")
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.setattr(meter, "Path", missing)
    with meter.meter(torch.device("cpu")) as reading:
        pass
    assert reading.peak_memory_bytes is None
