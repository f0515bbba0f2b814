"""Terms and streams: parts add up, what is dealt, and terms that say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backbones.tiny import tiny
from contract.settings import setting_of, texts
from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.engine.adapt import adapted, attached
from headstart.engine.feed.streams import dealt
from headstart.engine.job import Loss, share_of
from headstart.methods.method import GradientMethod, head_group, rung_groups
from headstart.methods.plan import Model, Plan
from headstart.methods.term import TRAIN, Outputs, Step, Stream, TaskTerm, Term


@dataclass(frozen=True)
class Near(Term):
    """Features of a stream near those of the training examples beside them."""

    name: ClassVar[str] = "near"
    streams: ClassVar[tuple[str, ...]] = (TRAIN, "more")

    def loss(self, seen: Mapping[str, Outputs], at: Step) -> Tensor:
        return (seen[TRAIN].features - seen["more"].features).square().sum()


@dataclass(frozen=True)
class Apart(Near):
    """The same of the step's means, so of all its examples together."""

    name: ClassVar[str] = "apart"
    whole: ClassVar[bool] = True

    def loss(self, seen: Mapping[str, Outputs], at: Step) -> Tensor:
        return (seen[TRAIN].features.mean(0) - seen["more"].features.mean(0)).square().sum()


@dataclass(frozen=True)
class Idle(Term):
    """A loss of the head alone."""

    name: ClassVar[str] = "idle"

    def loss(self, seen: Mapping[str, Outputs], at: Step) -> Tensor:
        return at.module.head.weight.square().sum()


@dataclass(frozen=True)
class Toy(GradientMethod):
    terms: tuple[Term, ...] = (TaskTerm(), Near())
    streams: tuple[Stream, ...] = (Stream("more", tuple(texts(30, 9))),)

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        groups = (*rung_groups(backbone), head_group(backbone, head))
        return self.plan(backbone, groups, terms=self.terms, streams=self.streams)


def without_dropout() -> Backbone:
    backbone = tiny("bert")
    for module in backbone.module.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return backbone


@pytest.mark.parametrize("term", [Near(), Apart()])
def test_a_step_in_parts_has_the_loss_and_the_gradient_of_the_step_in_one(term: Term) -> None:
    """Cut by the budget of tokens, and once more where memory ran out."""
    found = []
    for tokens, cut in ((8192, 1), (40, 1), (40, 2)):
        setting = setting_of(without_dropout(), batch_tokens=tokens)
        with attached(setting, Toy(terms=(TaskTerm(), term)), 0) as job:
            job.enter(0.0)
            micros = [piece for micro in next(iter(job.steps(0, 0))) for piece in micro.split(cut)]
            loss = sum((share_of(job.losses(micro, 0.0)) for micro in micros), torch.zeros(()))
            loss.backward()
            gradients = [p.grad.clone() for p in job.module.parameters() if p.grad is not None]
            places = {place for micro in micros for place in micro.streams["more"].positions.tolist()}
            found.append((loss.item(), gradients, places))
    assert len(found[0][2]) == 8
    for loss, gradients, places in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=1e-5)
        assert places == found[0][2]
        torch.testing.assert_close(gradients, found[0][1], rtol=1e-3, atol=1e-5)


def test_sums_with_one_divisor_are_added_first() -> None:
    one, two, whole = torch.tensor(2.0), torch.tensor(4.0), torch.tensor(0.5)
    found = share_of({"a": Loss(one, 3), "b": Loss(whole), "c": Loss(two, 3)})
    assert float(found) == float((one + two) / 3 + whole)


