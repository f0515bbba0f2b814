"""The race: its rules and its planning by hand, and on the bench."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import headstart
from backbones.tiny import tiny
from headstart.backbones.backbone import fingerprint
from headstart.comparison import compare as comparing
from headstart.comparison.outlook import Outlook
from headstart.comparison.race.budget import NAMED, RESERVE, Contender, Course, expected, finals, planned, said
from headstart.comparison.race.race import Standing, behind, in_order, leader
from headstart.comparison.race.racing import Race
from headstart.comparison.race.watch import Watch
from headstart.comparison.trials.trial import run_trial
from headstart.comparison.trials.workshop import Workshop
from headstart.comparison.tune import candidates
from headstart.core.errors import ConfigurationError
from headstart.core.progress import Silent
from headstart.core.records.comparison import Comparison
from headstart.core.records.training import Shortened
from headstart.data import embedded
from headstart.data.examples import Data
from headstart.engine.adaptation import Adaptation
from headstart.engine.forecast import Cost, cost
from headstart.engine.job import Options
from headstart.engine.machine.precision import compute
from headstart.methods.layers.freeze import Freeze
from headstart.methods.method import METHODS
from headstart.stats.guess import guess
from headstart.stats.metrics import metric
from headstart.stats.paired import compare
from headstart.stats.predictions import Predictions

ACCURACY = metric("single_label")
TRUTH = np.arange(400) % 4


def answers(right: float, seed: int = 0, **more) -> Standing:
    """A share of the 400 answers right, the others wrong."""
    rng = np.random.default_rng(seed)
    given = np.where(rng.permutation(400) < right * 400, TRUTH, (TRUTH + 1) % 4)
    found = Predictions(np.arange(400), TRUTH, np.eye(4, dtype=np.float32)[given])
    return Standing(found, ACCURACY.of(found), more.pop("loss", 1.0), **more)


def lost(right: float = 0.95, **more) -> Standing:
    """One that diverged; its score may be that of the weights that were put back, the highest of all."""
    one = answers(right, **more)
    nothing = np.full((400, 4), np.nan, dtype=np.float32)
    return dataclasses.replace(one, predictions=dataclasses.replace(one.predictions, scores=nothing))


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


def test_one_that_diverged_never_leads_and_stops() -> None:
    field = {"lost": lost(), "a": answers(0.9), "control": answers(0.8, control=True)}
    assert leader(field) == "a"
    assert behind(field, ACCURACY, 1 / 3)["lost"].reason == "diverged"
    assert leader({"lost": lost(), "control": field["control"]}) == "control"
    assert {s.reason for s in behind({"lost": lost(), "b": lost()}, ACCURACY, 1 / 3).values()} == {"diverged"}
    assert in_order(field, ACCURACY, list(field), lambda key: False, in_turn=True) == ["a", "control"]


def test_the_slack_is_a_share_of_the_leaders_gain_over_guessing() -> None:
    """Guessing one of four balanced classes: 25 %; the leader has gained 65 points, of which a tenth is 6.5."""
    field = {"first": answers(0.90, 1), "far": answers(0.82, 3)}
    high = compare([field["far"].predictions], [field["first"].predictions], ACCURACY).high
    assert behind(field, ACCURACY, 1 / 3, slack=(-high - 0.001) / 0.65)
    assert not behind(field, ACCURACY, 1 / 3, slack=(-high + 0.001) / 0.65)


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


@pytest.mark.parametrize("in_turn", [True, False])
def test_the_listed_order_decides_among_those_of_one_start_that_are_not_clearly_behind(in_turn: bool) -> None:
    """A few steps in, those that begin from a solved head are ahead of all that begin from nothing."""
    field = {
        "solved": answers(0.90, 1), "second": answers(0.51, 2), "also solved": answers(0.70, 3),
        "bad": answers(0.31, 4), "worse": answers(0.30, 5), "first": answers(0.50, 6),
        "control": answers(0.95, 7, control=True),
    }  # fmt: skip
    listed = ["worse", "first", "solved", "second", "control", "also solved", "bad"]
    order = in_order(field, ACCURACY, listed, lambda key: "solved" in key, in_turn)
    assert order == (
        ["first", "solved", "second", "also solved", "bad", "worse", "control"] if in_turn
        else ["first", "second", "bad", "worse", "solved", "also solved", "control"]
    )  # fmt: skip


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


def some_contenders(rng: np.random.Generator) -> list[Contender]:
    steps, epochs = int(rng.integers(20, 3000)), int(rng.integers(1, 40))
    return [
        Contender(
            Cost(steps * int(rng.choice([1, 1, 1, 10])), epochs, *rng.exponential([0.1, 1.0, 1.0]).tolist()),
            float(rng.exponential(2.0)), bool(rng.random() < 0.1),
        )
        for _ in range(rng.integers(1, 12))
    ]  # fmt: skip


def final_of(course: Course, order: list[Contender]) -> float:
    """Training by training: the first seed's may be the heat's, and its test counts with the heat.

    The costliest of them may come out best.
    """
    took, named = 0.0, order[: course.finalists]
    best = max(named, key=lambda one: one.cost.seconds(course.final) + one.test_seconds, default=None)
    for contender in named:
        for seed in range(course.seeds if contender is best else course.others):
            took += contender.cost.seconds(course.final) if seed or course.heat < course.final else 0.0
            took += contender.test_seconds if seed else 0.0
    return took


@pytest.mark.parametrize("seed", range(100))
def test_no_course_takes_longer_than_there_is_time(seed: int) -> None:
    """By a sum over the trainings one by one; and what is planned grows with the time."""
    rng = np.random.default_rng(seed)
    contenders, seeds, trials = some_contenders(rng), int(rng.integers(1, 5)), int(rng.integers(1, 5))
    before: Course | None = None
    for seconds in np.geomspace(0.1, 1e6, 15):
        course = planned(contenders, seconds, seeds, trials)
        if course is None:
            assert before is None
            continue
        before = course
        assert 0 < course.heat <= course.final <= 1
        real = sum(not c.control for c in contenders) or len(contenders)
        assert course.seeds == 1 or course.finalists >= min(NAMED, real), "seeds are for those that are named"
        assert course.others == 1 or course.others <= course.seeds, "the best has them first"
        longest = sorted((c for c in contenders if not c.control), key=lambda c: -c.seconds(course.final))
        longest += sorted((c for c in contenders if c.control), key=lambda c: -c.seconds(course.final))
        took = sum(course.trials * c.cost.seconds(course.heat) + c.test_seconds for c in contenders)
        took += final_of(course, longest)
        assert took <= seconds * (1 - RESERVE) * (1 + 1e-9)
        after = finals(contenders, course.heat, seconds, seeds)
        assert after.final == course.heat or after.final >= min(1.0, 1.5 * course.heat) * (1 - 1e-9)
        assert final_of(after, contenders) <= seconds * (1 + 1e-9)
    assert finals(contenders, 1 / 3, 1e9, seeds).final == 1.0
    assert before is not None
    assert (before.final, before.seeds, before.trials) == (1.0, seeds, trials), "there was time for all"
    assert before.others == seeds
    assert before.finalists == len(contenders)


def test_a_course_by_hand() -> None:
    """Three methods of 100 steps of a second: 15 steps of each are 45 s, 50 of two 100 s, of one 50 s a seed."""
    contenders = [Contender(Cost(100, 1, 1.0))] * 3
    for seconds, course in (
        (44, None),
        (45, (0.15, 0.15, 3, 1, 1)),
        (45 + 15, (0.15, 0.15, 3, 2, 1)),
        (45 + 60, (0.15, 0.3, 2, 1, 1)),
        (45 + 100, (0.15, 0.5, 2, 1, 1)),
        (45 + 150, (0.15, 0.5, 2, 2, 1)),
        (45 + 200, (0.15, 0.5, 2, 3, 1)),
        (45 + 250, (0.15, 0.5, 2, 3, 2)),
        (45 + 300, (0.15, 0.5, 2, 3, 3)),
        (45 + 360, (0.15, 0.6, 2, 3, 3)),
        (45 + 600, (0.15, 1.0, 2, 3, 3)),
        (45 + 900, (0.15, 1.0, 3, 3, 3)),
        (3 * 34 + 910, (1 / 3, 1.0, 3, 3, 3)),
    ):
        found = planned(contenders, (seconds + 0.1) / (1 - RESERVE), 3, 2)
        if course is None:
            assert found is None
        else:
            assert (found.heat, found.final) == pytest.approx(course[:2], abs=0.02)
            assert (found.finalists, found.seeds, found.others) == course[2:]


def test_the_forecast_is_between_one_that_goes_on_and_all() -> None:
    """A heat of 10 of 100 steps of each (10 and 20 s), then 100 steps with two seeds (200 or 400 s)."""
    contenders = [
        Contender(Cost(100, 1, 1.0, peak_memory_bytes=100)),
        Contender(Cost(100, 1, 2.0, peak_memory_bytes=300)),
    ]
    found = expected(contenders, Course(0.1, 1.0, 2, 2, 2), None, 1e9)
    assert (found.least_seconds, found.most_seconds) == pytest.approx((30 + 200, 30 + 600))
    assert (found.peak_memory_bytes, found.trainings) == (300, 6)
    assert expected(contenders, Course(0.1, 1.0, 2, 2, 2), None, 500.0).most_seconds == 500.0
    found = expected(contenders, Course(0.1, 1.0, 2, 2), None, 1e9)
    assert (found.most_seconds, found.trainings) == (pytest.approx(30 + 500), 5), "only the best has two"


def test_the_forecast_in_words() -> None:
    found = expected([Contender(Cost(100, 1, 1.0))], Course(1.0, 1.0, 1, 1), None, 1e9)
    assert said(found, 1).startswith("1 method, up to 1 training, about 2 min")
    assert said(dataclasses.replace(found, trainings=2), 3).startswith("3 methods, up to 2 trainings, about")


def test_what_a_short_training_says_of_a_long_one() -> None:
    """15 of 400 steps took 5 s: 2 s for the steps and 3 s besides, where 1 s and 0.1 s a step had been forecast."""
    forecast = Cost(400, 4, 0.1, look_seconds=1.0, fixed_seconds=1.0)
    found = forecast.measured(5.0, 15 / 400, 2 / 15)
    assert found.seconds(15 / 400) == pytest.approx(5.0)
    assert found.seconds(1.0) == pytest.approx(400 * 2 / 15 + 4 * 4 / 3 + 5 - 2 - 4 / 3)
    short = forecast.measured(7.0, 15 / 400)
    assert short.seconds(15 / 400) == pytest.approx(7.0), "too short to tell: all parts are scaled alike"
    assert short.seconds(1.0) == pytest.approx(2 * forecast.seconds(1.0))


def test_steps_are_timed_without_looks_at_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps an epoch: the first waits for the examples, and a look before the fourth takes 100 s."""
    times = iter([0.0, 5.0, 6.0, 7.0, 107.0, 108.0])
    monkeypatch.setattr("headstart.comparison.race.watch.time.perf_counter", lambda: next(times))
    watch = Watch(Silent(), 1e9, 3)
    for steps in (0, 1, 1, 1, 1, 1):
        watch.advance(steps)
    assert watch.step_seconds == 1.0


