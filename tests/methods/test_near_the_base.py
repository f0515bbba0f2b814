"""L2-SP and feature distillation: their formulas, and that strength holds a model near its base."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from backbones.tiny import tiny
from contract.settings import method_of, setting_of, state_of
from headstart.engine.adapt import adapted, new_head
from headstart.engine.adaptation import Adaptation
from headstart.engine.job import share_of
from headstart.methods.plan import Model


def job_of(name: str, backbone, tokens: int = 8192, **settings: object):
    """A job whose weights have moved away from the base, and the plan's context."""
    setting = setting_of(backbone, batch_tokens=tokens)
    method = method_of(name, **settings)
    head = new_head(backbone, setting.task, method, 0)
    plan = method.attach(backbone, head)
    model = Model(backbone.module, head)
    job = Adaptation(model, backbone, plan, setting.task, setting.train, setting.validation, setting.options,
                     setting.compute, setting.score, 0)  # fmt: skip
    return job, plan.applied(model)


def moved(job: Adaptation) -> dict[str, torch.Tensor]:
    """Holds the job to the present weights, then moves them; gives the difference by name."""
    with torch.no_grad():
        job.module.eval()
        job.hold()
        torch.manual_seed(1)
        steps = {n: 0.01 * torch.randn_like(p) for n, p in job.module.named_parameters()}
        for name, p in job.module.named_parameters():
            p.add_(steps[name])
    return steps


def step_loss(job: Adaptation) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss of the first step and its gradient, in eval mode so that no dropout tells runs apart."""
    total = 0.0
    for micro in next(iter(job.steps(0, 0))):
        part = share_of(job.losses(micro, 0.0))
        part.backward()
        total += float(part.detach())
    grads = {n: p.grad.clone() for n, p in job.module.named_parameters() if p.grad is not None}
    job.module.zero_grad()
    return total, grads


def test_l2sp_adds_its_gradient() -> None:
    backbone = tiny("mlp")
    found = {}
    for alpha, beta in ((0.0, 0.0), (0.5, 0.2)):
        job, context = job_of("l2sp", backbone, alpha=alpha, beta=beta)
        with context:
            steps = moved(job)
            job.enter(0.0)
            head = {n: p.detach().clone() for n, p in job.module.head.named_parameters(prefix="head")}
            found[alpha] = step_loss(job)
    extra = 0.25 * sum(float(s.square().sum()) for n, s in steps.items() if n.startswith("backbone."))
    extra += 0.1 * sum(float(v.square().sum()) for v in head.values())
    assert found[0.5][0] - found[0.0][0] == pytest.approx(extra, rel=1e-3)
    for name, gradient in found[0.5][1].items():
        expected = 0.2 * head[name] if name in head else 0.5 * steps[name]
        torch.testing.assert_close(gradient - found[0.0][1][name], expected, rtol=1e-3, atol=1e-5)


def test_distillation_by_hand() -> None:
    backbone = tiny("mlp")
    found = {}
    for strength in (0.0, 2.0):
        job, context = job_of("distill", backbone, strength=strength)
        with context:
            base = job.backbone.features(job.train.batch(np.arange(24))).detach()
            moved(job)
            job.enter(0.0)
            (micro,) = next(iter(job.steps(0, 0)))
            now = job.backbone.features(job.train.batch(micro.positions)).detach()
            found[strength] = step_loss(job)[0]
    distance = (now - base[micro.positions]).square().mean(1).mean() / base.var(0, unbiased=False).mean()
    assert found[2.0] - found[0.0] == pytest.approx(float(distance), rel=1e-3)


@pytest.mark.parametrize(("name", "settings"), [("l2sp", {"alpha": 0.5, "beta": 0.2}), ("distill", {"strength": 2.0})])
def test_cutting_a_step_into_parts_changes_nothing(name: str, settings: dict[str, float]) -> None:
    backbone = tiny("bert")
    found = []
    for tokens in (8192, 20):
        job, context = job_of(name, backbone, tokens, **settings)
        with context:
            moved(job)
            job.enter(0.0)
            job.module.eval()
            assert (len(next(iter(job.steps(0, 0)))) > 1) == (tokens == 20)
            found.append(step_loss(job))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-4)
    for n, gradient in found[0][1].items():
        torch.testing.assert_close(gradient, found[1][1][n], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("name", "field", "strong"), [("l2sp", "alpha", 1e3), ("distill", "strength", 1e3)])
def test_strength_holds_it_near_the_base(name: str, field: str, strong: float) -> None:
    backbone = tiny("bert")
    before = copy.deepcopy(state_of(backbone.module))
    far = {}
    for value in (0.0, strong):
        setting = setting_of(backbone, epochs=6)
        with torch.no_grad():
            base = backbone.features(setting.validation.batch(np.arange(9)))
        with adapted(setting, method_of(name, learning_rate=3e-3, **{field: value}), 0) as done:
            if name == "distill":
                features = done.job.features(setting.validation)
                far[value] = float((features - base).square().mean())
            else:
                now = state_of(backbone.module)
                far[value] = sum(float((now[n] - v).square().sum()) for n, v in before.items())
    assert far[strong] < 0.2 * far[0.0]
