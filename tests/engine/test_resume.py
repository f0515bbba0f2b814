"""A training that was interrupted ends with the same bits as one that was not."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from backbones.tiny import tiny
from contract.settings import method_of, setting_of, state_of
from headstart.backbones import snapshot
from headstart.backbones.snapshot import Snapshot
from headstart.core.errors import ArtifactError, ResourceError
from headstart.engine import fit as loop
from headstart.engine.adapt import Adapted, adapted
from headstart.engine.budget import Budget
from headstart.engine.feed.augment import Augment
from headstart.engine.runtime import Runtime
from headstart.engine.state.checkpoint import Checkpoint
from headstart.engine.trace import Trace
from headstart.methods import convex
from headstart.methods.method import Method

STEPS_AN_EPOCH, EPOCHS = 3, 3


def _setting(family: str, **options: Any) -> Any:
    """Everything new, as a second process has it: backbone, feeds, an empty cache."""
    return setting_of(tiny(family), epochs=EPOCHS, **options)


def _trained(family: str, method: Method, checkpoint: Checkpoint | None = None, **options: Any) -> tuple[Any, Trace]:
    with adapted(_setting(family, **options), method, 0, checkpoint=checkpoint) as done:
        return _observed(done), done.trace


def _observed(done: Adapted) -> dict[str, Tensor]:
    return state_of(done.model)


def _interrupted(
    family: str, method: Method, path: Path, after: int, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> Trace:
    """Trains `after` steps as if the process ended there."""
    plain = loop.fit

    def short(job: Any, budget: Budget, runtime: Runtime, **more: Any) -> Trace:
        return plain(job, dataclasses.replace(budget, steps=after), runtime, **more)

    with monkeypatch.context() as patch:
        patch.setattr("headstart.engine.adapt.fit", short)
        with adapted(_setting(family, **options), method, 0, checkpoint=Checkpoint(path, every=0)) as done:
            return done.trace


CASES = [
    ("bert", "full", {}, {}),
    ("bert", "lora", {"dropout": 0.3}, {}),
    ("bert", "unfreeze", {"stages": 3}, {}),
    ("bert", "freeze", {"rungs": 2}, {"batch_tokens": 40}),
    ("gpt2", "freeze", {"rungs": 2}, {}),
    ("timm_resnet", "freeze", {"rungs": 2}, {}),
    ("timm_resnet", "lpft", {}, {"augment": Augment("light")}),
    ("plain", "ulmfit", {}, {"augment": Augment("mixup")}),
    ("bert", "scratch", {}, {"augment": Augment(word_dropout=0.3)}),
]


def _points() -> list[Any]:
    """Each case with each step to stop after; by default the first case has all, the others one in turn."""
    chosen = {(number, (2, 3, 7)[number % 3]) for number in range(len(CASES))} | {(0, after) for after in (2, 3, 7)}
    return [
        pytest.param(*case, after, marks=[] if (number, after) in chosen else pytest.mark.slow)
        for number, case in enumerate(CASES)
        for after in (2, 3, 7)
    ]


@pytest.mark.parametrize(("family", "name", "settings", "options", "after"), _points())
def test_interrupted_equals_uninterrupted(
    family: str, name: str, settings: dict[str, Any], options: dict[str, Any], after: int, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Inside the first epoch, at its end, and inside the last one."""
    method = method_of(name, **settings)
    expected, whole = _trained(family, method, **options)
    path = tmp_path / "checkpoint.safetensors"
    stopped = _interrupted(family, method, path, after, monkeypatch, **options)
    assert stopped.steps == after
    assert Checkpoint(path).size
    (kept,) = path.parent.glob("checkpoint*")
    with safe_open(kept, "pt") as opened:  # a header may hold 100 MB: what grows with the steps is no part of it
        told = json.loads(opened.metadata()["facts"])["trace"]
        assert {name for name, value in told.items() if isinstance(value, list)} <= {"curve", "interpolation", "notes"}
        assert opened.get_tensor("trace/losses").tolist() == whole.losses[:after]
    seen: list[int] = []
    found, trace = _trained(family, method, _Watched(path, seen), **options)
    assert seen == [after], "the second run did not begin where the first one stopped"
    assert trace.earlier > 0, "what came before the interruption is part of the cost"
    assert trace.steps == whole.steps == STEPS_AN_EPOCH * EPOCHS
    assert trace.losses == whole.losses
    assert trace.best_epoch == whole.best_epoch
    assert [p.validation_loss for p in trace.curve] == [p.validation_loss for p in whole.curve]
    assert [p.train_loss for p in trace.curve] == [p.train_loss for p in whole.curve]
    different = [n for n in expected if not torch.equal(found[n], expected[n])]
    assert not different


