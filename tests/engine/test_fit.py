"""The loop: what moves when and how far, what a step adds up, when it stops and what it keeps."""

from __future__ import annotations

import copy
import dataclasses
import math
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backbones.tiny import tiny
from contract.settings import method_of, rising, setting_of, state_of
from headstart.backbones import snapshot
from headstart.backbones.ladder import cutting
from headstart.backbones.snapshot import Snapshot
from headstart.core.errors import MethodError, ModelError
from headstart.core.seeds import derive
from headstart.engine.adapt import Setting, adapted, attached, new_head
from headstart.engine.adaptation import Adaptation
from headstart.engine.budget import Budget
from headstart.engine.feed.augment import Augment
from headstart.engine.feed.feed import Feed
from headstart.engine.feed.micro import Micro
from headstart.engine.fit import fit
from headstart.engine.job import Losses
from headstart.engine.machine.precision import Compute
from headstart.engine.state.checkpoint import Checkpoint
from headstart.engine.state.snapshots import weights
from headstart.engine.trace import smoothed
from headstart.methods import convex
from headstart.methods.method import Method
from headstart.methods.plan import Model
from headstart.tasks.classification import Classification


def watched(setting: Setting, method: Method, monkeypatch: pytest.MonkeyPatch) -> tuple[list[dict[str, Tensor]], Any]:
    """The weights before the first step and after each one, and the plan."""
    states: list[dict[str, Tensor]] = []
    loss = Adaptation.losses

    def watching(self: Adaptation, *args: Any) -> Any:
        states.append(state_of(self.module))
        return loss(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Adaptation, "losses", watching)
        with adapted(setting, method, 0) as done:
            states.append(state_of(done.model))
            return states, done.plan


def moved(before: dict[str, Tensor], after: dict[str, Tensor], names: Any) -> set[str]:
    return {n for n in names if not torch.equal(before[n], after[n])}


# ------------------------------------------------------------------------------------------- what moves, when, how far
def test_gradual_unfreezing_frees_rungs_from_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 steps, 4 phases up to 60 %: the head alone, then 2, 3 and all of 4 rungs, at steps 0, 4, 8 and 12."""
    setting = setting_of(tiny("bert"), count=40, epochs=4, score=rising())
    states, plan = watched(setting, method_of("unfreeze", stages=4, share=0.6), monkeypatch)
    assert len(states) == 21
    rungs = {g.name: set(g.parameters) for g in plan.groups}
    order = ["embeddings", "encoder.layer.0", "encoder.layer.1", "encoder.layer.2", "head"]
    expected = {0: order[4:], 4: order[2:], 8: order[1:], 12: order}
    for step in range(20):
        moving = {name for name, names in rungs.items() if moved(states[step], states[step + 1], names)}
        begin = max(k for k in expected if k <= step)
        assert moving == set(expected[begin]), f"step {step}"


def test_discriminative_rates_fall_by_2_6_a_rung(monkeypatch: pytest.MonkeyPatch) -> None:
    """AdamW's first step is lr · g / (|g| + eps): where g is not tiny, the step's length is the learning rate."""
    setting = setting_of(tiny("vit"), epochs=1, count=8, score=rising())
    method = method_of("discriminative", learning_rate=1e-3, schedule="constant", weight_decay=0.0)
    (before, after), plan = watched(setting, method, monkeypatch)
    n = len(setting.backbone.ladder)
    assert [g.rung for g in plan.groups] == [*range(n), n]
    for group in plan.groups:
        longest = max(float((after[p] - before[p]).abs().max()) for p in group.parameters)
        assert longest == pytest.approx(1e-3 / 2.6 ** (n - group.rung), rel=2e-2), group.name


def test_weight_decay_spares_biases_and_norms(monkeypatch: pytest.MonkeyPatch) -> None:
    """AdamW's decay is W - lr · decay · W, apart from the gradient's step, whose length is at most lr."""
    setting = setting_of(tiny("bert"), epochs=1, count=8, score=rising())
    states = {}
    for decay in (0.0, 100.0):
        method = method_of("full", learning_rate=1e-3, schedule="constant", weight_decay=decay)
        (before, states[decay]), _ = watched(setting, method, monkeypatch)
    for name, plain in states[0.0].items():
        if not plain.is_floating_point():
            continue
        shrunk = 1e-3 * 100 * before[name] if plain.dim() > 1 else torch.zeros(())
        torch.testing.assert_close(states[100.0][name], plain - shrunk, rtol=0, atol=2e-6)


@pytest.mark.parametrize("family", ["timm_resnet", "bert"])
def test_below_the_cut_runs_in_eval_mode(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No dropout there, and the statistics of batch norms stay; above, dropout and statistics are at work."""
    setting = setting_of(tiny(family), epochs=1, cache=False)
    ladder = setting.backbone.ladder
    modes: dict[str, bool] = {}
    loss = Adaptation.losses

    def watching(self: Adaptation, *args: Any) -> Any:
        modes.update({n: m.training for n, m in self.module.backbone.named_modules()})
        return loss(self, *args)

    monkeypatch.setattr(Adaptation, "losses", watching)
    before = state_of(setting.backbone.module)
    with adapted(setting, method_of("freeze", rungs=2), 0) as done:
        after = state_of(done.model.backbone)
    low = tuple(p for rung in ladder.rungs[:2] for p in rung.modules)
    high = tuple(p for rung in ladder.rungs[2:] for p in rung.modules)
    assert low
    assert not any(on for n, on in modes.items() if n.startswith(low))
    assert all(on for n, on in modes.items() if n.startswith(high))
    statistics = [n for n in before if n.endswith(("running_mean", "running_var"))]
    changed = moved(before, after, statistics)
    assert changed == {n for n in statistics if n.startswith(high)}
    assert bool(statistics) == (family == "timm_resnet")


