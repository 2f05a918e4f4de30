"""The slope of these models only: what it would be on other items, the models staying as they are.

It says nothing of other models: as an interval of the trend it covers .47-.78 where it should cover .95.
"""

from __future__ import annotations

import numpy as np

DRAWS = 4_000
"""Draws of clusters; the ends then move by about 2 % of the width from seed to seed."""

_BLOCK = 4_000_000
"""Numbers held at once."""


def bootstrap(answers: np.ndarray, clusters: np.ndarray, weights: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of the sum of weights times scores, in points; items drawn anew by whole clusters.

    `answers` (models, items) of 0, .5 or 1, `clusters` (items,), `weights` (models,) such as those of a slope. Every
    draw of clusters is one for all models (Cameron, Gelbach and Miller 2008 on drawing clusters whole).
    """
    _, of = np.unique(clusters, return_inverse=True)
    sizes, sums = np.bincount(of), np.bincount(of, weights=100 * (weights @ answers))
    draw, count, found = np.random.default_rng(seed), len(sizes), []
    step = max(1, _BLOCK // count)
    for at in range(0, DRAWS, step):
        drawn = draw.multinomial(count, np.full(count, 1 / count), size=min(step, DRAWS - at))
        found.append(drawn @ sums / (drawn @ sizes))
    low, high = np.quantile(np.concatenate(found), [0.025, 0.975])
    return float(low), float(high)
