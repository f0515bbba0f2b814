import math
import random

from hypothesis import given
from hypothesis import strategies as st

from headstart.core.comparison import Row, Stop
from headstart.evaluate.metrics import metric
from headstart.evaluate.verdict import reference, verdict, worse

ACCURACY, RMSE = metric("single_label"), metric("regression")


def row(method, validation=0.9, seconds=10.0, difference=None, p=None, width=0.01, value=None, status="ok", **more):
    value = 0.96 + (difference or 0.0) if value is None else value
    ends = (None, None) if difference is None else (difference - width, difference + width)
    return Row(
        method, status, "accuracy", value=value, low=value - 0.014, high=value + 0.013, validation_value=validation,
        train_seconds=seconds, difference=difference, difference_low=ends[0], difference_high=ends[1], p_value=p,
        p_adjusted=p, **more,
    )  # fmt: skip


FULL = row("full", 0.97, 74.0)
MAJORITY = row("majority", 0.5, 0.0, -0.46, 0.0002, control=True)


def decide(*rows, metric=ACCURACY, **options):
    return verdict(rows, metric, test_size=400, **options)


def test_the_cheapest_that_is_not_significantly_worse():
    lora = row("lora", 0.96, 38.0, -0.004, 0.41, 0.009)
    got = decide(FULL, lora, row("probe", 0.9, 2.0, -0.05, 0.004), MAJORITY)
    assert (got.method, got.reference, got.alpha) == ("lora", "full", 0.05)
    assert got.sentence == (
        "Use lora: 95.6 % accuracy [94.2, 96.9], not significantly worse than full (best on validation; "
        "-0.4 points [-1.3, +0.5], p = 0.41), for 38 s of training instead of 74 s."
    )


def test_alpha_is_included_and_decides():
    at = row("lora", 0.96, 38.0, -0.02, 0.05, 0.021)
    assert decide(FULL, at).method == "full"
    assert decide(FULL, at, alpha=0.049).method == "lora"


def test_many_methods_do_not_excuse_a_worse_one():
    """Holm's correction raises p; an interval that lies wholly below the reference is worse all the same."""
    knn = row("knn", 0.9, 0.04, -0.1, 0.073, 0.09)
    assert decide(FULL, knn).method == "full"
    better = row("knn", 0.9, 0.04, 0.1, 0.073, 0.09)
    assert decide(FULL, better).method == "knn"


def test_of_equal_times_the_smallest_artifact():
    """A head that keeps its examples has no trained parameters and is not small."""
    knn = row("knn", 0.9, 0.04, 0.0, 1.0, trained_parameters=0, artifact_bytes=400_000)
    probe = row("probe", 0.9, 0.05, 0.0, 1.0, trained_parameters=500, artifact_bytes=2_000)
    assert decide(FULL, knn, probe).method == "probe"


def test_those_that_a_race_has_stopped_are_named():
    behind = Row("lora", "stopped: …", "accuracy", stopped=Stop(1 / 9, "behind", "full", -0.2, -0.3, -0.1))
    late = Row("mix", "stopped: …", "accuracy", stopped=Stop(1 / 3, "time", "full", -0.01, -0.03, 0.01))
    worse = Row("ia3", "stopped: …", "accuracy", stopped=Stop(1 / 9, "time", "full", -0.2, -0.3, -0.1))
    assert decide(FULL, behind, late, worse).sentence.endswith(
        "the only method that ran to the end, for 74 s of training. The race stopped lora behind on validation. "
        "For mix time ran out; it was not shown to be worse. For ia3 time ran out early, while behind."
    )


def test_the_reference_itself():
    got = decide(FULL, row("lora", 0.96, 38.0, -0.021, 0.003), row("probe", 0.9, 2.0, -0.05, 0.0004), MAJORITY)
    assert got.sentence == (
        "Use full: 96.0 % accuracy [94.6, 97.3], the best on validation, for 74 s of training; of the cheaper methods "
        "lora comes nearest, at -2.1 points [-3.1, -1.1], p = 0.003."
    )
    got = decide(FULL, row("slow", 0.96, 100.0, 0.001, 0.9))
    assert got.sentence.endswith("the best on validation and none is cheaper, for 74 s of training.")


def test_validation_chooses_the_reference_and_controls_never_are_it():
    lora, control = row("lora", 0.98), row("scratch", 0.99, control=True)
    assert reference([FULL, lora, control], ACCURACY) is lora
    assert reference([FULL, lora], RMSE) is FULL  # lower is better
    assert reference([row("a", None), row("b", math.nan), FULL], ACCURACY) is FULL
    assert reference([row("a", 0.99, status="diverged"), FULL], ACCURACY) is FULL
    assert reference([control], ACCURACY) is control
    assert reference([], ACCURACY) is None


def test_better_on_test_is_said():
    got = decide(FULL, row("lora", 0.96, 38.0, 0.02, 0.01))
    assert got.method == "lora"
    assert "significantly better on test than full (best on validation; +2.0 points [+1.0, +3.0], p = 0.010)" in (
        got.sentence
    )


