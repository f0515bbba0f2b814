import math

import numpy as np
import pytest
from sklearn import metrics as sk

from headstart.core.errors import ConfigurationError
from headstart.stats.class_counts import confusion, per_class
from headstart.stats.metric_choice import imbalance
from headstart.stats.metrics import METRICS, metric
from headstart.stats.predictions import Predictions
from stats.simulated import multi, real, scored, single

ZERO = {"zero_division": 0}


def _sklearn(p, name):
    if p.kind == "regression":
        y, x = p.targets, p.scores[:, 0]
        return {"rmse": sk.root_mean_squared_error, "mae": sk.mean_absolute_error, "r2": sk.r2_score}[name](y, x)
    y = p.targets
    x = p.scores > 0.5 if p.kind == "multi_label" else p.scores.argmax(1)
    match name:
        case "accuracy":
            return sk.accuracy_score(y, x)
        case "macro_f1" | "micro_f1":
            return sk.f1_score(y, x, average=name[:5], **ZERO)
        case "balanced_accuracy":
            return sk.balanced_accuracy_score(y, x)
        case "log_loss" if p.kind == "multi_label":
            each = [sk.log_loss(y[:, i], p.scores[:, i].astype(float), labels=[0, 1]) for i in range(y.shape[1])]
            return np.mean(each)
        case "log_loss":
            return sk.log_loss(y, p.scores.astype(float), labels=range(p.scores.shape[1]))
        case "brier" if p.kind == "multi_label":
            return np.mean([sk.brier_score_loss(y[:, i], p.scores[:, i].astype(float)) for i in range(y.shape[1])])
        case "brier":
            scores = p.scores.astype(float)
            return sk.brier_score_loss(y, scores, labels=range(scores.shape[1]), scale_by_half=False)
        case "auroc" if p.kind == "multi_label":
            return np.mean([sk.roc_auc_score(t, s) for t, s in _told_apart(y, p.scores)])
        case "auroc":
            return np.mean([sk.roc_auc_score(t, s) for t, s in _told_apart(*_one_against_rest(p))])
        case "average_precision" if p.kind == "multi_label":
            return np.mean([sk.average_precision_score(t, s) for t, s in _present(y, p.scores)])
        case "average_precision":
            return np.mean([sk.average_precision_score(t, s) for t, s in _present(*_one_against_rest(p))])
        case "ece":
            return _calibration_error(p.scores.astype(float).max(1), x == y)


def _one_against_rest(p):
    """Truths and scores [n, questions]: of two classes the second, of more each."""
    classes = [1] if p.scores.shape[1] == 2 else range(p.scores.shape[1])
    return np.eye(p.scores.shape[1])[p.targets][:, classes], p.scores[:, classes].astype(float)


def _told_apart(truths, scores):
    return [(t, s) for t, s in zip(truths.T, scores.T) if 0 < t.sum() < len(t)]


def _present(truths, scores):
    return [(t, s) for t, s in zip(truths.T, scores.T) if t.any()]


def _calibration_error(confidence, right):
    """By the definition, bin by bin: scikit-learn has none."""
    total = 0.0
    for at in range(15):
        inside = (confidence >= at / 15) & ((confidence < (at + 1) / 15) | (at == 14))
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return total


MAKERS = {"single_label": single, "multi_label": multi, "regression": real}
EVERY = [(kind, name) for kind, named in METRICS.items() for name in named]
RANKS = ("auroc", "average_precision")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_metric_is_scikit_learns(kind, name):
    for seed in range(20):
        p = MAKERS[kind](np.random.default_rng(seed), n=5 + 10 * seed)
        assert metric(kind, name).of(p) == pytest.approx(_sklearn(p, name), abs=1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "name"), [one for one in EVERY if one[1] not in RANKS])
