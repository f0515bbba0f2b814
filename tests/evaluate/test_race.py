"""The race: its rules by hand, and on the bench."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import headstart
from headstart.backbones.backbone import fingerprint
from headstart.core.errors import ConfigurationError, ResourceError
from headstart.data.examples import Data
from headstart.engine.adaptation import Adaptation
from headstart.engine.forecast import Cost, cost
from headstart.engine.job import Options
from headstart.engine.precision import compute
from headstart.evaluate.bench import Bench
from headstart.evaluate.budget import affordable, forecast
from headstart.evaluate.guess import guess
from headstart.evaluate.metrics import metric
from headstart.evaluate.paired import compare
from headstart.evaluate.predictions import Predictions
from headstart.evaluate.race import SLACK, Standing, behind, best_of_each, heat, leader
from headstart.evaluate.racing import Race, Runner
from headstart.evaluate.trainings import Trainings
from headstart.evaluate.tune import candidates
from headstart.methods.freeze import Freeze
from headstart.methods.method import METHODS

ACCURACY = metric("single_label")
TRUTH = np.arange(400) % 4


def answers(right: float, seed: int = 0, **more) -> Standing:
    """A share of the 400 answers right, the others wrong."""
    rng = np.random.default_rng(seed)
    given = np.where(rng.permutation(400) < right * 400, TRUTH, (TRUTH + 1) % 4)
    found = Predictions(np.arange(400), TRUTH, np.eye(4, dtype=np.float32)[given])
    return Standing(found, ACCURACY.of(found), more.pop("loss", 1.0), **more)


def test_the_leader_is_the_best_that_is_no_control() -> None:
    field = {"a": answers(0.8), "b": answers(0.9, control=True), "c": answers(0.8, loss=0.5)}
    assert leader(field) == "c", "of equals the one with the lower loss"
    assert leader({"b": field["b"]}) == "b"


def test_behind_by_the_interval_not_by_the_mean() -> None:
    """400 examples: 8 points are beyond chance, 2 are not."""
    field = {"first": answers(0.90, 1), "near": answers(0.88, 2), "far": answers(0.82, 3)}
    stopped = behind(field, ACCURACY, 1 / 3, slack=0.0)
    assert set(stopped) == {"far"}
    expected = compare([field["far"].predictions], [field["first"].predictions], ACCURACY)
    assert (stopped["far"].difference, stopped["far"].low, stopped["far"].high) == (
        expected.difference, expected.low, expected.high,
    )  # fmt: skip
    assert stopped["far"].leader == "first"


def test_methods_meet_at_the_last_heat_only() -> None:
    """Before it, a method that starts slowly is compared with its own configurations alone."""
    field = {
        ("quick", 1): answers(0.90, 1), ("quick", 2): answers(0.70, 2), ("slow", 1): answers(0.50, 3),
        ("slow", 2): answers(0.48, 4), ("slow", 3): answers(0.30, 5),
    }  # fmt: skip
    first = heat(field, ACCURACY, 0, lambda key: key[0])
    assert {key: (stop.reason, stop.leader) for key, stop in first.items()} == {
        ("quick", 2): ("other", "('quick', 1)"), ("slow", 3): ("other", "('slow', 1)"),
    }  # fmt: skip
    last = heat(field, ACCURACY, 1, lambda key: key[0])
    assert set(last) == set(field) - {("quick", 1)}
    assert {last[key].reason for key in last} == {"behind"}
    close = {key: field[key] for key in (("quick", 1),)} | {
        ("slow", 1): answers(0.88, 3),
        ("slow", 2): answers(0.87, 4),
    }
    assert {key: stop.reason for key, stop in heat(close, ACCURACY, 1, lambda key: key[0]).items()} == {
        ("slow", 2): "other"
    }


def test_one_that_diverged_never_leads_and_stops() -> None:
    """Its score may be that of the weights that were put back, the highest of all."""
    lost = answers(0.95)
    lost = dataclasses.replace(
        lost, predictions=dataclasses.replace(lost.predictions, scores=np.full((400, 4), np.nan, dtype=np.float32))
    )
    field = {"lost": lost, "a": answers(0.9), "control": answers(0.8, control=True)}
    assert leader(field) == "a"
    assert behind(field, ACCURACY, 1 / 9, slack=0.1)["lost"].reason == "diverged"
    assert leader({"lost": lost, "control": field["control"]}) == "control"
    assert {s.reason for s in behind({"lost": lost, "b": lost}, ACCURACY, 1 / 9, slack=0.1).values()} == {"diverged"}


def test_the_slack_is_a_share_of_the_leaders_gain_over_guessing() -> None:
    """Guessing one of four balanced classes: 25 %; the leader has gained 65 points, of which a tenth is 6.5."""
    field = {"first": answers(0.90, 1), "far": answers(0.82, 3)}
    high = compare([field["far"].predictions], [field["first"].predictions], ACCURACY).high
    assert behind(field, ACCURACY, 1 / 9, slack=(-high - 0.001) / 0.65)
    assert not behind(field, ACCURACY, 1 / 9, slack=(-high + 0.001) / 0.65)


def test_where_less_is_better() -> None:
    rng = np.random.default_rng(0)
    truth, rmse = rng.normal(size=300), metric("regression", "rmse")

    def fitted(noise: float) -> Standing:
        found = Predictions(np.arange(300), truth, (truth + noise * rng.normal(size=300))[:, None])
        return Standing(found, -rmse.of(found), 0.0)

    field = {"good": fitted(0.3), "bad": fitted(0.9), "near": fitted(0.31)}
    assert set(behind(field, rmse, 1 / 3, 0.03)) == {"bad"}
    assert rmse.of(guess(field["good"].predictions)) == pytest.approx(truth.std(), rel=1e-4)


def test_a_guess_takes_the_largest_class() -> None:
    found = Predictions(np.arange(5), np.array([0, 1, 1, 1, 2]), np.zeros((5, 3), dtype=np.float32))
    assert ACCURACY.of(guess(found)) == pytest.approx(0.6)


def test_scores_that_are_not_finite_stop_a_runner() -> None:
    broken = answers(0.9)
    broken = dataclasses.replace(
        broken,
        predictions=dataclasses.replace(broken.predictions, scores=np.full((400, 4), np.nan)),
        score=float("nan"),
    )
    stopped = behind({"a": broken, "b": answers(0.3)}, ACCURACY, 1 / 9, SLACK)
    assert {key: stop.reason for key, stop in stopped.items()} == {"a": "diverged"}


def test_what_fits_into_the_time_goes_on_and_the_first_always() -> None:
    assert affordable([5, 4, 3, 1], left=9) == [True, True, False, False]
    assert affordable([5, 9, 3, 1], left=9) == [True, False, True, True]
    assert affordable([5, 1], left=-2) == [True, False]


def test_each_method_goes_on_with_its_best() -> None:
    field = {("a", 1): answers(0.7), ("a", 2): answers(0.8), ("b", 1): answers(0.6)}
    assert best_of_each(field, lambda key: key[0]) == {("a", 2), ("b", 1)}


def test_candidates_look_up_along_every_axis_before_they_look_down() -> None:
    backbone = headstart.load()
    method = Freeze(learning_rate=1e-3, rungs=2)
    axes = method.axes(backbone)
    names = [axis.name for axis in axes]
    assert names[0] == "learning_rate"
    found = candidates(method, axes[:1], 3)
    assert [m.learning_rate for m in found] == pytest.approx([1e-3, 3e-3, 1e-3 / 3])
    assert candidates(method, axes, 1) == [method]
    assert len(set(candidates(method, axes, 9))) == len(candidates(method, axes, 9))


@pytest.fixture(scope="module")
def data():
    whole = headstart.read()
    return dataclasses.replace(
        whole, **{name: getattr(whole, name).take(np.arange(100)) for name in ("train", "validation", "test")}
    )


@pytest.fixture(scope="module")
def settled(tmp_path_factory, data):
    """Two methods that do well and one that learns nothing, with and without a race."""
    settings = {"full.learning_rate": 1e-3, "lora.learning_rate": 3e-3, "freeze.learning_rate": 1e-12}
    found = {}
    for race in (False, True):
        folder = tmp_path_factory.mktemp("race") / "run"
        found[race] = folder, headstart.compare(
            data, methods=["probe", "full", "lora", "freeze"], settings=settings, seeds=2, trials=1,
            epochs=6, race=race, out=folder,
        )  # fmt: skip
    return found


def test_a_race_stops_what_is_hopeless_and_changes_nothing_else(settled) -> None:
    (plain, _), (folder, result) = settled[False], settled[True]
    stopped = result.row("freeze")
    assert stopped.status.startswith("stopped: after 33% of its training, -")
    assert "on validation" in stopped.status
    assert stopped.stopped is not None
    assert stopped.stopped.reason == "behind"
    assert stopped.value is None, "the test split was not looked at"
    for name in ("full", "lora", "probe"):
        assert result.row(name).status == "ok"
        for file in sorted((plain / "predictions").glob(f"{name}-*")):
            assert np.array_equal(
                Predictions.read(file).scores, Predictions.read(folder / "predictions" / file.name).scores
            )
    assert not (folder / "progress").exists()


def test_the_record_and_the_report_tell_of_the_stop(settled) -> None:
    folder, result = settled[True]
    again = type(result).read(folder / "comparison.json")
    assert again.row("freeze").stopped == result.row("freeze").stopped
    page = (folder / "report.html").read_text()
    assert result.row("freeze").status in page.replace("&#39;", "'")
    assert "stopped" in str(result)


def test_no_time_left_but_for_the_leader(data, tmp_path: Path) -> None:
    started = time.perf_counter()
    result = headstart.compare(
        data, methods=["lora", "lora@wide"], seeds=3, trials=2, epochs=4, budget="1s", out=tmp_path / "run",
        settings={"lora@wide.rank": 12},
    )  # fmt: skip
    rows = {row.method: row.status for row in result.rows}
    assert sorted(status.partition(":")[0] for status in rows.values()) == ["ok", "stopped"]
    (late,) = [status for status in rows.values() if status != "ok"]
    assert "for time" in late
    assert "not shown to be worse" in late
    assert result.seeds == (0,)
    assert time.perf_counter() - started < 120


def test_a_budget_too_short_for_the_usual_epochs_shortens_all(data, tmp_path: Path) -> None:
    """Unless the user has said how many. Of ten steps an epoch, ten epochs: fewer than a hundred steps tell nothing."""
    options = {"methods": ["lora", "full"], "seeds": 1, "trials": 1, "budget": "1s"}
    result = headstart.compare(data, out=tmp_path / "short", **options)
    assert result.forecast.epochs == 10
    (row,) = [row for row in result.rows if row.status == "ok"]
    assert [point.epoch for point in row.seeds[0].curve][-1] <= 10.0
    asked = headstart.compare(data, out=tmp_path / "asked", epochs=2, **options)
    assert asked.forecast.epochs is None
    (row,) = [row for row in asked.rows if row.status == "ok"]
    assert [point.epoch for point in row.seeds[0].curve][-1] == 2.0


def test_a_budget_that_is_no_time(data, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="10m"):
        headstart.compare(data, methods=["probe"], budget="soon", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_forecast_counts_the_heats_and_the_seeds() -> None:
    """Two methods of 9 s and 18 s with two configurations each, three seeds.

    Least: a ninth of all four (6 s), two ninths of one of each (6 s), then the rest of the quicker one (6 s) and two
    more seeds of it (18 s). Most: a third of all four (18 s), then for both the rest and two more seeds (27 s of 9, 8/3
    of each).
    """
    costs = {"a": Cost(9.0, 100), "b": Cost(18.0, 300)}
    found = forecast("aabb", costs, seeds=3)
    assert found.least_seconds == pytest.approx(6 + 6 + 6 + 18)
    assert found.most_seconds == pytest.approx(18 + (9 + 18) * (3 - 1 / 3))
    assert found.peak_memory_bytes == 300
    # a second for each pause: four and two to the heats and two for each of three endings; or eight and twelve
    slow = {name: dataclasses.replace(one, pause_seconds=1.0) for name, one in costs.items()}
    paused = forecast("aabb", slow, seeds=3)
    assert paused.least_seconds == pytest.approx(found.least_seconds + 4 + 2 + 6)
    assert paused.most_seconds == pytest.approx(found.most_seconds + 8 + 12)


def trainings(data: Data, folder: Path, options: Options) -> Trainings:
    return Trainings(data, headstart.load(), options, compute("cpu", "fp32"), folder, ACCURACY)


def race_of(costs: dict[str, Cost], deadline: float) -> Race:
    """One that has been started, on a bench with nothing but the metric and three seeds."""
    on = SimpleNamespace(metric=ACCURACY, folder=Path(tempfile.mkdtemp()))
    bench = SimpleNamespace(trainings=on, seeds=(0, 1, 2))
    race = Race(bench, {}, deadline=time.perf_counter() + deadline)
    race.costs = costs
    return race


def test_time_is_kept_for_one_training_at_the_first_heat_and_shared_out_at_the_last() -> None:
    """Of 9 s each: two ninths to the next heat (2 s), six more to the end. 95 % of the time left counts."""
    standings = {Runner(name, None): answers(right, step_seconds=1.0) for name, right in
                 (("a", 0.90), ("b", 0.89), ("c", 0.88), ("d", 0.87))}  # fmt: skip
    costs = {name: Cost(9.0, None) for name in "abcd"}
    at_first = race_of(costs, (6 + 2 * 3.5) / 0.95)._stops(standings, 0)
    assert {runner.name: stop.reason for runner, stop in at_first.items()} == {"d": "time"}
    standings = {runner: dataclasses.replace(one, step_seconds=3.0) for runner, one in standings.items()}
    race = race_of(costs, 6 * 2.5 / 0.95)
    assert {runner.name: stop.reason for runner, stop in race._stops(standings, 1).items()} == {
        "c": "time",
        "d": "time",
    }
    assert race.bench.seeds == (0,)
    race = race_of(costs | {"b": Cost(90.0, None, steady=False)}, 6 * 2.5 / 0.95)
    stops = race._stops(standings, 1)
    assert {runner.name for runner in stops} == {"b", "d"}, "most of its work is to come"


def test_what_the_clock_decided_stays_when_a_race_is_taken_up() -> None:
    """One that was stopped for time is not revived by the time that its second start brings."""
    standings = {Runner(name, None): answers(right, step_seconds=3.0) for name, right in
                 (("a", 0.90), ("b", 0.89), ("c", 0.88))}  # fmt: skip
    race = race_of({name: Cost(9.0, None) for name in "abc"}, 6 * 1.5 / 0.95)
    stopped = race._stops(standings, 1)
    assert {runner.name for runner in stopped} == {"b", "c"}
    again = Race(SimpleNamespace(trainings=race.trainings, seeds=(0, 1, 2)), {}, deadline=time.perf_counter() + 1e6)
    again.costs = race.costs
    assert again._stops(standings, 1) == stopped
    assert again.bench.seeds == race.bench.seeds == (0,)


def test_a_race_begins_with_what_the_disk_holds(data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of each that is paused, and the largest twice while it is written."""
    on = trainings(data, tmp_path / "run", Options(epochs=9))
    bench = Bench(on, (0,), 2)
    methods = {"full": METHODS["full"]()}
    race = Race(bench, methods)
    race.start()
    each = race.costs["full"].state_bytes
    assert len(race.starters) == 2
    assert race.forecast.disk_bytes == 2 * each
    state = on.checkpoint(*race.starters[0], 0)
    on.until(1 / 9, *race.starters[0], 0)
    assert state.size == pytest.approx(each, rel=0.02)
    for room, started in ((each, 2), (each - 10**5, 1)):  # one of the two lies there already
        monkeypatch.setattr(Trainings, "free_bytes", lambda _, room=room: 2 * room)
        again = Race(bench, methods)
        again.start()
        assert len(again.starters) == started
        bench.trials = 2
    state.remove()
    monkeypatch.setattr(Trainings, "free_bytes", lambda _: each)
    with pytest.raises(ResourceError, match="states of 1 paused trainings, about .* GB free. Free space"):
        Race(bench, methods).start()
    on.cache.close()


