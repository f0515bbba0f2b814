"""The verdict on rows made by hand: what is claimed, what is only said, and what is never recommended."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from headstart.comparison.verdict.claims import gap, reference, worse
from headstart.comparison.verdict.verdict import check_preference, verdict
from headstart.core.errors import ConfigurationError
from headstart.core.records.comparison import Gain, PartRow, Row, StandardError, Verdict
from headstart.core.records.training import Shortened, Stop
from headstart.stats.guess import default_margin, margin_in
from headstart.stats.metrics import metric

ACCURACY, ECE, RMSE = metric("single_label", "accuracy"), metric("single_label", "ece"), metric("regression", "rmse")


def row(
    method: str, validation: float | None = 0.9, seconds: float | None = 10.0, difference: float | None = None,
    error: float = 0.002, value: float | None = None, status: str = "ok", **more: Any,
) -> Row:  # fmt: skip
    """A row with this difference from the reference, whose standard error is known exactly."""
    value = 0.96 + (difference or 0.0) if value is None else value
    if difference is not None:
        p = float(2 * norm.sf(abs(difference) / error))
        more = {
            "difference_low": difference - 1.96 * error, "difference_high": difference + 1.96 * error, "p_value": p,
            "p_adjusted": p, "standard_error": StandardError(error), **more,
        }  # fmt: skip
    return Row(
        method, status, "accuracy", value=value, low=value - 0.014, high=value + 0.013, validation_value=validation,
        train_seconds=seconds, difference=difference, **more,
    )  # fmt: skip


FULL = row("full", 0.97, 74.0)
MAJORITY = row("majority", 0.5, 0.0, -0.46, control=True)


def decide(*rows: Row, metric: Any = ACCURACY, **options: Any) -> Verdict:
    return verdict(rows, metric, test_size=400, **options)


def test_the_best_and_the_cheapest_that_is_shown_to_be_as_good() -> None:
    lora = row("lora", 0.96, 38.0, -0.002, 0.002)
    got = decide(FULL, lora, row("probe", 0.9, 2.0, -0.05, 0.01), MAJORITY)
    assert (got.method, got.reference, got.cheapest) == ("full", "full", "lora")
    assert (got.margin, got.prefer) == (0.01, "quality")
    assert got.lines[:2] == (
        "Best: full, 96.0 % accuracy [94.6, 97.3] (chosen on validation), 74 s of training.",
        "Cheapest within 1 point of it: lora, 95.8 % accuracy [94.4, 97.1], 38 s of training; may cost up to 0.6 "
        "points (one-sided 95 % bound, corrected for 2 cheaper methods).",
    )
    # without counts of examples that differ the bound is that of the normal distribution, at 0.05 / 2
    assert got.most_lost == pytest.approx(0.002 + norm.isf(0.025) * 0.002, rel=1e-6)
    assert got.sentence == " ".join(got.lines)


def test_what_is_not_shown_to_be_worse_is_not_as_good() -> None:
    """A cheaper method at -0.8 points [-2.6, +1.0] was recommended: nothing shows that it loses less than a point."""
    probe = row("probe", 0.96, 0.7, -0.008, 0.009)
    got = decide(FULL, probe)
    assert (got.method, got.cheapest, got.most_lost) == ("full", None, None)
    assert decide(FULL, probe, prefer="training").method == "full"
    needed = 400 * ((norm.isf(0.05) + norm.ppf(0.8)) * 0.009 / 0.002) ** 2
    assert got.examples_needed == pytest.approx(needed, rel=0.01)
    assert "No cheaper method is shown to lie within 1 point of it; about 51,000 test examples" in got.lines[1]
    assert got.lines[1].endswith("would show it of probe, if it stays at -0.8 points [-2.6, +1.0].")


def test_below_the_margin_no_number_shows_it_and_the_plan_is_for_one_as_good() -> None:
    got = decide(FULL, row("probe", 0.96, 0.7, -0.015, 0.009))
    needed = 400 * ((norm.isf(0.05) + norm.ppf(0.8)) * 0.009 / 0.01) ** 2
    assert got.examples_needed == pytest.approx(needed, rel=0.01)
    assert (
        "nearest is probe, -1.5 points [-3.3, +0.3]; about 2,100 test examples would show it of one that"
        in got.lines[1]
    )
    noisy = replace(row("probe", 0.96, 0.7, 0.0, 0.009), standard_error=StandardError(0.001, 0.009))
    got = decide(FULL, noisy)
    assert got.examples_needed is None
    assert got.lines[1].endswith(
        "whose seeds differ too much for any number of test examples: more --seeds would show it."
    )


def test_all_that_is_cheaper_is_worse() -> None:
    got = decide(FULL, row("lora", 0.96, 38.0, -0.03, 0.002), row("probe", 0.9, 2.0, -0.05, 0.002))
    assert got.lines[1] == "Every cheaper method loses more than 1 point; nearest is lora, -3.0 points [-3.4, -2.6]."
    assert decide(FULL, row("slow", 0.96, 70.0, 0.0)).lines[1] == "No method that trained to its end is cheaper."


def test_the_claim_is_corrected_for_the_candidates_by_holm() -> None:
    """p = 0.02 alone is shown, among three candidates it isn't; a second one below 0.05 / 2 needs the first."""
    at = 0.01 - norm.isf(0.02) * 0.002
    near = row("lora", 0.96, 38.0, -at)
    far = [row(name, 0.9, 2.0, -0.05) for name in ("probe", "knn")]
    assert decide(FULL, near).cheapest == "lora"
    assert decide(FULL, near, *far).cheapest is None
    assert decide(FULL, near, far[0], row("ia3", 0.96, 30.0, 0.0)).cheapest == "ia3"
    assert decide(FULL, near, row("ia3", 0.96, 50.0, 0.0)).cheapest == "lora"  # 0.02 <= 0.05 / 1 after the first
    dear = [row(f"slow{i}", 0.9, 80.0, -0.05) for i in range(9)]
    assert decide(FULL, near, *dear).cheapest == "lora", "who costs more is no candidate"