def test_a_batch_norm_that_does_not_train_keeps_its_statistics() -> None:
    setting = setting_of(tiny("timm_resnet"))
    before = state_of(setting.backbone.module)
    with adapted(setting, method_of("lora"), 0) as done:
        after = {n.removeprefix("backbone."): v for n, v in state_of(done.model).items()}
    statistics = [n for n in before if "running" in n]
    assert statistics
    assert not moved(before, after, statistics)


# ----------------------------------------------------------------------------------------------------- what a step is
@pytest.mark.parametrize("family", ["bert", "lstm", "plain"])
def test_cutting_a_step_into_parts_changes_nothing(family: str) -> None:
    """Parts of unequal size; the loss of a step is the mean over its examples, not the mean of its parts' means."""
    found = []
    for tokens in (1, 100_000):
        backbone = tiny(family)
        for module in backbone.module.modules():  # dropout and batch statistics depend on the part by their nature
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        setting = setting_of(backbone, batch_tokens=tokens, score=rising())
        with adapted(setting, method_of("freeze", rungs=1, learning_rate=1e-3), 0) as done:
            found.append((state_of(done.model), done.trace.losses))
    (small, few), (large, many) = found
    assert few == pytest.approx(many, abs=1e-5)
    worst = {n: float((small[n] - large[n]).abs().max()) for n in large if large[n].is_floating_point()}
    assert max(worst.values()) < 2e-5, max(worst, key=lambda n: worst[n])


def test_a_steps_loss_is_the_mean_over_its_examples() -> None:
    """Against PyTorch's own cross-entropy and AdamW, over two steps of the whole training set."""
    setting = setting_of(tiny("mlp"), count=10, batch_size=10, epochs=2, batch_tokens=3 * 64, score=rising())
    method = method_of("full", learning_rate=1e-2, schedule="constant", weight_decay=0.1)
    backbone = setting.backbone
    head = new_head(backbone, setting.task, method, 0)
    net = nn.Sequential(copy.deepcopy(backbone.module), head)
    batch = setting.train.batch(np.arange(10))["pixel_values"]
    decayed = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() == 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-2)
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(batch), setting.train.targets)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    with adapted(setting, method, 0) as done:
        assert done.trace.losses == pytest.approx(losses, abs=1e-6)
        expected = dict(net.named_parameters())
        for name, value in done.model.named_parameters():
            theirs = expected[name.replace("backbone.", "0.").replace("head.", "1.")]
            torch.testing.assert_close(value, theirs, rtol=1e-4, atol=1e-5)


