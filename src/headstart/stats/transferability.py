"""Transferability scores of frozen features, without training: LogME and H-score."""

from __future__ import annotations

import math

import numpy as np


def logme(features: np.ndarray, targets: np.ndarray, *, iterations: int = 100) -> float:
    """LogME: maximum log evidence per example of a linear model, `max_{alpha, beta} log p(y | F, alpha, beta) / n`.

    `w ~ N(0, I / alpha)`, `y ~ N(F w, I / beta)`; the mean over the columns of targets. Higher is better.
    features: [n, D]; targets: [n, K], one-hot for classes, values for regression. Both precisions by fixed point:
    `alpha = gamma / |m|^2`, `beta = (n - gamma) / |y - F m|^2`, with m the posterior mean and
    `gamma = sum s_i / (s_i + alpha / beta)` over the eigenvalues s of F'F.
    Source: You et al. 2021, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", section 4.
    """
    x, y = features.astype(np.float64), targets.astype(np.float64)
    n, width = x.shape
    left, sizes, _ = np.linalg.svd(x, full_matrices=False)  # [n, r], [r]
    s = sizes**2
    projected = (left.T @ y) ** 2  # [r, K]
    outside = np.maximum((y**2).sum(0) - projected.sum(0), 0.0)  # [K] of y's length where no feature reaches
    return float(np.mean([_evidence(s, projected[:, k], outside[k], n, width, iterations) for k in range(y.shape[1])]))


def _evidence(s: np.ndarray, projected: np.ndarray, outside: float, n: int, width: int, iterations: int) -> float:
    tiny = 1e-12

    def at(ratio: float) -> tuple[float, float]:
        """Squared lengths of the posterior mean and of the residual."""
        length = (s * projected / (s + ratio) ** 2).sum()
        return length, (projected * (ratio / (s + ratio)) ** 2).sum() + outside

    ratio, alpha, beta = 1.0, 1.0, 1.0
    for _ in range(iterations):
        gamma = (s / (s + ratio)).sum()
        length, rest = at(ratio)
        alpha, beta = max(gamma / max(length, tiny), tiny), (n - gamma) / max(rest, tiny)
        before, ratio = ratio, alpha / beta
        if abs(ratio - before) <= 1e-4 * before:
            break
    length, rest = at(ratio)
    spread = np.log(alpha + beta * s).sum() + (width - len(s)) * math.log(alpha)
    found = width * math.log(alpha) + n * math.log(beta) - spread - beta * rest - alpha * length
    return float(found - n * math.log(2 * math.pi)) / (2 * n)


def h_score(features: np.ndarray, classes: np.ndarray) -> float:
    """H-score `tr(S_f^-1 S_g)`: covariance of the class means relative to that of the features. Higher is better.

    0 if the means are equal, at most the number of classes minus one. Covariances are shrunk after Ledoit and Wolf
    2004, S_g by as much: with few examples the inverse is otherwise of noise.
    features: [n, D]; classes: [n].
    Sources: Bao et al. 2019, "An Information-Theoretic Approach to Transferability in Task Transfer Learning"; Ibrahim
    et al. 2021, "Newer is not always better: Rethinking transferability metrics", section 4.1.
    """
    from sklearn.covariance import ledoit_wolf

    x = features.astype(np.float64)
    x = x - x.mean(0)
    if not x.any():  # the same features for every example
        return 0.0
    covariance, shrinkage = ledoit_wolf(x, assume_centered=True)
    means = np.zeros_like(x)
    for one in np.unique(classes):
        means[classes == one] = x[classes == one].mean(0)
    between = means.T @ means / len(x)
    return float((1 - shrinkage) * np.trace(np.linalg.solve(covariance, between)))