def test_what_is_preferred_becomes_the_method_to_use() -> None:
    small = row("lora", 0.96, 38.0, 0.0, artifact_bytes=10, latency_seconds=0.02)
    quick = row("probe", 0.96, 2.0, 0.0, artifact_bytes=50, latency_seconds=0.01)
    full = replace(FULL, artifact_bytes=100, latency_seconds=0.02)
    chosen = {
        prefer: decide(full, small, quick, prefer=prefer) for prefer in ("quality", "training", "latency", "size")
    }
    assert {prefer: got.method for prefer, got in chosen.items()} == {
        "quality": "full", "training": "probe", "latency": "probe", "size": "lora",
    }  # fmt: skip
    assert chosen["size"].lines[1].startswith("Smallest within 1 point of it: lora,")
    assert chosen["size"].lines[2] == "To use, as size is preferred: lora."
    assert decide(full, row("dear", 0.9, 99.0, 0.0), prefer="training").lines[1:3] == (
        "No method that trained to its end is cheaper.", "To use: full.",
    )  # fmt: skip
    assert chosen["size"].named == ("lora", "full")
    assert chosen["quality"].named == ("full", "probe")
    with pytest.raises(ConfigurationError, match=r"unknown preference 'speed'.*latency"):
        check_preference("speed")


def test_of_equal_times_the_smallest_artifact() -> None:
    """A head that keeps its examples has no trained parameters and is not small."""
    knn = row("knn", 0.9, 0.04, 0.0, trained_parameters=0, artifact_bytes=400_000)
    probe = row("probe", 0.9, 0.045, 0.0, trained_parameters=500, artifact_bytes=2_000)
    assert decide(FULL, knn, probe).cheapest == "probe"


