"""An exception in one training costs its row; the others, and what they share, are untouched."""

from __future__ import annotations

import errno
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import headstart
from backbones.tiny import tiny
from headstart.comparison import bench as benches
from headstart.comparison.trials.containment import Failed, contained
from headstart.core.errors import MethodError, ResourceError
from headstart.core.records.comparison import Comparison
from headstart.data.embedded import digits
from headstart.engine.adaptation import Adaptation
from headstart.engine.job import Options
from headstart.methods.adapters.lora import Lora

TEXTS = [f"{'good great' if n % 2 else 'bad awful'} film {n}" for n in range(40)]
LABELS = ["yes" if n % 2 else "no" for n in range(40)]
SHORT: dict[str, Any] = {"methods": ["lora", "probe"], "seeds": 1, "trials": 1, "epochs": 1}
DEVICE = RuntimeError("CUDA error: device-side assert triggered")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "t.jsonl"
    file.write_text("\n".join(json.dumps({"text": t, "label": y}) for t, y in zip(TEXTS, LABELS)))
    return file


def raising(error: BaseException) -> Any:
    def run(*_: Any, **__: Any) -> Any:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "line", "race"),
    [
        (KeyError("weight"), "KeyError: 'weight'", False),
        (TypeError("takes 3 arguments"), "TypeError: takes 3 arguments", True),
        (MemoryError(), "MemoryError:", False),
        (FileNotFoundError(errno.ENOENT, "no such table"), "FileNotFoundError: [Errno 2] no such table", False),
        (DEVICE, "CUDA error: device-side assert triggered", True),
    ],
)
def test_whatever_a_method_raises_is_its_rows_status(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, line: str, race: bool
) -> None:
    monkeypatch.setattr(Lora, "attach", raising(error))
    found = headstart.compare(table, tiny("bert"), out=tmp_path / "run", race=race, **SHORT)
    row = found.row("lora")
    assert row.status == f"failed: {line}"
    assert found.row("probe").status == "ok"
    assert row.notes == ("traceback: errors/lora.txt",)
    told = (tmp_path / "run" / "errors" / "lora.txt").read_text()
    assert "Traceback" in told
    assert line.partition(":")[0] in told


def test_a_device_that_fails_while_testing_costs_its_row(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = benches.tested

    def tested(model: Path, *rest: Any) -> Any:
        if model.parent.parent.name == "lora":
            raise DEVICE
        return plain(model, *rest)

    monkeypatch.setattr(benches, "tested", tested)
    found = headstart.compare(table, tiny("bert"), out=tmp_path / "run", **SHORT)
    assert found.row("lora").status.startswith("failed: CUDA error")
    assert found.row("lora").trials, "what its training took is kept"
    assert found.verdict.method == "probe"
    assert Comparison.read(tmp_path / "run" / "comparison.json").status == "complete"


def test_scores_that_are_no_numbers_while_testing_cost_the_row(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Adaptation.judged

    def judged(job: Any, feed: Any, *rest: Any) -> Any:
        scores, texts = plain(job, feed, *rest)
        return scores * np.nan if feed.name == "test" and job.plan.edits else scores, texts

    monkeypatch.setattr(Adaptation, "judged", judged)
    found = headstart.compare(table, tiny("bert"), out=tmp_path / "run", **SHORT)
    assert "not finite on the test split" in found.row("lora").status
    assert found.verdict.method == "probe"


def test_an_exception_outside_of_any_training_leaves_a_record(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart.comparison.bench import Bench

    plain = Bench.row

    def row(bench: Bench, name: str, *rest: Any) -> Any:
        if name == "lora":
            raise ZeroDivisionError
        return plain(bench, name, *rest)

    monkeypatch.setattr(Bench, "row", row)
    with pytest.raises(ZeroDivisionError):
        headstart.compare(table, tiny("bert"), out=tmp_path / "run", **SHORT)
    assert Comparison.read(tmp_path / "run" / "comparison.json").row("probe").status == "ok"


@pytest.mark.parametrize(
    "error", [ResourceError("disk full"), OSError(errno.ENOSPC, "no space"), MethodError("no"), KeyboardInterrupt()]
)
def test_what_every_other_training_would_meet_passes(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), contained(tmp_path, "x"):
        raise error
    assert not list(tmp_path.iterdir())


def test_a_failure_names_no_path_outside_the_run(tmp_path: Path) -> None:
    with pytest.raises(Failed), contained(tmp_path / "run", "a/../../b"):
        raise KeyError
    assert not (tmp_path / "b.txt").exists()
    assert len(list((tmp_path / "run" / "errors").iterdir())) == 1


def test_one_models_lack_of_memory_leaves_the_confirmed_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    """And never are two models in memory at a time."""
    import gc
    import weakref

    from headstart.comparison import confirm as confirming
    from headstart.comparison.confirm import confirm
    from headstart.core.records.ranking import Candidate
    from headstart.engine.machine.precision import compute
    from headstart.stats.metrics import metric

    monkeypatch.setattr(confirming, "Options", partial(Options, epochs=2, batch_size=30))
    data = digits()
    alive = weakref.WeakSet()
    most = 0

    def load(name: str) -> Any:
        nonlocal most
        if name == "large":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        backbone = tiny("timm_resnet", seed=len(name))
        gc.collect()
        alive.add(backbone.module)
        most = max(most, len(alive))
        return backbone

    given = [Candidate(name, logme=1.0) for name in ("large", "one", "two2")]
    small = data.train.take(np.arange(50))
    small = type(data)(data.task, small, data.validation.take(np.arange(50)), data.test, data.record)
    found = confirm(small, given, 3, load, metric("single_label"), compute("cpu", "fp32"))
    assert {one.model: one.status for one in found}["large"] == "failed: CUDA out of memory."
    assert found[0].tuned is not None
    assert found[-1].model == "large"
    assert most == 1


def test_a_comparison_leaves_the_model_and_the_generators_as_they_were(table: Path, tmp_path: Path) -> None:
    import random

    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    headstart.compare(table, tiny("bert"), out=tmp_path / "run", **SHORT)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]
    assert random.getstate() == before[2]


def test_a_network_for_images_keeps_its_layout(tmp_path: Path) -> None:
    backbone = tiny("timm_resnet")
    strides = {name: p.stride() for name, p in backbone.module.named_parameters()}
    headstart.compare(digits(), backbone, out=tmp_path / "run", methods=["majority", "probe"], seeds=1, trials=1)
    assert {name: p.stride() for name, p in backbone.module.named_parameters()} == strides