class _Watched(Checkpoint):
    def __init__(self, path: Path, seen: list[int]) -> None:
        super().__init__(path, every=1e9)
        self.seen = seen

    def read(self, signature: str) -> Any:
        found = super().read(signature)
        if found:
            self.seen.append(found[1]["step"])
        return found


def test_a_run_that_had_stopped_early_does_not_go_on(tmp_path: Path) -> None:
    """Ended by patience, killed before its result was written, started again: no further epoch."""
    setting = setting_of(tiny("mlp"), epochs=20, patience=2, score=lambda scores, targets: (0.5, 0.5))
    constant = method_of("full", learning_rate=1.0, schedule="constant")  # the loss rises: epoch 1 or 2 stays the best
    path = tmp_path / "checkpoint.safetensors"
    with adapted(setting, constant, 0, checkpoint=Checkpoint(path, every=0)) as done:
        first, expected = done.trace.steps, state_of(done.model)
    assert first < 20 * STEPS_AN_EPOCH
    with adapted(setting, constant, 0, checkpoint=Checkpoint(path, every=0)) as done:
        assert done.trace.steps == first
        found = state_of(done.model)
    assert all(torch.equal(found[n], expected[n]) for n in expected)


@pytest.mark.parametrize(
    "change", [{"weight_decay": 0.5}, {"learning_rate": 2e-2}, {"schedule": "cosine"}, {"alpha": 3.0}, {"dropout": 0.1}]
)
def test_another_jobs_checkpoint_is_not_taken_up(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    setting = setting_of(tiny("mlp"))
    with adapted(setting, method_of("lora"), 0, checkpoint=Checkpoint(path, every=0)):
        pass
    same, other = method_of("lora"), method_of("lora", **change)
    for method, seed, begins in ((same, 0, 6), (other, 0, 0), (same, 1, 0)):
        progress = _Counted()
        with adapted(setting, method, seed, checkpoint=Checkpoint(path, every=1e9), progress=progress):
            assert progress.first == begins


class _Counted:
    first: int | None = None

    def stage(self, name: str, total: int | None = None) -> None: ...

    def advance(self, steps: int = 1, note: str = "") -> None:
        if self.first is None:
            self.first = steps

    def say(self, message: str) -> None: ...


def test_a_write_that_fails_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors", every=0)
    path = checkpoint.file("s")
    checkpoint.write({"model": {"w": torch.ones(3)}}, {"signature": "s", "step": 1})
    before = path.read_bytes()

    def full(source: Any, target: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(ResourceError, match="No space left on device"):
            checkpoint.write({"model": {"w": torch.zeros(3)}}, {"signature": "s", "step": 2})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name], "a half-written file was left behind"

    def killed(*args: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("headstart.engine.state.streaming.bytes_of", killed)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.write({"model": {"w": torch.zeros(3)}}, {"signature": "s", "step": 2})
    states, facts = checkpoint.read("s")
    assert facts["step"] == 1
    assert torch.equal(states["model"]["w"], torch.ones(3))


@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_checkpoints_are_safetensors_files(limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the library writes them: read by it, with every type that a model has, also where the best are in a file."""
    monkeypatch.setattr(snapshot, "MEMORY_BYTES", limit)
    monkeypatch.setattr(snapshot, "PIECE_BYTES", 5)
    kinds = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
             torch.int8, torch.uint8, torch.bool)  # fmt: skip
    model = {str(kind): (torch.arange(6).reshape(2, 3) % 2).to(kind) for kind in kinds}
    model |= {"none": torch.empty(0, 3), "one": torch.tensor(3), "turned": torch.arange(12.0).reshape(3, 4).T}
    checkpoint = Checkpoint(tmp_path / "c.safetensors")
    checkpoint.write({"model": model, "best": Snapshot(model)}, {"signature": "s", "step": 3})
    found = load_file(checkpoint.file("s"))
    assert set(found) == {f"{state}/{name}" for state in ("model", "best") for name in model}
    for key, value in found.items():
        expected = model[key.partition("/")[2]]
        assert torch.equal(value, expected), key
        assert value.dtype == expected.dtype
        assert value.data_ptr() % max(1, value.element_size()) == 0
    assert checkpoint.read("s")[1] == {"signature": "s", "step": 3}


def test_a_checkpoint_that_was_cut_short_says_so(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors")
    checkpoint.write({"model": {"w": torch.ones(300)}}, {"signature": "s", "step": 1})
    path = checkpoint.file("s")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ArtifactError, match=r"checkpoint-s\.safetensors can't be read .*delete it to start anew"):
        checkpoint.read("s")
    assert checkpoint.read("other") is None


def test_each_job_has_its_state_and_all_go_together(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors")
    for step, signature in enumerate(("s", "t", "s"), 1):
        checkpoint.write({"model": {"w": torch.full((3,), float(step))}}, {"signature": signature, "step": step})
    for signature, step in (("s", 3), ("t", 2)):
        states, facts = checkpoint.read(signature)
        assert facts["step"] == step
        assert states["model"]["w"].tolist() == [step] * 3
    assert checkpoint.size == sum(file.stat().st_size for file in tmp_path.iterdir())
    checkpoint.remove()
    assert not checkpoint.size
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("share", [0.12, 1 / 3, 0.5])
def test_a_shorter_training_is_complete_and_can_be_interrupted(
    share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside the first epoch, at its end, inside the second: the rate decays to the end, and the end is judged."""
    method, steps = method_of("lora", dropout=0.3), {0.12: 2, 1 / 3: 3, 0.5: 5}[share]
    with adapted(dataclasses.replace(_setting("bert"), share=share), method, 0) as done:
        whole, trace = _observed(done), done.trace
        assert trace.best_outputs is not None
        assert torch.equal(trace.best_outputs, done.job.logits(done.job.validation))
    assert trace.steps == steps
    assert trace.curve[-1].step == steps
    assert trace.rates[-1] == pytest.approx(method.learning_rate * 0.5 / steps / (1 - method.warmup))
    path = tmp_path / "state.safetensors"
    for after in (1, None):
        with monkeypatch.context() as patch:
            patch.setattr("headstart.engine.adapt.fit", lambda job, budget, runtime, after=after, **more: loop.fit(
                job, dataclasses.replace(budget, steps=after), runtime, **more
            ))  # fmt: skip
            setting = dataclasses.replace(_setting("bert"), share=share)
            with adapted(setting, method, 0, checkpoint=Checkpoint(path, every=0)) as done:
                last = _observed(done)
    for name, value in last.items():
        assert torch.equal(value, whole[name]), name


def test_a_solved_head_is_solved_once_however_often_its_training_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, solved = method_of("lpft"), []
    whole, _ = _trained("bert", method)
    solve = convex.solve
    monkeypatch.setattr(convex, "solve", lambda *given: solved.append(1) or solve(*given))
    path = tmp_path / "state.safetensors"
    for after in (2, 5):
        _interrupted("bert", method, path, after, monkeypatch)
    last, _ = _trained("bert", method, Checkpoint(path))
    assert len(solved) == 1
    for name, value in last.items():
        assert torch.equal(value, whole[name]), name