def test_gradients_are_clipped_to_their_norm_over_all_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    norms = []
    step = torch.optim.AdamW.step

    def watching(self: torch.optim.AdamW, *args: Any) -> Any:
        gradients = [p.grad.norm() for g in self.param_groups for p in g["params"] if p.grad is not None]
        norms.append(float(torch.stack(gradients).norm()))
        return step(self, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", watching)
    with adapted(setting_of(tiny("bert"), clip=0.05), method_of("discriminative"), 0):
        pass
    assert norms == pytest.approx([0.05] * 6, rel=1e-3)


def test_padding_does_not_change_predictions() -> None:
    for family in ("bert", "gpt2", "lstm"):
        setting = setting_of(tiny(family), count=24)
        with adapted(setting, method_of("full"), 0) as done:
            together = done.job.logits(setting.train)
            alone = torch.cat([
                done.model.head(setting.backbone.features(setting.train.batch(np.array([i])))) for i in range(24)
            ]).detach()  # fmt: skip
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


# -------------------------------------------------------------------------------------------------- when it stops
def planted(monkeypatch: pytest.MonkeyPatch, change: Callable[[Tensor, int], Tensor]) -> None:
    loss, calls = Adaptation.losses, iter(range(10**6))

    def changed(self: Adaptation, *args: Any) -> Losses:
        number = next(calls)
        return {
            name: dataclasses.replace(one, total=change(one.total, number)) for name, one in loss(self, *args).items()
        }

    monkeypatch.setattr(Adaptation, "losses", changed)


@pytest.mark.parametrize("unread", [1, 2, 20])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda loss: loss * math.inf, "the loss was inf at step 5 of 12"),
        (lambda loss: loss * math.nan, "the loss was nan at step 5 of 12"),
        (lambda loss: loss + (loss * 0).sqrt(), "its gradient nan, at step 5 of 12"),
    ],
)
def test_a_loss_that_is_not_finite_ends_with_the_last_good_weights(
    bad: Callable[[Tensor], Tensor], message: str, unread: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many losses lie on the device before one is read."""
    monkeypatch.setattr("headstart.engine.training.limit", lambda device, watched: unread)
    setting = setting_of(tiny("timm_resnet"), epochs=4, score=rising())
    kept: dict[str, Tensor] = {}
    evaluate = Adaptation.evaluate

    def keeping(self: Adaptation, fraction: float) -> Any:
        kept.update(state_of(self.module))
        return evaluate(self, fraction)

    monkeypatch.setattr(Adaptation, "evaluate", keeping)
    planted(monkeypatch, lambda loss, call: bad(loss) if call == 4 else loss)
    with adapted(setting, method_of("full"), 0) as done:
        assert done.trace.status.startswith("diverged: ")
        assert message in done.trace.status
        assert done.trace.steps == len(done.trace.losses) == len(done.trace.rates) == 4
        assert done.trace.best_epoch == 1.0
        found = state_of(done.model)
        assert all(torch.equal(found[n], kept[n]) for n in kept)
        assert all(bool(torch.isfinite(v).all()) for v in found.values() if v.is_floating_point())


def test_divergence_before_the_first_evaluation_leaves_what_the_checkpoint_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour of one long epoch is not lost for the start's weights."""
    keeping = Checkpoint(tmp_path / "checkpoint.safetensors", every=0.0)
    steps: list[dict[str, Tensor]] = []
    write = Checkpoint.write

    def noting(self: Checkpoint, states: Any, facts: Any) -> None:
        steps.append({name: value.clone() for name, value in states["model"].items()})
        write(self, states, facts)

    monkeypatch.setattr(Checkpoint, "write", noting)
    planted(monkeypatch, lambda loss, call: loss * math.nan if call == 3 else loss)
    setting = setting_of(tiny("bert"), count=40, epochs=1)
    start = state_of(setting.backbone.module)
    with adapted(setting, method_of("full"), 0, checkpoint=keeping) as done:
        assert done.trace.status.startswith("diverged: ")
        assert done.trace.best_epoch is None
        found = weights(done.model, list(steps[0]))
    assert len(steps) == 3
    assert all(torch.equal(found[name], steps[-1][name]) for name in found)
    assert any(not torch.equal(value, start[name.removeprefix("backbone.")]) for name, value in found.items()
               if name.startswith("backbone."))  # fmt: skip


def test_losses_that_are_read_late_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for unread in (1, 4, 20):
        monkeypatch.setattr("headstart.engine.training.limit", lambda device, watched, unread=unread: unread)
        with adapted(setting_of(tiny("bert"), count=40, epochs=2), method_of("full"), 0) as done:
            found.append((done.trace.losses, done.trace.rates, done.trace.curve, state_of(done.model)))
    assert len(found[0][0]) == 10
    for losses, rates, curve, state in found[1:]:
        assert (losses, rates, curve) == found[0][:3]
        assert all(torch.equal(state[n], found[0][3][n]) for n in state)


def test_early_stopping_keeps_the_best_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.1, 0.5, 0.4, 0.5, 0.3, 0.9])
    states: list[dict[str, Tensor]] = []
    evaluate = Adaptation.evaluate

    def keeping(self: Adaptation, fraction: float) -> Any:
        states.append(state_of(self.module))
        found = evaluate(self, fraction)
        return type(found)(found.value, 1.0, found.score)  # equal losses: an equal score is no improvement

    monkeypatch.setattr(Adaptation, "evaluate", keeping)
    setting = setting_of(tiny("mlp"), epochs=6, patience=3, score=lambda s, t: (next(scores),) * 2)
    with adapted(setting, method_of("full"), 0) as done:
        assert done.trace.steps == 5 * 3  # best at 2, no better at 3, 4 and 5: the 0.9 of epoch 6 is never seen
        assert done.trace.best_epoch == 2.0
        assert done.trace.best_value == 0.5
        found = state_of(done.model)
    assert all(torch.equal(found[n], states[1][n]) for n in found)
    assert any(not torch.equal(found[n], states[4][n]) for n in found)