def test_a_margin_in_points_or_in_the_metrics_unit() -> None:
    assert (margin_in(ACCURACY, None), margin_in(ACCURACY, 2), margin_in(RMSE, 2)) == (None, 0.02, 2)
    for wrong in (0, -1, math.nan, math.inf, 100):
        with pytest.raises(ConfigurationError, match="margin"):
            margin_in(ACCURACY, wrong)
    lora = row("lora", 0.96, 38.0, -0.02, 0.002)
    assert decide(FULL, lora).cheapest is None
    got = decide(FULL, lora, margin=0.03)
    assert got.cheapest == "lora"
    assert got.lines[1].startswith("Cheapest within 3 points of it")


def test_the_default_margin_of_errors_is_a_hundredth_of_guessing() -> None:
    assert [default_margin(metric("single_label", name), 0.7) for name in ("accuracy", "macro_f1", "ece")] == [0.01] * 3
    assert default_margin(metric("single_label", "log_loss"), 1.1) == pytest.approx(0.011)
    assert (default_margin(RMSE, 20.0), default_margin(metric("regression", "r2"), 0.0)) == (0.2, 0.01)


def test_those_that_a_race_has_stopped_are_named_and_no_candidates() -> None:
    stop = Stop(1 / 9, "time", "full", -0.2, -0.3, -0.1, 1.0)
    late = row("lora", 0.99, 1.0, 0.02, status="stopped: for time", stopped=stop)
    bare = Row("mix", "stopped: …", "accuracy", stopped=Stop(1 / 3, "time", "full", -0.01, -0.03, 0.01))
    got = decide(FULL, row("probe", 0.9, 2.0, -0.05), late, bare)
    assert (got.method, got.reference, got.cheapest) == ("full", "full", None)
    assert "(chosen on validation among the 2 methods that trained to their end)" in got.lines[0]
    assert got.lines[-1] == (
        "Stopped early by the race: lora after 1 epoch and mix after 33 % of its training; their values are of that, "
        "and none is a candidate."
    )
    assert not [line for line in got.lines if line.startswith("On test")], (
        "the stopped row's lead on test is of another length of training"
    )
    got = decide(late, row("majority", 0.3, 0.0, control=True))
    assert got.method is None
    assert got.sentence.startswith("No verdict: no method ran to the end (lora: stopped")


def test_validation_chooses_the_reference_and_controls_never_are_it() -> None:
    lora, control = row("lora", 0.98), row("scratch", 0.99, control=True)
    assert reference([FULL, lora, control], ACCURACY) is lora
    assert reference([FULL, lora], RMSE) is FULL  # lower is better
    assert reference([row("a", None), row("b", math.nan), FULL], ACCURACY) is FULL
    assert reference([row("a", 0.99, status="diverged"), FULL], ACCURACY) is FULL
    assert reference([row("a", 0.99, stopped=Stop(0.1, "time")), FULL], ACCURACY) is FULL
    assert reference([control], ACCURACY) is control
    assert reference([], ACCURACY) is None


def test_better_on_test_is_said_and_validation_still_chooses() -> None:
    got = decide(FULL, row("lora", 0.96, 38.0, 0.02))
    assert (got.method, got.cheapest) == ("full", "lora")
    assert "On test lora is better than full, which validation chose: +2.0 points [+1.6, +2.4]." in got.lines
    assert "shown to cost nothing" in got.lines[1]


def test_whether_tuning_is_worth_it_over_the_frozen_base() -> None:
    """The best tuned against the best frozen method of validation; the sign is that of tuning."""
    probe, knn = row("probe", 0.95, 2.0, -0.03, 0.005), row("knn", 0.8, 2.0, -0.01, 0.005)
    said = "full against probe +3.0 points [+2.0, +4.0]."
    assert f"Tuning is better than the frozen base: {said}" in decide(FULL, probe, knn).lines
    near = row("probe", 0.95, 2.0, -0.005, 0.005)
    said = "Tuning is not shown to be better than the frozen base: full against probe +0.5 points [-0.5, +1.5]."
    assert said in decide(FULL, near).lines
    best = row("probe@top", 0.99, 2.0)
    lora = row("lora", 0.96, 38.0, -0.03, 0.005)
    said = "Tuning is worse than the frozen base: lora against probe@top -3.0 points [-4.0, -2.0]."
    assert said in decide(best, lora, row("ia3", 0.9, 38.0, 0.1)).lines
    assert not [line for line in decide(FULL, lora).lines if "Tuning" in line], "no frozen method ran"
    assert not [line for line in decide(best, knn).lines if "Tuning" in line], "nothing was tuned"


