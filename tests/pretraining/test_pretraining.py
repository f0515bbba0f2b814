"""Pretraining with labels: the average of the weights by hand, resumed to the same bits, and what decays."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from backbones.tiny import tiny
from contract.settings import FP32, made
from headstart.core.progress import Silent
from headstart.core.records.training import Point
from headstart.engine.budget import Budget
from headstart.engine.feed.augment import Augment
from headstart.engine.feed.feed import Feed
from headstart.engine.fit import fit
from headstart.engine.job import Evaluation, share_of
from headstart.engine.optim.optimizers import optimizer_of
from headstart.engine.optim.rows import RowAdamW
from headstart.engine.optim.running_average import MovingAverage, TailAverage
from headstart.engine.runtime import Runtime
from headstart.engine.state.checkpoint import Checkpoint
from headstart.pretraining.jobs.labelled import Pretraining, Source
from headstart.pretraining.objectives.classify import Classify
from headstart.tasks.task import Task

EPOCHS, STEPS = 3, 4
RUNTIME = Runtime(FP32)


def job(name: str = "timm_vit", augment: Any = "none", seed: int = 0, **settings: Any) -> Pretraining:
    """Two sources of 8 pictures, 4 a step."""
    backbone = tiny(name)
    objective = Classify(batch_size=4, epochs=EPOCHS, augment=augment, **settings)
    task = Task("single_label", "image", ("no", "perhaps", "yes"))
    sources = [
        Source(
            f"s{number}",
            task,
            Feed("train", made(backbone, "single_label", 8, number, 0), backbone, Augment(augment, seed=seed)),
            Feed("validation", made(backbone, "single_label", 6, 10 + number, 100), backbone),
        )
        for number in range(2)
    ]
    return Pretraining(backbone, sources, objective, FP32, seed)


def state(found: Pretraining) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in found.module.state_dict().items()}


def test_the_average_by_hand() -> None:
    average = MovingAverage(0.5, {"w": torch.tensor([0.0]), "n": torch.tensor(3)})
    average.update({"w": torch.tensor([1.0]), "n": torch.tensor(4)}, 1)
    assert average.state["w"].item() == pytest.approx(1 - 2 / 11), "(1 + 1) / (10 + 1) of what was"
    assert average.state["n"].item() == 4
    for _ in range(2):  # from step 8 on (1 + t) / (10 + t) is no smaller than the decay
        before = average.state["w"].item()
        average.update({"w": torch.tensor([0.0]), "n": torch.tensor(4)}, 8)
        assert average.state["w"].item() == pytest.approx(before / 2)


def test_the_tail_is_averaged_once_validation_does_not_improve() -> None:
    """Merity et al. 2018, algorithm 1: evaluation 4 is above the lowest of evaluations 0 to 2."""
    average = TailAverage(1, {"w": torch.tensor([0.0]), "n": torch.tensor(0)})
    curve = []
    for number, (loss, begun) in enumerate([(5.0, -1), (3.0, -1), (4.0, -1), (2.9, -1), (3.1, 10), (1.0, 10)]):
        curve.append(Point(number + 1.0, 2 * number + 2, None, loss, None, 1.0))
        average.look(curve)
        assert average.since == begun, number
        average.update({"w": torch.tensor([float(number)]), "n": torch.tensor(number)}, 11 + number - 4)
        if begun < 0:
            assert average.state["w"].item() == number, "until then, the weights as they are"
    assert average.state["w"].item() == pytest.approx((4 + 5) / 2)
    assert average.state["n"].item() == 5


def nonmonotone(monkeypatch: pytest.MonkeyPatch) -> Pretraining:
    """SGD whose validation gets worse after the first epoch, so that averaging begins at once."""
    one = job()
    one.plan = replace(one.plan, optimizer="sgd", tail_average=1, schedule=replace(one.plan.schedule, name="constant"))
    monkeypatch.setattr(one, "evaluate", lambda fraction: Evaluation(0.0, 10 * fraction, fraction))
    return one


def test_interrupted_sgd_with_its_tail_averaged_comes_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, steps = nonmonotone(monkeypatch), 5 * STEPS
    fit(whole, Budget(5), RUNTIME)
    for after in (6, 13, 18):
        checkpoint = Checkpoint(tmp_path / f"{after}.safetensors", every=0)
        fit(nonmonotone(monkeypatch), Budget(5, steps=after), RUNTIME, checkpoint=checkpoint)
        again = nonmonotone(monkeypatch)
        fit(again, Budget(5), RUNTIME, checkpoint=checkpoint)
        one, other = state(whole), state(again)
        assert all(torch.equal(one[name], other[name]) for name in one), f"{after} of {steps}"
    live = job()
    live.plan = replace(whole.plan, tail_average=0)
    fit(live, Budget(5), RUNTIME)
    assert not all(torch.equal(state(live)[name], value) for name, value in state(whole).items())


def test_what_is_judged_and_left_is_the_average(monkeypatch: pytest.MonkeyPatch) -> None:
    """The live weights after each step, written down, and averaged by the formula."""
    seen: list[dict[str, torch.Tensor]] = []
    judged: list[dict[str, torch.Tensor]] = []
    one = job("timm_resnet", ema=0.9)
    seen.append(state(one))
    step = RowAdamW.step

    def watched(self: Any, closure: Any = None) -> None:
        step(self, closure)
        seen.append(state(one))

    monkeypatch.setattr(RowAdamW, "step", watched)
    evaluate = one.evaluate
    monkeypatch.setattr(one, "evaluate", lambda fraction: (judged.append(state(one)), evaluate(fraction))[1])
    trace = fit(one, Budget(EPOCHS), RUNTIME)
    assert len(seen) == EPOCHS * STEPS + 1
    expected = {name: value.double() for name, value in seen[0].items()}
    averages = []
    for t, weights in enumerate(seen[1:], 1):
        d = min(0.9, (1 + t) / (10 + t))
        expected = {name: d * expected[name] + (1 - d) * weights[name].double() for name in expected}
        averages.append(expected)
    floats = [name for name, value in seen[0].items() if value.is_floating_point()]
    assert any("running_var" in name for name in floats)
    for epoch, found in enumerate(judged, 1):
        for name in floats:
            assert torch.allclose(found[name].double(), averages[epoch * STEPS - 1][name], atol=1e-6), name
    assert trace.best_epoch is not None
    best, left = judged[int(trace.best_epoch) - 1], state(one)
    assert all(torch.equal(best[name], left[name]) for name in left)
    live = seen[int(trace.best_epoch) * STEPS]
    assert not all(torch.equal(live[name], left[name]) for name in floats)


def test_training_itself_does_not_notice_the_average(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = [fit(job(ema=ema), Budget(EPOCHS), RUNTIME).losses for ema in (0.0, 0.9)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("augment", "after"),
    [
        ("mixup", 2), ("cutmix", 4), ("mixup", 9),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in (("cutmix", 2), ("mixup", 4), ("cutmix", 9))),
    ],
)  # fmt: skip
def test_interrupted_equals_uninterrupted(tmp_path: Path, after: int, augment: str) -> None:
    whole = job(augment=augment, ema=0.9)
    fit(whole, Budget(EPOCHS), RUNTIME)
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors", every=0)
    fit(job(augment=augment, ema=0.9), Budget(EPOCHS, steps=after), RUNTIME, checkpoint=checkpoint)
    again, told = job(augment=augment, ema=0.9), Told()
    fit(again, Budget(EPOCHS), RUNTIME, checkpoint=checkpoint, progress=told)
    assert told.lines == [f"goes on after step {after} of 12"]
    one, other = state(whole), state(again)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.skipif(os.name != "posix", reason="sends signals as a terminal does")
@pytest.mark.parametrize("at", [1, 4, 6])
def test_on_control_c_the_step_is_finished_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """At the first step, at the last of an epoch, within one; long before a checkpoint is due."""
    whole = job()
    fit(whole, Budget(EPOCHS), RUNTIME)
    checkpoint, stopped, told = Checkpoint(tmp_path / "checkpoint.safetensors"), job(), Told()
    loss, calls = type(stopped).losses, 0

    def pressing(self: Pretraining, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGINT)
        return loss(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(type(stopped), "losses", pressing)
        with pytest.raises(KeyboardInterrupt):
            fit(stopped, Budget(EPOCHS), RUNTIME, checkpoint=checkpoint)
    assert calls == at
    again = job()
    fit(again, Budget(EPOCHS), RUNTIME, checkpoint=checkpoint, progress=told)
    assert told.lines == [f"goes on after step {at} of {EPOCHS * STEPS}"]
    one, other = state(whole), state(again)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_was_interrupted_stays_while_another_job_trains_there(tmp_path: Path) -> None:
    whole, told, path = job(), Told(), tmp_path / "checkpoint.safetensors"
    fit(whole, Budget(EPOCHS), RUNTIME)
    for seed in (0, 1):
        fit(job(seed=seed), Budget(EPOCHS, steps=5), RUNTIME, checkpoint=Checkpoint(path), progress=told)
    (said,) = told.lines
    assert "this one begins anew, and the other's state stays until this one ends" in said
    again, counted = job(), Told()
    fit(again, Budget(EPOCHS), RUNTIME, checkpoint=Checkpoint(path), progress=counted)
    assert counted.first == 5, "it went on"
    one, other = state(whole), state(again)
    assert all(torch.equal(one[name], other[name]) for name in one)
    counted = Told()
    fit(job(seed=1), Budget(EPOCHS), RUNTIME, checkpoint=Checkpoint(path), progress=counted)
    assert counted.first == 5, "and so does the other, after it"


class Told(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.first: int | None = None
        "how far it was when it began"

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.first = steps if self.first is None else self.first

    def say(self, message: str) -> None:
        self.lines.append(message)


def test_another_base_or_other_labels_are_another_job(monkeypatch: pytest.MonkeyPatch) -> None:
    one = job()
    assert one.signature == job().signature
    with monkeypatch.context() as patch:
        patch.setattr("headstart.backbones.backbone.Backbone.fingerprint", "another")
        assert job().signature != one.signature
    for change in ({"fingerprint": "other data"}, {"task": Task("single_label", "image", ("a", "b", "c"))}):
        sources = [replace(one.sources[0], **change), one.sources[1]]
        other = Pretraining(one.backbone, sources, one.objective, FP32, 0)
        assert other.signature != one.signature


def test_positions_tokens_biases_and_norms_do_not_decay() -> None:
    one = job()
    names = {id(parameter): name for name, parameter in one.module.named_parameters()}
    groups = optimizer_of(one, FP32.device).param_groups
    decaying = {names[id(p)] for group in groups if group["weight_decay"] for p in group["params"]}
    others = {names[id(p)] for group in groups if not group["weight_decay"] for p in group["params"]}
    assert decaying | others == set(names.values())
    assert {
        "backbone.pos_embed",
        "backbone.cls_token",
        "backbone.norm.weight",
        "backbone.patch_embed.proj.bias",
    } <= others
    assert {"backbone.patch_embed.proj.weight", "backbone.blocks.0.attn.qkv.weight", "heads.0.weight"} <= decaying


def test_labels_are_blended_with_their_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """What reaches the objective under mixup: shares, and pictures that are no longer those of the feed."""
    one = job(augment="mixup")
    told: list[torch.Tensor] = []
    monkeypatch.setattr(
        type(one.objective), "loss", lambda self, scores, targets: (told.append(targets), scores.sum())[1]
    )
    ((micro,), *_) = list(one.steps(0, 0))
    torch.manual_seed(0)
    share_of(one.losses(micro, 0.0))
    assert told[0].shape == (4, 3)
    assert torch.allclose(told[0].sum(1), torch.ones(4))
    single = micro.cut(4)[0]
    share_of(one.losses(single, 0.0))
    assert told[1].shape == (1,), "one picture has no other to blend with"


def test_validation_is_batched_by_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    one = job()
    whole = one.accuracies()
    sizes: list[int] = []
    scores = one._judged_scores
    monkeypatch.setattr(one, "_judged_scores", lambda k, micro: sizes.append(len(micro.positions)) or scores(k, micro))
    monkeypatch.setattr("headstart.pretraining.jobs.labelled.BATCH_TOKENS", 2 * one.backbone.preparation.tokens)  # type: ignore[attr-defined]
    assert one.accuracies() == whole
    assert max(sizes) == 2