def test_an_equal_score_at_a_lower_loss_is_better() -> None:
    setting = setting_of(tiny("mlp"), epochs=4, score=lambda s, t: (0.5, 0.5))
    with adapted(setting, method_of("full", learning_rate=1e-4), 0) as done:
        losses = [p.validation_loss for p in done.trace.curve]
        assert done.trace.best_loss == min(losses)
        assert done.trace.best_epoch == 1.0 + losses.index(min(losses))


def test_a_budget_of_steps_stops_there() -> None:
    setting, method = setting_of(tiny("mlp"), epochs=2), method_of("full")
    backbone = setting.backbone
    head = new_head(backbone, setting.task, method, 0)
    plan = method.attach(backbone, head)
    with plan.applied(Model(backbone.module, head)) as model:
        job = Adaptation(model, backbone, plan, setting.task, setting.train, setting.validation, setting.options,
                         setting.compute, setting.score, 0)  # fmt: skip
        assert fit(job, Budget(2, steps=4), setting.runtime).steps == 4


@pytest.mark.parametrize("change", [-1, 1])
def test_a_job_has_to_have_the_steps_that_it_promises(change: int, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Adaptation.steps

    def other(job: Adaptation, epoch: int, start: int) -> Any:
        found = list(steps(job, epoch, start))
        return iter(found[:change] if change < 0 else [*found, found[0]])

    monkeypatch.setattr(Adaptation, "steps", other)
    with (
        pytest.raises(MethodError, match=f"{3 + change} steps in epoch 1, but promised 3"),
        adapted(setting_of(tiny("mlp"), count=24), method_of("full"), 0),
    ):
        pass


def test_smoothing_corrects_for_its_start() -> None:
    assert smoothed([3.0, 3.0, 3.0]) == pytest.approx([3.0, 3.0, 3.0])
    assert smoothed([1.0, 2.0], beta=0.5) == pytest.approx([1.0, (0.25 * 1 + 0.5 * 2) / 0.75])


# ------------------------------------------------------------------------------------------------------------- chance
def test_seeds_are_derived_by_name() -> None:
    assert derive(0, "head") == derive(0, "head")
    found = {derive(seed, *names) for seed in range(3) for names in [("head",), ("step", 0), ("step", 1), ("step", 11)]}
    assert len(found) == 12
    assert derive(1, "a", "b") != derive(1, "ab")
    assert all(0 <= value < 2**63 for value in found)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(states))  # what ran before must not matter
        with adapted(setting_of(tiny("bert"), score=rising()), method_of("lora", dropout=0.2), seed) as done:
            states.append(state_of(done.model))
    assert all(torch.equal(states[0][n], states[1][n]) for n in states[0])
    assert not torch.equal(states[0]["head.weight"], states[2]["head.weight"])


