"""Accuracy where items have weights, such as those that let both labels count alike: pure functions of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.statistics.intervals import LEVEL, Interval, t_quantile, wilson


def interval_of_weighted_accuracy(
    right: Sequence[float] | np.ndarray,
    weights: Sequence[float] | np.ndarray,
    clusters: Sequence[int] | np.ndarray,
    level: float = LEVEL,
) -> Interval:
    """Interval of the weighted share of right answers (1 right, 0 wrong, .5 a tie); near-duplicates share a cluster.

    Wilson's interval for the effective number of trials p (1 - p) / v, where v is the cluster-robust variance of the
    ratio sum(w x) / sum(w), linearised (Kish 1965, section 8.2). Trials are never more than there are items; where
    all answers are right, or all wrong, they are Kish's sum(w)^2 / sum(w^2) over clusters. Where items share
    clusters, few of which tell the variance badly, trials are divided by (t/z)^2 of their degrees of freedom.
    Items without weight say nothing: (0, 1).
    """
    x, w = np.asarray(right, dtype=float), np.asarray(weights, dtype=float)
    counted = w > 0
    if not counted.any():
        return Interval(0.0, 1.0)
    x, w, of = x[counted], w[counted], np.unique(np.asarray(clusters)[counted], return_inverse=True)[1]
    p, count = float(np.average(x, weights=w)), int(of.max()) + 1
    sums = np.bincount(of, weights=w * (x - p))
    variance = float((sums**2).sum()) / w.sum() ** 2 * count / max(count - 1, 1)
    most = float(w.sum() ** 2 / (np.bincount(of, weights=w) ** 2).sum())
    effective = min(p * (1 - p) / variance, float(len(x))) if variance > 1e-12 else most
    if count < len(x):
        effective *= (t_quantile(10**9, level) / t_quantile(max(count - 1, 1), level)) ** 2
    return wilson(min(p, 1.0) * effective, effective, level)