def test_where_all_diverge_nobody_goes_on() -> None:
    lost = answers(0.9)
    lost = dataclasses.replace(
        lost, predictions=dataclasses.replace(lost.predictions, scores=np.full((400, 4), np.nan, dtype=np.float32))
    )
    standings = {Runner("a", None): lost, Runner("b", None): lost}
    for number in (0, 1):
        stops = race_of({"a": Cost(9.0, None), "b": Cost(9.0, None)}, 5.0)._stops(standings, number)
        assert [stop.reason for stop in stops.values()] == ["diverged", "diverged"]


@pytest.mark.parametrize("race", [True, False])
@pytest.mark.parametrize("how", ["raises", "no number"])
def test_a_configuration_that_fails_is_not_its_method(
    data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, race: bool, how: str
) -> None:
    """A rate that is too high may break a model inside an epoch, before the loop has judged it."""
    logits = Adaptation.logits

    def broken(job: Adaptation, *arguments: Any) -> torch.Tensor:
        found = logits(job, *arguments)
        if job.plan.learning_rate is None or job.plan.learning_rate <= 4e-3:
            return found
        if how == "raises":
            raise RuntimeError("too much for this rate")
        return torch.full_like(found, torch.nan)

    monkeypatch.setattr(Adaptation, "logits", broken)
    result = headstart.compare(
        data, methods=["lora", "full"], settings={"full.learning_rate": 5e-3}, seeds=1, trials=2, epochs=2, race=race,
        out=tmp_path / "run",
    )  # fmt: skip
    row = result.row("lora")
    assert row.status == "ok"
    assert [trial.chosen for trial in row.trials] == [True, False]
    (lost,) = [trial for trial in row.trials if not trial.chosen]
    assert lost.configuration["learning_rate"] > 4e-3
    assert lost.validation_value is None
    told = lost.stopped.reason if lost.stopped else lost.status
    assert told.startswith("failed: too much" if how == "raises" else "diverged")
    assert result.row("full").status.startswith("failed: too much" if how == "raises" else "diverged")