def test_each_step_draws_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """One seed for all steps would drop the same units throughout."""
    seeds = []
    planted(monkeypatch, lambda loss, call: (seeds.append(torch.initial_seed()), loss)[1])
    with adapted(setting_of(tiny("mlp")), method_of("full"), 0):
        pass
    assert len(set(seeds)) == len(seeds) == 6


@pytest.mark.parametrize("family", ["bert", "timm_resnet", "plain"])
def test_scratch_begins_at_random_by_seed(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    for seed in (0, 0, 1):
        setting = setting_of(tiny(family), epochs=1)
        base = state_of(setting.backbone.module)
        loss = Adaptation.losses
        states: list[dict[str, Tensor]] = []

        def watching(self: Adaptation, *args: Any, states: Any = states, loss: Any = loss) -> Any:
            states.append(state_of(self.module.backbone))
            return loss(self, *args)

        with monkeypatch.context() as patch:
            patch.setattr(Adaptation, "losses", watching)
            with adapted(setting, method_of("scratch"), seed):
                pass
        begun.append(states[0])
    matrices = [n for n, v in base.items() if v.dim() > 1 and v.is_floating_point()]
    for name in matrices:
        assert torch.equal(begun[0][name], begun[1][name]), name
        for other in (begun[2], base):
            mean_step = float((begun[0][name] - other[name]).abs().mean())
            assert mean_step > 0.3 * float(begun[0][name].std()), name
    for name in base:  # the base's statistics would be knowledge too
        if name.endswith("running_mean"):
            assert not torch.equal(begun[0][name], base[name])


def test_the_random_control_is_a_probe_on_features_of_no_pretrained_weight() -> None:
    setting = setting_of(tiny("bert"))
    with adapted(setting, method_of("probe"), 0) as done:  # the cache now holds the base's features
        probe = done.job.logits(setting.validation)
    found = []
    for seed in (0, 0, 1):
        with adapted(setting, method_of("random"), seed) as done:
            features = done.job.features(setting.train)
            head = torch.nn.Linear(features.shape[1], 3)
            convex.solve(features, setting.train.targets, setting.task, 30.0, head)
            torch.testing.assert_close(done.model.head.weight, head.weight, rtol=1e-3, atol=1e-4)
            found.append(done.job.logits(setting.validation))
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2])
    assert not torch.allclose(found[0], probe)


@pytest.mark.parametrize("kind", ["single_label", "multi_label", "regression"])
def test_majority_predicts_what_is_frequent(kind: Any) -> None:
    setting = setting_of(tiny("gpt2"), kind, count=25)
    with adapted(setting, method_of("majority"), 0) as done:
        found = done.job.predict(setting.validation)
    targets = setting.train.examples.targets
    expected = np.bincount(targets, minlength=3) / 25 if kind == "single_label" else targets.reshape(25, -1).mean(0)
    np.testing.assert_allclose(found, np.tile(expected, (9, 1)), atol=1e-5)


def test_a_base_that_was_changed_since_loading_is_refused() -> None:
    setting = setting_of(tiny("mlp"))
    assert setting.backbone.fingerprint
    with torch.no_grad():
        next(setting.backbone.module.parameters())[0, 0] += 1e-3
    with pytest.raises(ModelError, match="have changed since it was loaded"), adapted(setting, method_of("probe"), 0):
        pass


# ------------------------------------------------------------------------------------------------------- augmentation
def test_mixup_blends_labels_as_it_blends_pictures() -> None:
    images = torch.eye(4).reshape(4, 1, 2, 2).repeat(1, 3, 1, 1)  # picture i is 1 at place i
    torch.manual_seed(0)
    for _ in range(5):
        mixed, shares = Augment("mixup").mix(images, torch.arange(4), 4)
        torch.testing.assert_close(mixed[:, 0].flatten(1), shares)
        torch.testing.assert_close(shares.sum(1), torch.ones(4))


