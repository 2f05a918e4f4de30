"""Intervals by drawing again, where no formula gives one: the bootstrap over clusters of items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipeline.statistics.intervals import LEVEL, Interval

DRAWS = 500


def bootstrap(
    statistic: Callable[[np.ndarray[Any, Any]], Sequence[float]],
    clusters: Sequence[int],
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
) -> list[Interval]:
    """Basic bootstrap intervals of several statistics of the same items, which clusters bind together.

    `statistic` gets the indices of the items drawn, shape (m,), and gives its values. The basic interval, twice the
    observed value less the quantiles of the draws (Davison and Hinkley 1997, section 5.2), and not the percentile one:
    what noise alone raises, as it does an error of calibration, it raises again in every draw, and here it is taken
    off. The observed value is always inside. Raises ValueError without items.
    """
    if not len(clusters):
        raise ValueError("a bootstrap of no items")
    _, of = np.unique(np.asarray(clusters), return_inverse=True)
    members = [np.flatnonzero(of == cluster) for cluster in range(of.max() + 1)]
    random = np.random.default_rng(seed)
    drawn = [
        statistic(np.concatenate([members[i] for i in random.integers(len(members), size=len(members))]))
        for _ in range(draws)
    ]
    observed = np.asarray(statistic(np.arange(len(of))))
    low, high = np.quantile(np.asarray(drawn), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return [
        Interval(min(float(value), float(2 * value - above)), max(float(value), float(2 * value - below)))
        for value, below, above in zip(observed, low, high, strict=True)
    ]
