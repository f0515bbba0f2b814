"""One preparation of a job: the training, the rate finder and the forecast learn the same problem."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from backbones.tiny import tiny
from contract.settings import FP32, method_of, setting_of
from headstart.api.choosing import find_rate
from headstart.data.embedded import digits
from headstart.engine import adapt, forecast
from headstart.engine.adapt import adapted
from headstart.engine.adaptation import Adaptation
from headstart.engine.cache.cache import Cache, all_features
from headstart.engine.feed.feed import Feed
from headstart.engine.fit import fit


def test_prices_are_found_a_rate_for_in_units_of_their_spread(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    rows = [f"house of {n} rooms,{1e6 * (n % 7 + 1)}" for n in range(60)]
    file.write_text("\n".join(["text,label", *rows]))
    found = find_rate(str(file), tiny("bert"), method="full", steps=20, kind="regression", text="text", label="label")
    assert max(found.losses[:5]) < 10, "squared errors of standardised targets are near 1"


def test_a_head_that_begins_solved_begins_so_in_the_rate_finder(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what the finder trains on is augmented as asked."""
    seen: list[Any] = []

    def watched(job: Adaptation, **_: Any) -> Any:
        seen.append((copy.deepcopy(job.module.head), job.train.augment))
        raise StopIteration

    monkeypatch.setattr("headstart.engine.finder.find_rate", watched)
    for method, augment in (("lpft", "mixup"), ("full", "none")):
        with pytest.raises(StopIteration):
            find_rate(digits(), tiny("timm_resnet"), method=method, augment=augment, epochs=1, precision="fp32")
    (solved, mixed), (random, plain) = seen
    assert mixed.name == "mixup"
    assert plain.name == "none"
    backbone = tiny("timm_resnet")
    data, cache = digits(), Cache(backbone, FP32)
    features = all_features(cache, Feed("train", data.train, backbone), 8192)
    right = [head(features).argmax(1).numpy() == data.train.targets for head in (solved, random)]
    assert np.mean(right[0]) > 0.4 > 0.3 > np.mean(right[1])


@pytest.mark.parametrize("name", ["full", "lpft", "l2sp", "distill"])
def test_fit_and_forecast_prepare_a_job_the_same_way(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Head, units and anchors when the first step is taken."""
    setting = setting_of(tiny("mlp"), kind="regression", epochs=1)
    states: dict[str, Any] = {}

    def state(job: Adaptation) -> Any:
        weights = [p.detach().clone() for p in job.module.head.parameters()]
        return weights, job.centre, job.spread, {t: {n: v.tolist() for n, v in k.items()} for t, k in job.kept.items()}

    def trained(job: Adaptation, *arguments: Any, **options: Any) -> Any:
        states["fit"] = state(job)
        return fit(job, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(adapt, "fit", trained)
        with adapted(setting, method_of(name), 0):
            pass
    real = forecast.optimizer_of

    def optimizer(job: Adaptation, device: torch.device) -> Any:
        states["forecast"] = state(job)
        return real(job, device)

    monkeypatch.setattr(forecast, "optimizer_of", optimizer)
    forecast.cost(setting, method_of(name))
    first, second = states["fit"], states["forecast"]
    assert all(torch.equal(a, b) for a, b in zip(first[0], second[0], strict=True))
    assert first[1:] == second[1:]
    assert first[2] != 1.0
