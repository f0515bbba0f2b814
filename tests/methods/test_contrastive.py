"""Contrastive few-shot tuning: the loss pair by pair, and what it does to the features."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from backbones.tiny import tiny
from contract.settings import method_of, setting_of
from headstart.core.errors import MethodError
from headstart.engine.adapt import adapted, attached
from headstart.engine.job import share_of
from headstart.methods.layers.contrastive import contrastive_loss


def test_the_loss_pair_by_pair() -> None:
    torch.manual_seed(0)
    features, y = torch.randn(7, 5), torch.tensor([0, 1, 0, 2, 1, 0, 2])
    near, far = [], []
    for i in range(7):
        for j in range(i + 1, 7):
            cosine = float(F.cosine_similarity(features[i], features[j], dim=0))
            (near if y[i] == y[j] else far).append((1 - cosine) ** 2 if y[i] == y[j] else cosine**2)
    assert float(contrastive_loss(features, y)) == pytest.approx(0.5 * (np.mean(near) + np.mean(far)), rel=1e-5)


@pytest.mark.parametrize("y", [[0, 0, 0], [0, 1, 2], [0]])
def test_a_batch_without_one_side_has_a_gradient(y: list[int]) -> None:
    features = torch.randn(len(y), 4, requires_grad=True)
    contrastive_loss(features, torch.tensor(y)).backward()
    assert torch.isfinite(features.grad).all()


def test_same_classes_move_together_and_the_head_is_solved_on_the_result() -> None:
    backbone = tiny("bert")
    setting = setting_of(backbone, count=18, epochs=40, batch_size=18)
    method = method_of("contrastive", learning_rate=3e-3, stretch=1.0)
    y = setting.train.targets

    def gap(features: torch.Tensor) -> float:
        cosine = F.normalize(features, dim=1) @ F.normalize(features, dim=1).T
        same = (y[:, None] == y) & ~torch.eye(len(y), dtype=torch.bool)
        return float(cosine[same].mean() - cosine[y[:, None] != y].mean())

    with torch.no_grad():
        before = gap(backbone.features(setting.train.batch(np.arange(18))))
    with adapted(setting, method, 0) as done:
        features = done.job.features(setting.train)
        assert gap(features) > before + 0.1
        z = (features - features.mean(0)) / features.std(0, unbiased=False)
        theirs = LogisticRegression(C=1.0, max_iter=5000, tol=1e-8).fit(z.numpy(), y.numpy())
        ours = done.job.module.head(features).softmax(-1).detach().numpy()
        np.testing.assert_allclose(ours, theirs.predict_proba(z.numpy()), atol=2e-3)


def test_without_validation_the_last_weights_are_kept() -> None:
    backbone = tiny("bert")
    setting = setting_of(backbone, count=12)
    setting = dataclasses.replace(setting, validation=setting.validation.none())
    with adapted(setting, method_of("contrastive"), 0) as done:
        assert done.trace.best_value is None
        assert done.trace.steps > 0
        assert float(done.model.head.weight.abs().sum()) > 0


def test_only_classes_make_pairs() -> None:
    setting = setting_of(tiny("bert"), "regression")
    with pytest.raises(MethodError, match="regression"), adapted(setting, method_of("contrastive"), 0):
        pass


def test_batches_are_balanced_and_the_lowest_rung_stays() -> None:
    backbone = tiny("bert")
    setting = setting_of(backbone, count=18, epochs=2, batch_size=6)
    before = {name: value.clone() for name, value in backbone.module.state_dict().items()}
    with adapted(setting, method_of("contrastive", batch=6), 0) as done:
        classes = [
            np.bincount(np.concatenate([micro.targets.numpy() for micro in step])).tolist()
            for step in done.job.steps(0, 0)
        ]
        assert classes == [[2, 2, 2]] * 3
        changed = {name for name, value in done.model.backbone.state_dict().items() if not value.equal(before[name])}
        assert changed
        assert not any(name.startswith("embeddings") for name in changed)
    with pytest.raises(MethodError, match="frozen is 9"), adapted(setting, method_of("contrastive", frozen=9), 0):
        pass


@pytest.mark.parametrize("parts", [1, 2])
def test_pairs_are_those_of_the_whole_batch_whatever_the_memory(parts: int) -> None:
    """Gradients under a small token budget, or after memory ran out, equal those of the batch in one piece."""
    found = []
    for tokens, cut in ((8192, 1), (48, parts)):
        backbone = tiny("bert")
        for module in backbone.module.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        setting = setting_of(backbone, count=18, batch_tokens=tokens)
        with attached(setting, method_of("contrastive", batch=9), 0) as job:
            (micro,) = next(iter(job.steps(0, 0)))
            job.enter(0.0)
            loss = sum((share_of(job.losses(piece, 0.0)) for piece in micro.split(cut)), torch.zeros(()))
            loss.backward()
            found.append(
                (
                    loss.item(),
                    {n: p.grad.clone() for n, p in job.module.named_parameters() if p.grad is not None},
                )
            )
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-5)
    assert found[1][1].keys() == found[0][1].keys()
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(found[1][1][name], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("pieces", [1, 3])
def test_statistics_of_norms_count_each_batch_once(pieces: int) -> None:
    """Pieces whose activations are computed again for the gradient are no further batches."""
    setting = setting_of(tiny("timm_resnet"), count=9, epochs=1)
    with attached(setting, method_of("contrastive", batch=9), 0) as job:
        job.enter(0.0)
        norm = next(m for m in job.module.modules() if isinstance(m, torch.nn.BatchNorm2d) and m.training)
        before, calls = int(norm.num_batches_tracked), []
        norm.register_forward_hook(lambda *_: calls.append(norm.running_mean.clone()) if norm.training else None)
        (micro,) = next(iter(job.steps(0, 0)))
        share_of(job.losses(dataclasses.replace(micro, pieces=pieces), 0.0)).backward()
        assert len(calls) == (1 if pieces == 1 else 2 * pieces)
        assert int(norm.num_batches_tracked) - before == pieces
        assert torch.equal(norm.running_mean, calls[pieces - 1]), "the second pass moved them"


def test_one_epoch_trains_one_epoch() -> None:
    """Half of one epoch is none."""
    with adapted(setting_of(tiny("bert"), epochs=1), method_of("contrastive"), 0) as done:
        assert done.job.options.epochs == 1
        assert done.trace.best_value is not None