def test_a_budget_that_left_less_than_a_whole_training_is_named() -> None:
    """After 1.4 of 40 epochs the verdict called tuning worse than the frozen base, without its length."""
    short = Shortened(1.36, 156, 40)
    probe, lora = row("probe", 0.95, 2.0), row("lora", 0.6, 4.0, -0.3, 0.05, shortened=short)
    got = decide(probe, lora, row("full", 0.5, 4.0, -0.4, 0.05, shortened=short))
    assert (
        "After 1.4 epochs, where 40 are usual, tuning is worse than the frozen base: lora against probe -30.0 points "
        "[-39.8, -20.2]."
    ) in got.lines
    told = "The budget gave lora and full 1.4 epochs, where 40 are usual; a longer training may change"
    assert [line for line in got.lines if line.startswith(told)]
    assert Shortened(0.5, 80, 1).length == "1 pass over 80 examples, where 1 is usual"
    assert not [line for line in decide(FULL, probe).lines if "The budget" in line]


def test_a_control_without_the_pretrained_weights() -> None:
    scratch = row("scratch", 0.8, 5.0, 0.0, 0.002, control=True)
    got = decide(FULL, scratch, MAJORITY)
    assert (got.method, got.cheapest) == ("full", None)
    said = "The pretrained weights are not shown to help: scratch, without them, 0.0 points [-0.4, +0.4]."
    assert said in [line.replace("+0.0", "0.0") for line in got.lines]
    assert not [
        line
        for line in decide(FULL, replace(scratch, difference=-0.002, difference_high=-0.001)).lines
        if "weights" in line
    ]


def test_the_pretrained_weights_help_if_each_control_without_them_is_worse() -> None:
    """The line names the best of these controls, since its distance is what pretraining is worth."""
    scratch, random = (
        row(name, 0.8, 5.0, gap, 0.005, control=True) for name, gap in (("scratch", -0.12), ("random", -0.2))
    )
    said = "The pretrained weights help: scratch, without them, -12.0 points [-13.0, -11.0]."
    assert said in decide(FULL, random, scratch, MAJORITY).lines
    assert said not in decide(FULL, random, scratch, row("scratch@long", 0.96, 9.0, 0.001, 0.005, control=True)).lines
    for alone in (decide(scratch, random), decide(FULL, MAJORITY)):
        assert not [line for line in alone.lines if "weights" in line]


def gained(difference: float, p: float, guess: float = 0.5, by: str = "accuracy", **more: Any) -> Gain:
    return Gain(by, guess, difference, difference - 0.02, difference + 0.02, p, **more)


def test_not_shown_to_beat_the_most_frequent_class() -> None:
    gain = gained(0.01, 0.4, standard_error=StandardError(0.01))
    got = decide(replace(FULL, gains=(gain,)), row("lora", 0.9, 3.0, -0.05))
    assert got.method == "full"
    needed = 400 * (norm.isf(0.05) + norm.ppf(0.8)) ** 2
    assert got.lines[0] == (
        "Not shown to beat the most frequent class: full, 51.0 % accuracy, +1.0 points [-1.0, +3.0] against 50.0 on "
        f"400 test examples; about {math.ceil(needed / 100) * 100:,} would show it, if that stays."
    )
    assert not [line for line in decide(replace(FULL, gains=(gained(0.4, 0.001),))).lines if "beat" in line]
    assert "ot shown to beat" in decide(replace(FULL, gains=(gained(-0.4, 0.001),))).lines[0]
    error = Gain("rmse", 2.0, 0.1, -0.1, 0.3, 0.4)
    got = decide(replace(FULL, gains=(error,)), metric=RMSE)
    assert got.lines[0].startswith("Not shown to beat the mean: full, RMSE 2.10, +0.100 [-0.100, +0.300] against 2.00")