def test_mixup_reaches_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    plain = Classification.loss

    def watching(task: Classification, scores: Tensor, targets: Tensor) -> Tensor:
        seen.append(targets)
        return plain(task, scores, targets)

    monkeypatch.setattr(Classification, "loss", watching)
    with adapted(setting_of(tiny("plain"), epochs=1, held_out=2, augment=Augment("mixup")), method_of("full"), 0):
        pass
    shares = [t for t in seen if t.dim() == 2]
    assert len(shares) == 3
    assert any(bool(((t > 0.01) & (t < 0.99)).any()) for t in shares)


def test_views_differ_by_epoch_and_repeat_by_seed() -> None:
    setting = setting_of(tiny("plain"), augment=Augment("light"))
    feed, positions = setting.train, np.arange(4)
    first, again, other = (feed.batch(positions, view)["pixel_values"] for view in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, feed.batch(positions)["pixel_values"])
    assert torch.equal(feed.batch(positions[::-1].copy(), 0)["pixel_values"].flip(0), first)


def test_word_dropout_leaves_words_out_and_never_all() -> None:
    augment = Augment(word_dropout=0.5)
    words = [str(i) for i in range(200)]
    kept = augment.text(" ".join(words), 0, 0).split()
    assert kept == [w for w in words if w in set(kept)]
    assert 70 < len(kept) < 130
    assert all(augment.text("one", view, 0) == "one" for view in range(20))


# ---------------------------------------------------------------------------------------------------------- regression
@pytest.mark.parametrize(("family", "name"), [("mlp", "full"), ("bert", "lpft"), ("gpt2", "lora")])
def test_the_unit_of_a_regressions_targets_does_not_matter(family: str, name: str) -> None:
    """In euros or in cents, and for heads with biases from whatever zero, the same model comes out."""
    settings = [setting_of(tiny(family), "regression") for _ in range(2)]
    shift = 5e4 if settings[0].backbone.head_bias else 0.0
    for feed in (settings[1].train, settings[1].validation):
        feed.targets.mul_(1000.0).add_(shift)
    found = []
    for setting in settings:
        with adapted(setting, method_of(name, **({"penalty": 1.0} if name == "lpft" else {})), 0) as done:
            found.append(torch.from_numpy(done.job.predict(setting.validation)))
    torch.testing.assert_close((found[1] - shift) / 1000, found[0], rtol=1e-2, atol=2e-2)


def no_room(device: str) -> RuntimeError:
    if device == "cpu":
        return RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory")
    return torch.OutOfMemoryError("no room")


@pytest.mark.parametrize("device", ["gpu", "cpu"])
def test_a_batch_that_does_not_fit_is_cut_and_learns_the_same(monkeypatch, device: str) -> None:
    """Memory for three examples at a time: the gradients are those of the whole batch."""
    method = method_of("full", learning_rate=1e-3)
    states, notes = [], []
    for room in (100, 3):
        plain = Adaptation.losses

        def loss(self, micro, fraction, room=room, plain=plain):
            if len(micro.positions) > room:
                raise no_room(device)
            return plain(self, micro, fraction)

        with monkeypatch.context() as patch:
            patch.setattr(Adaptation, "losses", loss)
            with adapted(setting_of(tiny("llama"), epochs=2), method, 0) as done:  # without dropout
                states.append(state_of(done.model))
                notes.append(done.trace.notes)
    assert notes[0] == ()
    assert "memory ran out" in notes[1][0]
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=1e-3, atol=1e-5)


def test_what_overflowed_in_the_backward_pass_is_let_go_before_the_next_try(monkeypatch) -> None:
    """Else a smaller part meets the memory as full as the whole batch left it."""
    plain, backward, graphs, held = Adaptation.losses, torch.Tensor.backward, [], []

    def loss(self, micro, fraction):
        held.append([graph() is not None for graph in graphs])
        found = plain(self, micro, fraction)
        graphs.append(weakref.ref(found["task"].total))
        return found

    def failing(self, *arguments, **options):
        if len(graphs) == 1:
            raise no_room("gpu")
        return backward(self, *arguments, **options)

    monkeypatch.setattr(Adaptation, "losses", loss)
    monkeypatch.setattr(torch.Tensor, "backward", failing)
    with adapted(setting_of(tiny("bert"), epochs=1), method_of("full"), 0) as done:
        assert "memory ran out" in done.trace.notes[0]
    assert not any(map(any, held))


