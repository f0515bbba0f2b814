"""AUROC and average precision as means over examples, by the infinitesimal jackknife.

Both depend on the order of all examples, so no few sums give them exactly for every reweighting. Each example gets its
pseudo-value `A + n dA/dw_i` instead: what the metric would become with more of this example. Their mean is the metric
itself, exactly, and the mean over a bootstrap draw, a cluster or a swap is the metric there up to terms of order 1/n.
For AUROC that is DeLong's method: the pseudo-values are its placements, which count the examples of the other class
that are ranked lower, so that models on different scales can be swapped, and a draw without a class needs no care.

Sources: DeLong et al. 1988, "Comparing the areas under two or more correlated receiver operating characteristic
curves"; Obuchowski 1997, "Nonparametric analysis of clustered ROC curve data"; Efron 1982, "The Jackknife, the
Bootstrap and Other Resampling Plans", chapter 6.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit, logit
from scipy.stats import rankdata

from headstart.stats.predictions import Predictions

Pseudo = Callable[[np.ndarray, np.ndarray], np.ndarray]
"scores [n] and truths [n] to pseudo-values [n]; NaN if the metric is undefined"


def auroc(scores: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Pseudo-values of `P(s+ > s-) + P(s+ = s-) / 2`; not defined without an example of either class.

    `A + n/n+ (V_i - A)` for a true example, V_i the share of the false ones ranked lower (ties count half), and
    alike for a false one with the share of the true ones ranked higher.
    """
    n, positives = len(true), int(true.sum())
    if not 0 < positives < n:
        return np.full(n, np.nan)
    ranks, placed = rankdata(scores), np.empty(n)
    placed[true] = (ranks[true] - rankdata(scores[true])) / (n - positives)
    placed[~true] = 1 - (ranks[~true] - rankdata(scores[~true])) / positives
    area = placed[true].mean()
    return area + n / np.where(true, positives, n - positives) * (placed - area)


def average_precision(scores: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Pseudo-values of the mean over true examples of the precision at their score, ties taken together.

    With P(s) = T(s) / N(s), the share of true ones among all with a score of at least s,
    `n+ dA/dw_j = y_j (P(s_j) - A) + sum over true i with s_i <= s_j of (y_j - P(s_i)) / N(s_i)`.
    Not defined without a true example.
    """
    n, positives = len(true), int(true.sum())
    if not positives:
        return np.full(n, np.nan)
    _, place = np.unique(-scores, return_inverse=True)  # 0 for the highest
    hits = np.bincount(place, weights=true)
    above = np.bincount(place).cumsum()
    precision = hits.cumsum() / above
    area = float(hits @ precision) / positives
    gained = (hits / above)[::-1].cumsum()[::-1]  # over all thresholds that an example is above
    lost = (hits * precision / above)[::-1].cumsum()[::-1]
    slope = true * (precision[place] - area) + true * gained[place] - lost[place]
    return area + n / positives * slope


def rank_rows(pseudo: Pseudo) -> Callable[[Predictions], np.ndarray]:
    """Statistics [n, 4] of a rank metric: pseudo-value, metric, 1, and the example's part of the effective number.

    For two classes of the second one, for several the mean of each against the rest, for multi-label that of the
    labels; those without a value are left out, and where none has one, all is NaN.
    """

    def rows(predictions: Predictions) -> np.ndarray:
        n, each, counts = len(predictions), [], []
        for scores, true in _questions(predictions):
            values = pseudo(scores, true)
            if not np.isnan(values).any():
                each.append(values)
                counts.append(4 / (1 / max(true.sum(), 0.5) + 1 / max((~true).sum(), 0.5)))
        if not each:
            return np.full((n, 4), np.nan)
        values = np.mean(each, axis=0)
        effective = len(counts) ** 2 / np.sum(1 / np.array(counts))
        return np.stack([values, np.full(n, values.mean()), np.ones(n), np.full(n, effective / n)], 1)

    return rows


def _questions(predictions: Predictions) -> list[tuple[np.ndarray, np.ndarray]]:
    """Scores and truths of each class against the rest (one-vs-rest), or of each label."""
    scores, targets = predictions.scores.astype(np.float64), predictions.targets
    if predictions.kind == "multi_label":
        return [(scores[:, c], targets[:, c] > 0.5) for c in range(scores.shape[1])]
    classes = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    return [(_odds(scores, c), targets == c) for c in classes]


def _odds(scores: np.ndarray, c: int) -> np.ndarray:
    """`p / (1 - p)`, with 1 - p from the other classes: close to 1, float32 has one number for many probabilities."""
    rest = np.delete(scores, c, axis=1).sum(1)
    return np.divide(scores[:, c], rest, out=np.full(len(scores), np.inf), where=rest > 0)


def rank_value(sums: np.ndarray) -> np.ndarray:
    """The mean of the pseudo-values, its distance from the metric taken on the scale of log odds.

    `expit(logit(A) + (mean - A) / (A (1 - A)))`: draws stay in (0, 1) and are skewed as they should be near its ends.
    Source: Qin & Hotilovac 2008, "Comparison of non-parametric confidence intervals for the area under the ROC curve".
    """
    mean, area = sums[..., 0] / sums[..., 2], sums[..., 1] / sums[..., 2]
    inside = (area > 0) & (area < 1)
    held = np.where(inside, area, 0.5)
    return np.where(inside, expit(logit(held) + (mean - area) / (held * (1 - held))), area)