def test_where_the_metric_cant_tell_another_does() -> None:
    """22 of 331 with pneumonia: accuracy as of the most frequent class, recalls far above it."""
    gains = (gained(0.0, 1.0, 0.934), gained(0.3, 0.001, 0.5, "balanced_accuracy"))
    got = decide(replace(FULL, gains=gains))
    assert got.lines[0] == (
        "By accuracy full is not shown to beat the most frequent class (93.4 % accuracy), but that metric can't tell "
        "here: by balanced accuracy it does, 80.0 % balanced accuracy, +30.0 points [+28.0, +32.0] against 50.0. Rank "
        "by that: --metric balanced_accuracy."
    )
    assert "Not shown to beat" in decide(replace(FULL, gains=(gains[0], replace(gains[1], p_value=0.2)))).lines[0]
    perfect = Gain("ece", 0.0, 0.05, 0.04, 0.06, 0.001)
    said = "ECE can't tell whether anything was learned: a constant answer reaches ECE 0."
    assert decide(replace(FULL, gains=(perfect,)), metric=ECE).lines[0].startswith(said)


def parted(*parts: tuple[str, float, float]) -> tuple[PartRow, ...]:
    """Parts by name, value and p of the gain over a constant answer."""
    return tuple(
        PartRow(name, 300, value, value - 0.03, value + 0.04, gain=gained(value - 0.333, p, 0.333))
        for name, value, p in parts
    )


def test_parts_are_judged_apart_and_one_that_learned_is_not_hidden() -> None:
    """Pooled, three languages are not shown to beat chance; English alone is far above it."""
    best = replace(
        FULL, parts=parted(("en", 0.513, 0.0002), ("fr", 0.33, 0.9), ("ar", 0.34, 0.6)), gains=(gained(0, 1),)
    )
    got = decide(best, row("lora", 0.9, 3.0, -0.05))
    assert "ot shown to beat" in got.lines[0]
    assert got.lines[3:5] == (
        "By part, full is worst on fr: 33.0 % accuracy [30.0, 37.0], -18.3 points [-23.3, -13.3] against en (51.3).",
        "At chance, not shown to beat a constant answer, on fr (33.0) and ar (34.0); learned on en (51.3).",
    )
    close = replace(best, parts=parted(("en", 0.4, 0.03), ("fr", 0.4, 0.04)))
    assert "At chance, not shown to beat a constant answer, on every part." in decide(close).lines, "p is corrected"
    assert not [line for line in decide(replace(FULL, parts=best.parts[:1])).lines if "part" in line]


def test_a_method_that_loses_on_a_part_is_not_as_good() -> None:
    parts = tuple(
        PartRow(n, 50, 0.9, 0.8, 0.95, d, d - 0.02, d + 0.02, p) for n, d, p in (("en", 0.01, 0.5), ("fr", -0.1, 0.01))
    )
    lora = row("lora", 0.96, 38.0, 0.0, parts=parts)
    got = decide(FULL, lora)
    assert got.cheapest is None
    assert "Worse than full on a part: lora on fr." in got.lines
    chance = replace(lora, parts=(parts[0], replace(parts[1], p_value=0.03)))
    assert decide(FULL, chance).cheapest == "lora", "0.03 of two parts is not shown"


def test_the_gap_of_two_parts() -> None:
    """Newcombe's example: 56/70 against 48/80 with Wilson's intervals gives [0.0524, 0.3339]."""
    first, second = PartRow("a", 70, 56 / 70, 0.6920, 0.8772), PartRow("b", 80, 48 / 80, 0.4904, 0.7003)
    assert gap(first, second) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-4)


