"""Ranking: the backbone whose features hold the answer comes first, and nobody looks at the test split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from backbones.tiny import tiny
from contract.settings import setting_of
from headstart.comparison.rank import rank, subset_of
from headstart.core.errors import ConfigurationError, ModelError
from headstart.core.records.ranking import Ranking
from headstart.data.embedded import digits
from headstart.data.examples import Data
from headstart.engine.machine.precision import compute
from headstart.report.terminal.candidates import table
from headstart.stats.metrics import metric


def ranked(models: list[str], backbones: dict[str, Any], **more: Any) -> Any:
    def load(name: str) -> Any:
        found = backbones[name]
        if isinstance(found, Exception):
            raise found
        return found

    return rank(digits(), models, load, metric("single_label"), compute("cpu", "fp32"), examples=120, **more)


def blind(name: str = "timm_resnet") -> Any:
    """A network whose features say nothing."""
    backbone = tiny(name)
    with torch.no_grad():
        for parameter in backbone.module.parameters():
            parameter.mul_(0)
    return backbone


def test_the_best_features_come_first() -> None:
    import headstart

    found = ranked(["blind", "glance"], {"blind": blind(), "glance": headstart.load("builtin/glance")})
    assert [one.model for one in found] == ["glance", "blind"]
    best, worst = found
    assert best.probe > 0.7
    assert best.low <= best.probe <= best.high
    assert best.knn > worst.knn
    assert best.logme > worst.logme
    assert best.h_score > worst.h_score
    assert worst.probe < 0.3


def test_the_probe_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.preprocessing import normalize

    from headstart.engine.cache.cache import Cache, all_features
    from headstart.engine.feed.feed import Feed

    backbone, data = tiny("timm_resnet"), digits()
    (found,) = ranked(["resnet"], {"resnet": backbone})
    cache, subset = Cache(backbone, compute("cpu", "fp32")), subset_of(data.train, 120)
    x, held_out = (
        all_features(cache, Feed(name, part, backbone), 8192).double().numpy()
        for name, part in (("train", subset), ("validation", data.validation))
    )
    mean, std = x.mean(0), np.where(x.std(0) > 0, x.std(0), 1.0)
    peer = LogisticRegression(C=1 / 30, max_iter=5000, tol=1e-8).fit((x - mean) / std, subset.targets)
    assert found.probe == pytest.approx(peer.score((held_out - mean) / std, data.validation.targets), abs=0.011)
    near = KNeighborsClassifier(5).fit(normalize(x), subset.targets)
    assert found.knn == pytest.approx(near.score(normalize(held_out), data.validation.targets), abs=0.03)  # ties


def test_a_race_confirms_the_order_and_stops_the_hopeless_one_early() -> None:
    from headstart.comparison.confirm import confirm
    from headstart.core.records.ranking import Candidate

    backbones = {"blind": blind("mlp"), "seeing": tiny("mlp")}
    given = [Candidate("blind", logme=2.0), Candidate("seeing", logme=1.0), Candidate("third", logme=0.0)]
    found = confirm(digits(), given, 2, backbones.__getitem__, metric("single_label"), compute("cpu", "fp32"))
    assert [one.model for one in found] == ["seeing", "blind", "third"]
    assert found[0].tuned_share == 1.0
    assert found[0].tuned > 0.5
    assert found[1].tuned_share < 1.0, "it was clearly behind"
    assert found[1].tuned_high < found[0].tuned_low
    assert found[2].tuned_share is None
    assert all(backbone.intact for backbone in backbones.values())


def test_each_rung_is_a_candidate() -> None:
    backbone = tiny("timm_resnet")
    found = ranked(["resnet"], {"resnet": backbone}, rungs=True)
    assert len(found) == len(backbone.level_widths)
    assert {one.dimension for one in found} == set(backbone.level_widths)
    (top,) = ranked(["resnet"], {"resnet": tiny("timm_resnet")})
    of_top = next(one for one in found if one.rung == "top")
    assert of_top.probe == pytest.approx(top.probe)
    assert of_top.logme == pytest.approx(top.logme, abs=1e-4)


def test_a_model_that_can_not_be_scored_says_why_and_the_others_are() -> None:
    found = ranked(["gone", "resnet", "text"], {
        "gone": ModelError("there is no such model."), "resnet": tiny("timm_resnet"), "text": tiny("bert"),
    })  # fmt: skip
    assert [one.model for one in found] == ["resnet", "gone", "text"]
    assert found[1].status == "there is no such model."
    assert "the data are images" in found[2].status
    with pytest.raises(ModelError, match="no such model"):
        ranked(["gone"], {"gone": ModelError("there is no such model.")})


def test_without_validation_there_is_nothing_to_rank_by() -> None:
    data = digits()
    bare = Data(data.task, data.train, data.validation.take([]), data.test, data.record)
    with pytest.raises(ConfigurationError, match="validation"):
        rank(bare, ["x"], lambda name: tiny("timm_resnet"), metric("single_label"), compute("cpu"))


@pytest.mark.parametrize("kind", ["regression", "multi_label"])
def test_other_kinds_of_task(kind: str) -> None:
    setting = setting_of(tiny("bert"), kind=kind, count=40)
    data = Data(setting.task, setting.train.examples, setting.validation.examples, setting.validation.examples, None)  # type: ignore[arg-type]
    (found,) = rank(data, ["bert"], lambda name: tiny("bert"), metric(kind), compute("cpu", "fp32"))  # type: ignore[arg-type]
    assert found.h_score is None
    assert (found.knn is None) == (kind == "multi_label")
    assert np.isfinite([found.probe, found.logme]).all()


def test_the_subset_is_the_same_each_time_and_in_order() -> None:
    train = digits().train
    first, again = subset_of(train, 50), subset_of(train, 50)
    assert len(first) == 50
    assert first.ids.tolist() == again.ids.tolist() == sorted(first.ids.tolist())
    assert subset_of(train, 10**6) is train


def test_the_record_comes_back_from_json(tmp_path: Any) -> None:
    import headstart

    found = headstart.rank(digits(), ["builtin/glance"], examples=60, device="cpu")
    found.write(tmp_path / "ranking.json")
    assert Ranking.read(tmp_path / "ranking.json") == found
    size = found.candidates[0].image_size
    assert len(size) == 2
    told = " ".join(table(found).split())
    assert f"Images were read at {size[0]} x {size[1]} (builtin/glance) pixels" in told
    assert "Features are those of the top; --rungs scores the others too." in told