def test_weighted_sums_are_the_metric_of_repeated_examples(kind, name):
    rng = np.random.default_rng(1)
    p, m = MAKERS[kind](rng, n=20), metric(kind, name)
    drawn = rng.integers(20, size=(30, 20))
    weights = np.stack([np.bincount(row, minlength=20) for row in drawn]).astype(float)
    fast = m.value(weights @ m.statistics(p))
    slow = [_sklearn(Predictions(np.arange(20), p.targets[row], p.scores[row]), name) for row in drawn]
    np.testing.assert_allclose(fast, slow, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", METRICS["single_label"])
def test_classes_absent_from_the_examples(name):
    rng = np.random.default_rng(0)
    p = scored(rng, np.array([0, 0, 3, 3, 3]), classes=6)
    assert metric("single_label", name).of(p) == pytest.approx(_sklearn(p, name), abs=1e-6)


def test_labels_that_never_occur_count_as_zero_in_multi_label_macro_f1():
    targets = np.array([[1, 0], [1, 0]], dtype=np.float32)
    p = Predictions(np.arange(2), targets, np.array([[0.9, 0.1], [0.9, 0.1]]))
    assert metric("multi_label", "macro_f1").of(p) == 0.5
    assert metric("multi_label", "accuracy").of(p) == 1
    nothing = Predictions(np.arange(2), 0 * targets, np.full((2, 2), 0.1))
    assert metric("multi_label").of(nothing) == 0


def test_the_threshold_is_exclusive_and_the_first_of_equal_scores_wins():
    p = Predictions(np.arange(1), np.array([[1.0]]), np.array([[0.5]]))
    assert metric("multi_label").of(p) == 0
    p = Predictions(np.arange(2), np.array([0, 1]), np.full((2, 2), 0.5))
    assert metric("single_label").of(p) == 0.5


def test_r2_of_targets_that_are_all_alike():
    for shift, expected in ((0.0, 1.0), (0.5, 0.0)):
        p = Predictions(np.arange(3), np.full(3, 0.1), np.full((3, 1), np.float32(0.1) + np.float32(shift)))
        assert metric("regression", "r2").of(p) == expected == sk.r2_score(p.targets, p.scores[:, 0])


def test_defaults_and_unknown_names():
    assert [metric(k).name for k in METRICS] == ["accuracy", "micro_f1", "rmse"]
    assert not metric("regression").higher_is_better
    with pytest.raises(ConfigurationError, match="macro_f1"):
        metric("single_label", "macro-f1")
    with pytest.raises(ConfigurationError, match="regression"):
        metric("regression", "accuracy")
    for asked, says in (("f1", "Did you mean 'macro_f1' or 'micro_f1'"), ("roc_auc", "'auroc'"), ("auc", "'auroc'"),
                        ("ap", "'average_precision'"), ("recall", "'balanced_accuracy'")):  # fmt: skip
        with pytest.raises(ConfigurationError, match=says):
            metric("single_label", asked)


@pytest.mark.parametrize(
    ("counts", "imbalanced"),
    [((309, 22), True), ((75, 25), True), ((74, 26), False), ((6, 2, 2), True), ((59, 21, 20), False),
     ((50, 10, 10, 10, 10, 10), True), ((1250, 86, 1162, 1223, 835, 896), False), ((20, 0), True)],
)  # fmt: skip
def test_accuracy_is_not_the_default_where_guessing_reaches_much_of_it(counts, imbalanced):
    labels = [f"c{i}" for i in range(len(counts))]
    why = imbalance(np.repeat(np.arange(len(counts)), counts), labels)
    assert bool(why) == imbalanced
    if imbalanced:
        assert why.startswith(f"{100 * max(counts) / sum(counts):.0f} %")
        assert "'c0'" in why


def test_imbalance_is_of_classes_alone():
    assert imbalance(np.array([1.0, 1.0, 2.0]), ()) == ""
    assert imbalance(np.array([[1.0, 0.0]] * 9), ("a", "b")) == ""


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite(bad):
    p = single(np.random.default_rng(0))
    scores = p.scores.copy()
    scores[3, 1] = bad
    p = Predictions(p.ids, p.targets, scores)
    assert math.isnan(metric("single_label").of(p))
    with pytest.raises(ValueError, match="diverged"):
        metric("single_label").statistics(p)
    with pytest.raises(ValueError, match="at least one"):
        metric("single_label").statistics(p.take(np.arange(0)))


@pytest.mark.filterwarnings("ignore")
def test_confusion_and_class_rows_are_scikit_learns():
    rng = np.random.default_rng(2)
    p = scored(rng, np.array([0, 0, 1, 1, 1, 3] * 5), classes=4)
    predicted = p.scores.argmax(1)
    assert confusion(p, 4) == tuple(map(tuple, sk.confusion_matrix(p.targets, predicted, labels=range(4)).tolist()))
    want = sk.precision_recall_fscore_support(p.targets, predicted, labels=range(4), zero_division=np.nan)
    rows = per_class(p, "abcd")
    assert [row.label for row in rows] == list("abcd")
    for name, column in zip(("precision", "recall", "f1", "support"), want):
        got = [np.nan if getattr(row, name) is None else getattr(row, name) for row in rows]
        np.testing.assert_allclose(got, column)
    assert rows[2].recall is None
    both = confusion([p, p], 4)
    assert np.array_equal(np.array(both), 2 * np.array(confusion(p, 4)))
    assert per_class([p, p], "abcd") == rows


def test_class_rows_of_the_other_kinds():
    p = multi(np.random.default_rng(0))
    for i, row in enumerate(per_class(p, "abcd")):
        assert row.f1 == pytest.approx(sk.f1_score(p.targets[:, i], p.scores[:, i] > 0.5))
        assert row.support == p.targets[:, i].sum()
    assert confusion(p, 4) == ()
    assert per_class(real(np.random.default_rng(0)), ()) == ()
    assert confusion(real(np.random.default_rng(0)), 1) == ()