def test_what_was_not_tested_or_did_not_run_is_not_chosen() -> None:
    got = decide(FULL, row("lora", 0.96, 1.0), row("ia3", 0.9, 1.0, 0.0, status="diverged"))
    assert (got.method, got.cheapest) == ("full", None)
    assert decide(FULL, row("lora", 0.96, None, 0.0)).cheapest is None  # of unknown cost
    assert decide(replace(FULL, train_seconds=None), row("lora", 0.96, 1.0, 0.0)).cheapest is None


def test_no_row_and_a_single_row() -> None:
    assert decide().sentence == "No verdict: no method was run."
    got = decide(row("full", status="diverged"), row("lora", status="failed: out of memory"))
    assert got.method is None
    assert got.sentence == "No verdict: no method ran to the end (full: diverged; lora: failed: out of memory)."
    got = decide(row("probe", 0.96, 2.0))
    assert got.method == "probe"
    assert got.sentence == (
        "The only method: probe, 96.0 % accuracy [94.6, 97.3], 2 s of training. "
        "Whether another is better was not asked."
    )
    assert (
        decide(FULL, row("lora", status="diverged"))
        .lines[0]
        .startswith("The only method that trained to its end: full")
    )
    assert decide(FULL, MAJORITY).lines[0].startswith("The only method that trained to its end: full")
    assert decide(replace(MAJORITY, difference=0.0)).method == "majority"


def test_regression_has_its_own_units_and_direction() -> None:
    full = row("full", 0.4, 7300.0, value=0.482, gains=(Gain("rmse", 2.0, -1.5, -1.6, -1.4, 0.001),))
    lora = row("lora", 0.41, 600.0, 0.002, 0.006, value=0.484)
    bad = row("probe", 0.6, 2.0, 0.2, value=0.682)
    got = decide(full, lora, bad, metric=RMSE)
    assert (got.margin, got.cheapest) == (0.02, "lora")
    assert got.lines[:2] == (
        "Best: full, RMSE 0.482 [0.468, 0.495] (chosen on validation), 2.0 h of training.",
        "Cheapest within 0.0200 in RMSE of it: lora, RMSE 0.484 [0.470, 0.497], 10 min of training; may cost up to "
        "0.0138 in RMSE (one-sided 95 % bound, corrected for 2 cheaper methods).",
    )
    assert worse(bad, RMSE, 0.05)
    assert not worse(bad, ACCURACY, 0.05)
    assert decide(full, replace(lora, difference=0.018), metric=RMSE).cheapest is None


rows = st.lists(
    st.tuples(
        *(st.none() | st.floats(low, high) for low, high in ((0, 1), (0, 9), (-1, 1))),
        st.booleans(),
        st.sampled_from(["ok", "diverged"]),
    ),
    max_size=6,
)


@given(rows, st.sampled_from(["quality", "training"]), st.randoms())
def test_every_verdict_is_a_row_that_ran(drawn: list[Any], prefer: str, shuffle: random.Random) -> None:
    table = [
        row(f"m{i}", validation, seconds, difference, control=control, status=status)
        for i, (validation, seconds, difference, control, status) in enumerate(drawn)
    ]
    got = decide(*table, prefer=prefer)
    assert got.sentence.endswith(".")
    assert "None" not in got.sentence
    assert "nan" not in got.sentence
    chosen = [r for r in table if r.method == got.method]
    assert bool(chosen) == any(r.status == "ok" for r in table)
    for r in chosen:
        assert r.status == "ok"
        assert got.method == got.reference or (r.difference or 0.0) > -0.01
    if len({r.train_seconds for r in table}) == len({r.validation_value for r in table}) == len(table):
        shuffle.shuffle(table)
        again = decide(*table, prefer=prefer)
        assert (again.method, again.reference, again.cheapest) == (got.method, got.reference, got.cheapest)