def test_the_outlook_counts_down_at_the_pace_so_far() -> None:
    """Four trainings of 10 s; the first took 20."""

    class Heard(Silent):
        def whole(self, place: str, left: float | None = None) -> None:
            heard.append((place, left))

    heard: list[tuple[str, float | None]] = []
    outlook = Outlook(Heard(), 3)
    outlook.expect("a", 10.0, 2)
    outlook.expect("b", 10.0, 2)
    for name in ("majority", "a", "a", "b", "b", "b"):
        outlook.begins(name)
        outlook.ended(name, 20.0)
    assert heard == [
        ("method 1 of 3", 40.0), ("method 2 of 3, training 1 of 2", 40.0), ("method 2 of 3, training 2 of 2", 60.0),
        ("method 3 of 3, training 1 of 2", 40.0), ("method 3 of 3, training 2 of 2", 20.0), ("method 3 of 3", None),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def data() -> Data:
    """The digits with ten labels a class; few are tested on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "EACH", 10)
        whole = embedded.digits.__wrapped__()  # type: ignore[attr-defined]
    return dataclasses.replace(whole, test=whole.test.take(np.arange(100)))


def compared(data: Data, **options: Any) -> Comparison:
    """On a small network for 8 x 8 pixels, whose steps take a millisecond."""
    return headstart.compare(data, tiny("mlp"), **options)


@pytest.fixture(scope="module")
def settled(tmp_path_factory, data):
    """Two methods that do well and one that learns nothing, with and without a race."""
    settings = {"full.learning_rate": 1e-2, "lora.learning_rate": 3e-2, "freeze.learning_rate": 1e-12}
    found = {}
    for race in (False, True):
        folder = tmp_path_factory.mktemp("race") / "run"
        found[race] = folder, compared(
            data, methods=["probe", "full", "lora", "freeze"], settings=settings, seeds=1, trials=1,
            epochs=6, race=race, out=folder, keep=race,
        )  # fmt: skip
    return found


def test_a_race_stops_what_is_hopeless_and_tests_it_too(settled) -> None:
    """The others are trained as they would be without a race."""
    (_, plain), (folder, result) = settled[False], settled[True]
    stopped = result.row("freeze")
    assert stopped.status.startswith("stopped: after 2 epochs, -")
    assert "on validation" in stopped.status
    assert stopped.stopped is not None
    assert (stopped.stopped.reason, stopped.stopped.epochs, stopped.stopped.examples) == ("behind", 2.0, 100)
    assert stopped.low < stopped.value < 0.4
    assert [seed.curve[-1].epoch for seed in stopped.seeds] == [2.0]
    for name in ("full", "lora", "probe"):
        row = result.row(name)
        assert (row.status, row.shortened) == ("ok", None)
        assert [seed.value for seed in row.seeds] == [seed.value for seed in plain.row(name).seeds]
    assert not (folder / "progress").exists()
    assert (folder / "models" / "freeze" / "seed0" / "artifact.json").is_file()
    assert result.verdict.method != "freeze"


def test_the_record_and_the_report_tell_of_the_stop(settled) -> None:
    folder, result = settled[True]
    again = type(result).read(folder / "comparison.json")
    assert again.row("freeze").stopped == result.row("freeze").stopped
    assert again.forecast == result.forecast
    assert result.forecast.least_seconds < result.forecast.most_seconds
    assert settled[False][1].forecast is None, "nobody watched"
    page = (folder / "report.html").read_text()
    assert result.row("freeze").status in page.replace("&#39;", "'")
    assert "stopped" in str(result)


def test_a_budget_is_kept_and_every_row_has_a_value_or_a_reason(data, tmp_path: Path) -> None:
    started = time.perf_counter()
    result = compared(
        data, methods=["probe", "full", "lora", "scratch"], seeds=3, trials=2, budget="4s", out=tmp_path / "run"
    )
    assert result.seconds < 4
    assert time.perf_counter() - started < 8, "with the report, on a busy machine"
    for row in result.rows:
        assert row.value is not None or row.status.startswith("not run: no time was left")
    assert result.forecast.most_seconds <= 4


def test_a_pass_for_a_control_alone_is_cut_short_under_a_budget(
    data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """And its row says so, as a row does that the race has stopped: nothing is claimed of it."""
    monkeypatch.setattr("headstart.comparison.race.racing.APART", 0.0)
    monkeypatch.setattr("headstart.comparison.race.racing.FEW", 30)
    seen, features = [], Adaptation.features

    def counted(job: Adaptation, feed: Any, *more: Any) -> torch.Tensor:
        seen.append(len(feed))
        return features(job, feed, *more)

    monkeypatch.setattr(Adaptation, "features", counted)
    options = {"methods": ["probe", "random", "majority"], "seeds": 1, "trials": 1}
    result = compared(data, **options, budget="30s", out=tmp_path / "short")
    row = result.row("random")
    assert row.status == "stopped: for time, after 1 pass over 30 examples"
    assert (row.stopped.reason, row.stopped.examples) == ("time", 30)
    assert row.value is not None
    assert set(seen) == {30}
    assert "random" not in result.verdict.sentence.partition("Stopped")[0]
    whole = compared(data, **options, out=tmp_path / "whole")
    assert whole.row("random").status == "ok"
    assert result.row("probe").value == whole.row("probe").value, "what shares the base's features sees all examples"


def test_further_seeds_are_for_the_best_first(data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []

    def once(spec: Any, *more: Any) -> Any:
        trained.append((spec.name, spec.seed))
        return run_trial(spec, *more)

    course = Course(15 / 400, 45 / 400, 2, 3)
    monkeypatch.setattr("headstart.comparison.race.racing.planned", lambda *_: course)
    monkeypatch.setattr("headstart.comparison.race.racing.finals", lambda *_: course)
    monkeypatch.setattr(comparing, "run_trial", once)
    result = compared(
        data, methods=["probe", "lora", "full"], settings={"full.learning_rate": 1e-2, "lora.learning_rate": 1e-9},
        seeds=3, trials=1, budget="5m", out=tmp_path / "run",
    )  # fmt: skip
    assert [(name, seed) for name, seed in trained if seed] == [("full", 1), ("full", 2), ("lora", 1), ("lora", 2)]
    assert [len(result.row(name).seeds) for name in ("full", "lora")] == [3, 3]


def test_time_that_is_left_is_for_further_finalists(data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is enough for fewer seeds than the first ones have: one here."""
    course, needed = Course(15 / 400, 45 / 400, 1, 3), Race._need

    def need(self: Race, runner: Any, share: float, seeds: int = 1) -> float:
        return math.inf if seeds > 1 and runner.name == second else needed(self, runner, share, seeds)

    monkeypatch.setattr("headstart.comparison.race.racing.planned", lambda *_: course)
    monkeypatch.setattr("headstart.comparison.race.racing.finals", lambda *_: course)
    monkeypatch.setattr(Race, "_need", need)
    first, second = "full", "lora"
    result = compared(
        data, methods=[first, second], settings={"full.learning_rate": 1e-2}, seeds=3, trials=1, budget="5m",
        out=tmp_path / "run",
    )  # fmt: skip
    assert [len(result.row(name).seeds) for name in (first, second)] == [3, 1]
    assert result.row(second).status == "ok"


def test_the_final_is_planned_at_the_pace_of_the_heat(
    data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """A forecast that is twenty times too high costs nobody a final."""
    told, asked = [], []

    def high(*arguments: Any, **more: Any) -> Cost:
        told.append(dataclasses.replace(found := cost(*arguments, **more), step_seconds=20 * found.step_seconds))
        return told[-1]

    def planning(order: list[Contender], *more: Any) -> Course:
        asked.extend(order)
        return finals(order, *more)

    monkeypatch.setattr("headstart.comparison.bench.cost", high)
    monkeypatch.setattr("headstart.comparison.race.racing.finals", planning)
    compared(data, methods=["full"], seeds=1, trials=1, budget="60s", out=tmp_path / "run")
    assert asked[0].cost.seconds(0.5) < told[0].seconds(0.5) / 3


def test_no_time_left_but_for_the_first_training(data, tmp_path: Path) -> None:
    """The shortest there is, 15 steps of the 400."""
    result = compared(
        data, methods=["full", "lora", "majority"], seeds=3, trials=2, budget="0.05s", out=tmp_path / "run"
    )  # fmt: skip
    rows = {row.method: row for row in result.rows}
    trained = [row for row in (rows["full"], rows["lora"]) if row.value is not None]
    assert len(trained) == 1
    assert trained[0].status == "ok"
    assert len(trained[0].seeds) == 1
    assert trained[0].seeds[0].curve[-1].step == 15
    assert trained[0].shortened == Shortened(1.5, 100, 40)
    assert "The budget gave" in str(result)
    (other,) = [row for row in (rows["full"], rows["lora"]) if row.value is None]
    assert other.status.startswith("not run: no time was left for it")
    assert result.verdict.method == trained[0].method


def test_a_training_that_would_end_too_late_is_given_up(
    data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """A machine that becomes much slower after the heat: the row keeps what the heat came to."""
    loss = Adaptation.losses

    def slow(job: Adaptation, *arguments: Any) -> Any:
        time.sleep(0.5 if job.share > 15 / 400 else 0.0)
        return loss(job, *arguments)

    monkeypatch.setattr(Adaptation, "losses", slow)
    monkeypatch.setattr("headstart.comparison.race.racing.finals", lambda *_: Course(15 / 400, 45 / 400, 1))
    monkeypatch.setattr(Race, "_free", lambda _: 1e6)
    started = time.perf_counter()
    result = compared(
        data, methods=["full", "majority"], seeds=1, trials=1, budget="3s", out=tmp_path / "run"
    )  # fmt: skip
    assert time.perf_counter() - started < 6
    row = result.row("full")
    assert row.stopped.reason == "time"
    assert row.seeds[0].curve[-1].step == 15
    assert row.value is not None


def test_a_race_that_is_taken_up_comes_to_the_same_choices(
    data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted in the final; what the clock had decided stands, whatever time the second start has."""
    out, trained = tmp_path / "run", []

    def once(spec, *more):
        trained.append((spec.name, spec.seed, spec.share))
        if len(trained) == 6:
            raise KeyboardInterrupt
        return run_trial(spec, *more)

    monkeypatch.setattr("headstart.comparison.race.racing.planned", lambda *_: Course(15 / 400, 45 / 400, 2, 2, 2))
    monkeypatch.setattr("headstart.comparison.race.racing.finals", lambda *_: Course(15 / 400, 45 / 400, 2, 2, 2))
    monkeypatch.setattr(comparing, "run_trial", once)
    options = {"methods": ["probe", "full", "lora"], "seeds": 2, "trials": 1, "budget": "60s", "out": out}
    with pytest.raises(KeyboardInterrupt):
        compared(data, **options)
    partial = json.loads((out / "comparison.json").read_text())
    (out / "comparison.json").write_text(json.dumps(partial | {"seconds": 1e6}))
    monkeypatch.undo()
    result = compared(data, resume=True, **options)
    assert result.seconds > 1e6, "time of earlier sessions counts"
    (done,) = {name for name, _, share in trained[:5] if 0.1 < share < 1}
    assert [seed.curve[-1].step for seed in result.row(done).seeds] == [45]
    (other,) = {"full", "lora"} - {done}
    assert result.row(other).stopped.reason == "time"
    assert result.row(other).value is not None


def test_a_budget_that_is_no_time(data, tmp_path: Path) -> None:
    for budget in ("soon", "10"):
        with pytest.raises(ConfigurationError, match="10m"):
            compared(data, methods=["probe"], budget=budget, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("race", [True, False])
@pytest.mark.parametrize("how", ["raises", "no number"])
def test_a_configuration_that_fails_is_not_its_method(
    data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, race: bool, how: str
) -> None:
    logits = Adaptation.logits

    def broken(job: Adaptation, *arguments: Any) -> torch.Tensor:
        found = logits(job, *arguments)
        if job.plan.learning_rate is None or job.plan.learning_rate <= 4e-3:
            return found
        if how == "raises":
            raise RuntimeError("too much for this rate")
        return torch.full_like(found, torch.nan)

    monkeypatch.setattr(Adaptation, "logits", broken)
    result = compared(
        data, methods=["lora", "full"], settings={"full.learning_rate": 5e-3}, seeds=1, trials=2, epochs=2, race=race,
        out=tmp_path / "run",
    )  # fmt: skip
    row = result.row("lora")
    assert row.status == "ok"
    assert [trial.chosen for trial in row.trials] == [True, False]
    (broke,) = [trial for trial in row.trials if not trial.chosen]
    assert broke.configuration["learning_rate"] > 4e-3
    assert broke.validation_value is None
    assert broke.status.startswith("failed: too much" if how == "raises" else "diverged")
    assert result.row("full").status.startswith("failed: too much" if how == "raises" else "diverged")


def test_a_forecast_is_near_what_a_training_takes(data, tmp_path: Path) -> None:
    """Within a factor of three, one of three on a busy machine; and nothing has learned from it."""
    with Workshop(data, headstart.load(), Options(epochs=4), compute("cpu", "fp32"), ACCURACY) as workshop:
        method = workshop.settled(METHODS["full"]())
        before = workshop.backbone.fingerprint
        found = [cost(workshop.setting, method) for _ in range(3)]
        assert fingerprint(workshop.backbone.module) == before
        for share in (1.0, 0.25):
            run = run_trial(workshop.spec("full", method, 0, share), tmp_path / str(share), workshop)
            assert run.curve[-1].epoch == 4 * share
            assert any(run.seconds / 3 < one.seconds(share) < run.seconds * 3 for one in found)
        assert found[0].peak_memory_bytes > workshop.backbone.record().parameters * 4