def test_all_of_a_stream_comes_before_any_comes_again() -> None:
    feed = setting_of(tiny("bert"), count=10).train
    steps = dealt(feed, [[3, 5], [8], [4]], 0, "more", 0)
    assert [[len(part) for part in step] for step in steps] == [[3, 5], [8], [4]]
    flat = np.concatenate([part for step in steps for part in step])
    assert np.bincount(flat, minlength=10).tolist() == [2] * 10
    for step in steps:
        lengths = feed.costs[np.concatenate(step)]
        assert (np.diff(lengths) <= 0).all(), "the longest first"
    again = dealt(feed, [[3, 5], [8], [4]], 0, "more", 1)
    assert any((a != b).any() for one, two in zip(steps, again) for a, b in zip(one, two))


def test_going_on_inside_an_epoch_deals_the_same() -> None:
    with attached(setting_of(tiny("bert")), Toy(), 0) as job:
        whole, rest = list(job.steps(1, 0)), list(job.steps(1, 2))
    for one, two in zip(whole[2:], rest, strict=True):
        for a, b in zip(one, two, strict=True):
            assert a.positions.tolist() == b.positions.tolist()
            assert a.streams["more"].positions.tolist() == b.streams["more"].positions.tolist()


def test_a_term_that_says_nothing_to_the_backbone_is_an_error() -> None:
    setting, toy = setting_of(tiny("bert"), batch_tokens=40), Toy(terms=(TaskTerm(), Idle()), streams=())
    with pytest.raises(MethodError, match="'idle' changes nothing in the backbone"), adapted(setting, toy, 0):
        pass


@pytest.mark.parametrize(
    ("toy", "told"),
    [
        (Toy(streams=()), "reads the stream 'more', which the plan does not have; it has train"),
        (Toy(streams=(Stream("more"), Stream("more"))), "two streams are called 'more'"),
        (Toy(streams=(Stream("more", ()),)), "'more' is empty"),
        (Toy(terms=(Near(), Near())), "two terms are called 'near'"),
    ],
)
def test_streams_and_terms_that_do_not_fit_are_named(toy: Toy, told: str) -> None:
    with pytest.raises(MethodError, match=told), attached(setting_of(tiny("bert")), toy, 0):
        pass


def test_the_texts_of_a_stream_change_the_signature() -> None:
    setting, found = setting_of(tiny("bert")), set()
    for inputs in (tuple(texts(30, 9)), tuple(texts(30, 10))):
        with attached(setting, replace(Toy(), streams=(Stream("more", inputs),)), 0) as job:
            found.add(job.signature)
    assert len(found) == 2


@dataclass(frozen=True)
class Spread(Term):
    """A loss of a stream alone, of its features."""

    name: ClassVar[str] = "spread"
    streams: ClassVar[tuple[str, ...]] = ("more",)

    def loss(self, seen: Mapping[str, Outputs], at: Step) -> Tensor:
        return seen["more"].features.square().sum()


@pytest.mark.parametrize(
    ("terms", "features", "scores"), [((TaskTerm(),), 1, 1), ((Near(),), 2, 0), ((Spread(),), 1, 0)]
)
def test_what_no_term_reads_is_not_computed(terms: tuple[Term, ...], features: int, scores: int) -> None:
    """Forward passes of the backbone and of the head for one part of a step."""
    with attached(setting_of(tiny("bert"), cache=False), Toy(terms=terms), 0) as job:
        job.enter(0.0)
        (micro,) = next(iter(job.steps(0, 0)))
        calls: list[nn.Module] = []
        for module in (job.module.backbone, job.module.head):
            module.register_forward_hook(lambda module, *_: calls.append(module))
        job.losses(micro, 0.0)
        assert calls.count(job.module.backbone) == features
        assert calls.count(job.module.head) == scores


def test_the_head_computes_in_fp32_wherever_its_scores_are_read() -> None:
    backbone, head = tiny("bert"), nn.Linear(32, 3)
    batch = setting_of(backbone).train.batch(np.arange(4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = Model(backbone.module, head)(batch, backbone.features)
        inside = outputs.scores
    assert inside.dtype == outputs.features.dtype == torch.float32
    assert torch.equal(inside, head(outputs.features))