def test_a_race_that_is_taken_up_keeps_its_epochs(data, tmp_path: Path) -> None:
    on = trainings(data, tmp_path, Options())
    bench = Bench(on, (0,), 1)
    methods = {"lora": METHODS["lora"]()}
    race = Race(bench, methods, deadline=time.perf_counter() + 1, shortens=True)
    race.start()
    assert on.options.epochs == 10
    assert on.options.patience == 3
    usual = Options().sized(len(data.train))
    on.options = usual
    again = Race(bench, methods, deadline=time.perf_counter() + 1e6, shortens=True)
    again.start()
    assert on.options.epochs == again.forecast.epochs == 10
    on.cache.close()


def test_a_forecast_is_near_what_a_training_takes(data, tmp_path: Path) -> None:
    """Within a factor of three on a busy machine, and nothing has learned from it."""
    on = trainings(data, tmp_path, Options(epochs=20))
    backbone, method = on.backbone, on.settled(METHODS["full"]())
    before = backbone.fingerprint
    found = cost(on.setting, method)
    assert fingerprint(backbone.module) == before
    run = on.once("full", method, 0)
    assert run.seconds / 3 < found.seconds < run.seconds * 3
    assert found.peak_memory_bytes > backbone.record().parameters * 4
    on.cache.close()


def test_the_record_tells_what_was_forecast(settled) -> None:
    folder, result = settled[True]
    assert result.forecast.least_seconds < result.forecast.most_seconds
    assert type(result).read(folder / "comparison.json").forecast == result.forecast
    assert settled[False][1].forecast is None


def test_time_of_earlier_sessions_counts(data, tmp_path: Path) -> None:
    """For the record and for the budget: what was interrupted has spent some of it."""
    options = {"methods": ["full"], "seeds": 1, "trials": 1, "epochs": 1, "out": tmp_path / "run"}
    headstart.compare(data, **options)
    record = json.loads((tmp_path / "run" / "comparison.json").read_text())
    (tmp_path / "run" / "comparison.json").write_text(json.dumps(record | {"status": "partial", "seconds": 1000.0}))
    assert headstart.compare(data, resume=True, **options).seconds > 1000