def test_the_frozen_base_is_a_legal_verdict():
    probe = row("probe", 0.95, 2.0, -0.01, 0.3)
    assert decide(FULL, probe).sentence.startswith(
        "The frozen base with a linear head is enough: use probe, 95.0 % accuracy [93.6, 96.3], not significantly"
    )
    assert decide(FULL, probe, frozen=("head",)).sentence.startswith("Use probe:")


def test_controls_are_included_honestly():
    scratch = row("scratch", 0.8, 5.0, -0.01, 0.3, control=True)
    got = decide(FULL, scratch, MAJORITY)
    assert got.method == "scratch"
    assert got.sentence.startswith("The pretrained model brings no measurable gain: scratch does without it and")
    blind = row("majority", 0.9, 50.0, -0.01, 0.3, control=True)
    got = decide(FULL, scratch, blind)  # although scratch is cheaper
    assert got.method == "majority"
    assert got.sentence.startswith("Nothing was learned: majority does not look at the input and reaches 95.0 %")


def test_what_was_not_tested_or_did_not_run_is_not_chosen():
    got = decide(FULL, row("lora", 0.96, 1.0, p=None), row("ia3", 0.9, 1.0, 0.0, 1.0, status="diverged"))
    assert got.method == "full"
    got = decide(FULL, row("lora", 0.96, None, -0.001, 0.9))
    assert got.method == "full"  # of unknown cost


def test_no_row_and_a_single_row():
    assert decide().sentence == "No verdict: no method was run."
    got = decide(row("full", status="diverged"), row("lora", status="failed: out of memory"))
    assert got.method is None
    assert got.sentence == ("No verdict: no method ran to the end (full: diverged; lora: failed: out of memory).")
    assert decide(FULL).sentence == (
        "Use full: 96.0 % accuracy [94.6, 97.3], the only method that ran, for 74 s of training."
    )
    assert decide(row("probe", 0.96, 2.0)).sentence.startswith("Use probe: 96.0 %"), "enough beside what?"


def test_wide_intervals_are_owned_up_to():
    lora = row("lora", 0.96, 38.0, -0.01, 0.4, 0.04)
    assert decide(FULL, lora).sentence.endswith(
        "instead of 74 s; on 400 test examples a difference of up to 5.0 points can't be ruled out."
    )
    assert "ruled out" not in decide(FULL, lora, margin=0.06).sentence
    assert "ruled out" not in decide(FULL, row("lora", 0.96, 38.0, -0.01, 0.4, 0.019)).sentence


def test_regression_has_its_own_units_and_direction():
    full = row("full", 0.4, 7300.0, value=0.482)
    lora = row("lora", 0.41, 600.0, 0.012, 0.2, 0.016, value=0.494)
    bad = row("probe", 0.6, 2.0, 0.2, 0.001, value=0.682)
    got = decide(full, lora, bad, metric=RMSE)
    assert got.sentence == (
        "Use lora: RMSE 0.494 [0.480, 0.507], not significantly worse than full (best on validation; "
        "+0.0120 [-0.00400, +0.0280], p = 0.20), for 10 min of training instead of 2.0 h."
    )
    assert worse(bad, RMSE, 0.05)
    assert not worse(bad, ACCURACY, 0.05)
    wide = row("lora", 0.41, 600.0, 0.012, 0.2, 0.05, value=0.494)
    assert decide(full, wide, metric=RMSE).sentence.endswith("a difference of up to 0.0620 in RMSE can't be ruled out.")


rows = st.lists(
    st.tuples(
        *(st.none() | st.floats(low, high) for low, high in ((0, 1), (0, 9), (-1, 1), (0, 1))),
        st.booleans(),
        st.sampled_from(["ok", "diverged"]),
    ),
    max_size=6,
)


@given(rows, st.randoms())
def test_every_verdict_is_a_row_that_ran_and_is_not_worse(drawn, shuffle: random.Random):
    table = [
        row(f"m{i}", validation, seconds, difference, p, control=control, status=status)
        for i, (validation, seconds, difference, p, control, status) in enumerate(drawn)
    ]
    got = decide(*table)
    assert got.sentence.endswith(".")
    assert "None" not in got.sentence
    assert "nan" not in got.sentence
    chosen = [r for r in table if r.method == got.method]
    assert bool(chosen) == any(r.status == "ok" for r in table)
    for r in chosen:
        assert r.status == "ok"
        assert r.method == got.reference or not worse(r, ACCURACY, 0.05)
    if len({r.train_seconds for r in table}) == len({r.validation_value for r in table}) == len(table):
        shuffle.shuffle(table)
        again = decide(*table)
        assert (again.method, again.reference) == (got.method, got.reference)


def test_of_nearly_equal_times_the_smaller_method_and_never_a_time_instead_of_itself():
    lora = row("lora", 0.96, 1.1, 0.0, 1.0, trained_parameters=330_000)
    probe = row("probe", 0.97, 1.15, trained_parameters=5_400)
    full = row("full", 0.96, 9.0, 0.0, 1.0, trained_parameters=100)
    got = decide(probe, lora, full)
    assert got.method == "probe"
    other = decide(row("probe", 0.9, 1.12, 0.0, 1.0, trained_parameters=5_400), row("lora", 0.97, 1.1))
    assert other.method == "probe"
    assert "instead of" not in other.sentence
