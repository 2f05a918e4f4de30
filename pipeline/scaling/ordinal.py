"""Axes whose places have an order and no distances: API families of unknown sizes, model types, RL against none.

Only ranks are tested: no slope, no interval, no decade. A rank test of few places sees perfect order alone, so the
smallest p that a design can reach is said beside what it did reach.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pipeline.scaling.permutation import is_exact, orders_of
from pipeline.trends import OrderTest

LEVEL = 0.05
"""Two-sided level: nothing but order is tested, so it has the whole budget."""

MARGIN = 5.0
"""Points between the lowest and the highest place, at least, for a trend."""


def ordered(places: Sequence[int], scores: Sequence[float]) -> OrderTest:
    """The Jonckheere-Terpstra test for ordered places, several models a place or one (then it is Kendall's).

    `places` are ranks (equal for models of one place), `scores` in 0..1, in the same order. The statistic counts pairs
    of models of different places whose scores agree with the order less those that do not; p is exact over all
    assignments of scores to models up to 8 models, else from 100,000 seeded ones (Jonckheere 1954; Hollander, Wolfe
    and Chicken 2014, section 6.2). Raises ValueError where lengths differ or a score is not a number in 0..1.
    """
    place, score = np.asarray(places, dtype=float), np.asarray(scores, dtype=float)
    if place.shape != score.shape or not len(place):
        raise ValueError(f"{len(score)} scores at {len(place)} places")
    if not (np.isfinite(score).all() and np.isfinite(place).all() and score.min() >= 0 and score.max() <= 1):
        raise ValueError("scores must be numbers between 0 and 1, places numbers")
    first, last = score[place == place.min()].mean(), score[place == place.max()].mean()
    statistic, p_value = _tau(place, score), _jonckheere_p(place, score)
    smallest, change = _jonckheere_p(place, place), float(100 * (last - first))
    decided = p_value <= LEVEL and abs(change) >= MARGIN and change * statistic > 0
    return OrderTest(
        verdict=("rises" if statistic > 0 else "falls") if decided else "undecided",
        statistic=statistic,
        p_value=p_value,
        smallest_p=smallest,
        change=change,
        places=len(np.unique(place)),
        needs=None if decided else _needs(smallest, len(place)),
    )


def _jonckheere_p(place: np.ndarray, score: np.ndarray) -> float:
    """Two-sided p of the agreeing less the disagreeing pairs."""
    ranks = _pairs(score)
    orders = orders_of((len(place),))
    signs = _pairs(place)
    observed = abs(float((signs * ranks).sum()))
    extreme = sum(
        np.count_nonzero(
            np.abs((signs * ranks[part[:, :, None], part[:, None, :]]).sum(axis=(1, 2))) >= observed - 1e-9
        )
        for part in np.array_split(orders, max(1, len(orders) * len(place) ** 2 // 4_000_000))
    )
    return float(extreme / len(orders) if is_exact((len(place),)) else (1 + extreme) / (1 + len(orders)))


def _pairs(values: np.ndarray) -> np.ndarray:
    signs: np.ndarray = np.sign(values[:, None] - values[None, :])
    return signs


def _tau(place: np.ndarray, score: np.ndarray) -> float:
    """Kendall's tau-b; 0 where either does not vary."""
    one, other = _pairs(place), _pairs(score)
    scale = math.sqrt(float((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / scale if scale else 0.0


def _needs(smallest: float, models: int) -> str:
    if smallest > LEVEL:
        return (
            f"more models: with {models} in this order the smallest p that perfect order can reach is {smallest:.3f}, "
            f"above {LEVEL:g}"
        )
    return f"more models along the order; perfect order of these {models} would reach p = {smallest:.3f}"