@pytest.mark.parametrize("name", ["full", "freeze", "probe"])
def test_what_does_not_fit_is_looked_at_in_smaller_batches(monkeypatch, name: str) -> None:
    """Validation, the cache and the features of a head that is solved."""
    found = []
    for room in (100, 3):
        passes, kept = Adaptation._outputs, cutting.states

        def outputs(self, feed, positions, *arguments, room=room, passes=passes):
            if not torch.is_grad_enabled() and len(positions) > room:
                raise no_room("cpu")
            return passes(self, feed, positions, *arguments)

        def states(cuts, batch, reads="top", room=room, kept=kept):
            if len(batch["input_ids"]) > room:
                raise no_room("gpu")
            return kept(cuts, batch, reads)

        with monkeypatch.context() as patch:
            patch.setattr(Adaptation, "_outputs", outputs)
            patch.setattr("headstart.engine.cache.states", states)
            with adapted(setting_of(tiny("bert"), epochs=1), method_of(name), 0) as done:
                found.append(torch.from_numpy(done.job.predict(done.job.validation)))
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["bert", "timm_resnet"])
def test_where_one_example_does_not_fit_activations_are_computed_again(name, monkeypatch) -> None:
    """The same weights, dropout and statistics of norms included, and only what goes into a rung is kept."""
    method, states, notes, kept = method_of("full", learning_rate=1e-3), [], [], []
    for short in (False, True):
        plain, backbone = Adaptation.losses, tiny(name)
        rung = backbone.module.get_submodule(backbone.ladder.rungs[1].modules[0])
        sizes = []

        def loss(self, micro, fraction, short=short, plain=plain, rung=rung, sizes=sizes):
            if short and "forward" not in vars(rung):
                raise torch.OutOfMemoryError("no room")
            saved = []
            keep = torch.autograd.graph.saved_tensors_hooks(lambda v: saved.append(v.nbytes) or v, lambda v: v)
            with keep:
                found = plain(self, micro, fraction)
            sizes.append(sum(saved))
            return found

        with monkeypatch.context() as patch:
            patch.setattr(Adaptation, "losses", loss)
            # two examples a step, which a batch norm needs, and never cut
            setting = setting_of(backbone, epochs=1, batch_size=2)
            patch.setattr(Micro, "split", lambda self, parts: [self])
            with adapted(setting, method, 0) as done:
                states.append(state_of(done.model))
                notes.append(done.trace.notes)
        kept.append(max(sizes))
        assert "forward" not in vars(rung)
    assert kept[1] < kept[0] / 2
    assert "computed again" in notes[1][0]
    assert "computed again" not in str(notes[0])
    for key, value in states[0].items():
        torch.testing.assert_close(states[1][key], value, rtol=1e-4, atol=1e-6)


def test_what_does_not_fit_alone_is_an_error(monkeypatch) -> None:
    def loss(self, micro, fraction):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(Adaptation, "losses", loss)
    backbone = tiny("bert")
    with pytest.raises(torch.OutOfMemoryError), adapted(setting_of(backbone), method_of("full"), 0):
        pass


