"""Prompted methods in a comparison: trials, seeds, costs, the saved model, and where they are usual."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import headstart
from backbones.tiny import causal, tiny
from contract.settings import task_of
from headstart.backbones.loaders.load import load
from headstart.comparison.bench import Bench
from headstart.comparison.selection import PROMPTED, fitting, methods_named
from headstart.core.records.comparison import Comparison
from headstart.methods.method import method_class, settled
from headstart.methods.view import View
from headstart.stats.predictions import Predictions

LAYOUT = "{}={}"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return causal("llama", tmp_path_factory.mktemp("models") / "llama", max_position_embeddings=600)


@pytest.fixture(scope="module")
def run(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path]:
    """Two prompted methods and a probe on 60 short texts."""
    place = tmp_path_factory.mktemp("run")
    with (place / "data.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(
            [f"{'cat' if n % 2 else 'dog'} {n}", f"{n % 2}_{'cats' if n % 2 else 'dogs'}"] for n in range(60)
        )
    record = headstart.compare(
        place / "data.csv", str(model), out=place / "out", methods=["zeroshot", "fewshot", "probe"], seeds=2, trials=2,
        settings={"layout": LAYOUT, "choice": "balanced", "fewshot.instruction": ""}, keep=True, precision="fp32",
    )  # fmt: skip
    return record, place / "out"


def test_prompts_have_as_many_trials_as_others_and_draws_are_seeds(run: tuple[Comparison, Path]) -> None:
    record, _ = run
    zero, few, probe = (record.row(name) for name in ("zeroshot", "fewshot", "probe"))
    assert [row.status for row in (zero, few, probe)] == ["ok"] * 3
    assert len(zero.trials) == len(few.trials) == 2
    assert (len(zero.seeds), len(few.seeds)) == (1, 2)
    assert len(probe.trials) > 2, "a search on kept features is nearly free"
    assert zero.trained_parameters == few.trained_parameters == 0
    assert few.tokens_in > zero.tokens_in > probe.tokens_in
    assert (zero.tokens_out, probe.tokens_out) == (4.0, 0.0)  # the bytes of cats and of dogs


def test_the_saved_prompt_predicts_what_was_tested(run: tuple[Comparison, Path], model: Path) -> None:
    record, folder = run
    views = []
    for seed in (0, 1):
        place = folder / "models" / "fewshot" / f"seed{seed}"
        views.append(View.from_json(json.loads((place / "artifact.json").read_text())["view"]))
        tested = Predictions.read(folder / "predictions" / f"fewshot-seed{seed}.safetensors")
        data = headstart.read(folder.parent / "data.csv")
        found = headstart.predict(place, data.test.inputs(), precision="fp32")
        scores = np.array([list(one.probabilities.values()) for one in found])
        np.testing.assert_allclose(scores, tested.scores, rtol=1e-4, atol=1e-6)
    assert views[0].words == ("dogs", "cats")
    assert views[0].demonstrations != views[1].demonstrations
    assert len(views[0].demonstrations) == record.row("fewshot").configuration["demonstrations"]


def test_the_page_shows_tokens(run: tuple[Comparison, Path]) -> None:
    record, folder = run
    assert "read per text, its prompt included" in (folder / "report.html").read_text()
    assert f"{record.row('zeroshot').tokens_in:.0f}" in (folder / "report.html").read_text()


def test_a_number_of_demonstrations_is_tuned_unless_it_is_given(model: Path) -> None:
    bench: Any = SimpleNamespace(workshop=SimpleNamespace(backbone=load(str(model))))
    for given, tuned in ((None, True), (12, False), (4, False)):
        method = method_class("fewshot")(demonstrations=given)  # type: ignore[call-arg]
        assert ("demonstrations" in [axis.name for axis in Bench.axes(bench, method)]) == tuned
        assert settled(method, bench.workshop.backbone).demonstrations == (given or 12)  # type: ignore[attr-defined]


def test_prompted_methods_are_usual_where_the_backbone_and_the_task_have_what_they_need(model: Path) -> None:
    methods = methods_named((*PROMPTED, "probe"), {})
    speaks, body = load(str(model)), tiny("llama")
    assert list(fitting(methods, speaks, task_of(speaks))) == ["zeroshot", "fewshot", "probe"]
    assert list(fitting(methods, body, task_of(body))) == ["probe"]
    assert list(fitting(methods, speaks, task_of(speaks, "multi_label"))) == ["probe"]
    asked = methods_named((*PROMPTED, "probe"), {"fewshot.demonstrations": 2})
    assert list(fitting(asked, body, task_of(body))) == ["fewshot", "probe"], "the user's settings get a reason"
