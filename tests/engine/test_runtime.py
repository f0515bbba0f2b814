"""The runtime: what the loop asks it for, so that several processes need no change of the loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from backbones.tiny import tiny
from contract.settings import FP32, method_of, setting_of, state_of
from headstart.engine.adapt import Setting, adapted
from headstart.engine.machine.seeding import set_seed
from headstart.engine.runtime import Runtime
from headstart.engine.state.checkpoint import Checkpoint


class Halves(Runtime):
    """Two processes in one: backward takes every second part of a step, and the sum brings the other half."""

    other: ClassVar[dict[int, Tensor]] = {}
    "of each tensor that is summed, by its identity"

    def backward(self, *given: Any) -> Tensor:
        job, micros, *rest = given
        loss = super().backward(job, micros[1::2], *rest)
        gradients = {name: p.grad for name, p in job.module.named_parameters() if p.grad is not None}
        job.module.zero_grad(set_to_none=True)
        found = super().backward(job, micros[::2], *rest)
        self.other.clear()
        self.other[id(found)] = loss
        self.other.update({id(job.module.get_parameter(name).grad): value for name, value in gradients.items()})
        return found

    def sum(self, tensors: Iterable[Tensor]) -> None:
        for tensor in tensors:
            tensor.add_(self.other.pop(id(tensor)))
        assert not self.other


def _trained(monkeypatch: pytest.MonkeyPatch, runtime: Runtime, **more: Any) -> tuple[dict[str, Tensor], Any]:
    backbone = tiny("bert")
    for module in backbone.module.modules():  # a half's dropout masks are not those of the whole
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    setting = setting_of(backbone, batch_tokens=40)
    with monkeypatch.context() as patch:
        patch.setattr(Setting, "runtime", runtime)
        with adapted(setting, method_of("full", learning_rate=1e-3), 0, **more) as done:
            return state_of(done.model), done.trace


def test_a_steps_parts_can_be_dealt_to_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loss, clipping and weights are those of one process: the sums are asked for before the gradient is clipped."""
    state, trace = _trained(monkeypatch, Runtime(FP32))
    dealt, theirs = _trained(monkeypatch, Halves(FP32))
    assert theirs.losses == pytest.approx(trace.losses, rel=1e-4)
    for name, value in state.items():
        torch.testing.assert_close(dealt[name], value, rtol=1e-3, atol=1e-5)


class Shown:
    def __init__(self) -> None:
        self.calls = 0

    def stage(self, name: str, total: int | None = None) -> None: ...

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.calls += 1

    def say(self, message: str) -> None: ...


@pytest.mark.parametrize("rank", [0, 1])
def test_one_process_writes_and_shows(rank: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    progress, path = Shown(), tmp_path / "checkpoint.safetensors"
    runtime = dataclasses.replace(Runtime(FP32), rank=rank)
    _trained(monkeypatch, runtime, checkpoint=Checkpoint(path, every=0.0), progress=progress)
    assert bool(list(tmp_path.iterdir())) == bool(progress.calls) == (rank == 0)


def test_a_seed_is_torchs_without_a_look_at_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(7)
    wanted, seen = torch.rand(3), []
    with monkeypatch.context() as patch:
        patch.setattr("traceback.format_stack", lambda *_: pytest.fail("for each kind of GPU, at each step"))
        set_seed(torch.device("cpu"), 7)
    assert torch.equal(torch.rand(3), wanted)
    monkeypatch.setattr(torch, "manual_seed", seen.append)
    set_seed(torch.device("meta"), 8)
    assert seen == [8], "other devices have generators of their own"