@pytest.mark.parametrize(("family", "augment"), [("bert", "none"), ("timm_resnet", "none"), ("timm_resnet", "strong")])
@pytest.mark.parametrize("method", ["full", "freeze"])
def test_batches_that_a_thread_prepares_change_no_bit(
    monkeypatch: pytest.MonkeyPatch, family: str, augment: Any, method: str
) -> None:
    """As on a GPU; the views of an epoch are those of the examples, whoever draws them."""
    made: list[bool] = []
    raw = Feed._raw

    def watched(self: Feed, *arguments: Any) -> Any:
        made.append(threading.current_thread() is threading.main_thread())
        return raw(self, *arguments)

    monkeypatch.setattr(Feed, "_raw", watched)
    found = []
    for early in (False, True):
        with monkeypatch.context() as patch:
            patch.setattr(Compute, "early", property(lambda self, early=early: early))
            setting = setting_of(tiny(family), augment=Augment(augment), epochs=2, score=rising())
            made.clear()
            with adapted(setting, method_of(method), 0) as done:
                found.append(state_of(done.model))
            assert all(made) != early
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_everything_random_follows_from_the_seed() -> None:
    """The views of an augmentation, the order of the data, the head: seeds are replicates."""
    seen: dict[int, list[Tensor]] = {}
    for seed in (0, 1):
        setting = setting_of(tiny("timm_resnet"), augment=Augment("strong", seed=seed and 5), epochs=1)
        with attached(setting, method_of("full"), seed) as job:
            places = np.arange(4)
            seen[seed] = [
                job.train.batch(places, view=0)["pixel_values"],
                next(iter(job.module.head.parameters())).clone(),
            ]
            assert torch.equal(job.train.batch(places)["pixel_values"], setting.train.batch(places)["pixel_values"])
            alone = setting.train.seeded(seed).batch(places, view=0)["pixel_values"]
            assert torch.equal(seen[seed][0], alone)
    for first, second in zip(*seen.values()):
        assert not torch.equal(first, second)
    setting = setting_of(tiny("bert"), augment=Augment(word_dropout=0.5))
    ids = [setting.train.seeded(seed).batch(np.arange(9), view=0)["input_ids"] for seed in (0, 1, 1)]
    assert torch.equal(ids[1], ids[2])
    assert ids[0].shape != ids[1].shape or not torch.equal(ids[0], ids[1])


def test_a_method_that_leaves_the_base_changed_is_an_error() -> None:
    setting = setting_of(tiny("mlp"))
    changed = pytest.raises(ModelError, match="left weights .* changed")
    with changed, attached(setting, method_of("freeze"), 0), torch.no_grad():  # behind the plan's back
        next(iter(setting.backbone.module.parameters())).data = torch.zeros(32, 192)


@pytest.mark.parametrize("limit", [0, 1 << 30])
def test_the_best_weights_are_kept_in_one_copy(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A better evaluation overwrites it, in memory or in a file; leaving the plan restores the base from another."""
    copies: list[Snapshot] = []
    plain = Snapshot.__init__

    def made(self: Snapshot, *given: Any) -> None:
        plain(self, *given)
        copies.append(self)

    monkeypatch.setattr(snapshot, "MEMORY_BYTES", limit)
    monkeypatch.setattr(Snapshot, "__init__", made)
    setting = setting_of(tiny("mlp"), epochs=4, score=rising())
    before = state_of(setting.backbone.module)
    with adapted(setting, method_of("full"), 0) as done:
        base, best = copies
        assert {copy._file is None for copy in copies} == {limit > 0}
        assert done.trace.best_epoch == 4
        for name, value in best.items():
            assert torch.equal(value, done.model.get_parameter(name))
        assert all(torch.equal(value, before[name.removeprefix("backbone.")]) for name, value in base.items())
    assert all(torch.equal(value, before[name]) for name, value in state_of(setting.backbone.module).items())


@pytest.mark.parametrize("name", ["full", "lpft", "unfreeze"])
def test_weights_in_a_file_change_no_bit(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Best weights, those after a divergence, and those of a training that was interrupted and resumed."""
    found = []
    for limit in (0, 1 << 30):
        monkeypatch.setattr(snapshot, "MEMORY_BYTES", limit)
        path = tmp_path / f"{limit}.safetensors"
        with adapted(setting_of(tiny("bert"), epochs=3), method_of(name), 0) as done:
            found.append(state_of(done.model))
        for steps in (4, None):
            with monkeypatch.context() as patch:
                patch.setattr("headstart.engine.adapt.fit", lambda job, budget, runtime, steps=steps, **more: fit(
                    job, dataclasses.replace(budget, steps=steps), runtime, **more
                ))  # fmt: skip
                checkpoint = Checkpoint(path, every=0.0)
                with adapted(setting_of(tiny("bert"), epochs=3), method_of(name), 0, checkpoint=checkpoint) as done:
                    last = state_of(done.model)
        found.append(last)
    for other in found[1:]:
        assert all(torch.equal(value, found[0][key]) for key, value in other.items())
