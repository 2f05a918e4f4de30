"""Exact permutation tests of a contrast: scores are handed to the models' places in every order, families apart.

A permutation test needs no normal scatter, only that the models' departures are exchangeable under the null hypothesis.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np

EXACT_UP_TO = math.factorial(8)
"""Orders up to which all are computed: eight models of one family, or five and five of two."""

DRAWS = 100_000
"""Random orders beyond that; the p-value then has a standard error of at most .0005 near .025."""

SCREEN = 2_000
"""Orders that a run must first pass in a simulation before all are computed for it."""

_BLOCK = 4_000_000
"""Numbers held at once."""


def permutation_p(contrast: np.ndarray, scores: np.ndarray, counts: tuple[int, ...]) -> np.ndarray:
    """Two-sided p of the contrast for each run: share of orders with one at least as large, the observed included.

    `contrast` (models,) and `scores` (runs, models) hold family after family, `counts` models each; orders do not
    leave the family. Exact up to `EXACT_UP_TO` orders; beyond that from `DRAWS` seeded random ones with the observed
    counted among them (Phipson and Smyth 2010). Shape (runs,), in (0, 1].
    """
    orders = orders_of(counts)
    extreme = _extreme(contrast, scores, orders)
    return extreme / len(orders) if is_exact(counts) else (1 + extreme) / (1 + len(orders))


def rejects(contrast: np.ndarray, scores: np.ndarray, counts: tuple[int, ...], level: float) -> np.ndarray:
    """Whether `permutation_p` is at most `level`, for each of many runs; shape (runs,).

    Runs that are clear from `SCREEN` of the orders, 6 standard deviations below or 8 above what a p of `level` would
    give, are not followed further; that one of them is wrong has odds below 1 in a million.
    """
    orders = orders_of(counts)
    if len(scores) == 1 or len(orders) <= 2 * SCREEN:
        small: np.ndarray = permutation_p(contrast, scores, counts) <= level
        return small
    some = orders[np.random.default_rng(0).choice(len(orders), SCREEN, replace=False)]
    extreme, expected = _extreme(contrast, scores, some), level * SCREEN
    rejected = extreme < expected - 6 * math.sqrt(expected)
    unclear = ~rejected & (extreme <= expected + 8 * math.sqrt(expected))
    if unclear.any():
        rejected[unclear] = permutation_p(contrast, scores[unclear], counts) <= level
    return rejected


def is_exact(counts: tuple[int, ...]) -> bool:
    """Whether all orders are computed."""
    return math.prod(math.factorial(count) for count in counts) <= EXACT_UP_TO


def _extreme(contrast: np.ndarray, scores: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """(runs,) how many of the orders give a contrast at least as large as the observed one, either sign."""
    centred = scores - scores.mean(axis=1, keepdims=True)
    # Orders that tie with the observed one must count as at least as extreme, whatever the order of summation.
    slack = 1e-9 * (1 + np.abs(contrast).sum() * np.abs(centred).max(axis=1))
    observed = np.abs(centred @ contrast) - slack
    found = np.zeros(len(scores))
    step = max(1, _BLOCK // max(1, len(scores)))
    for start in range(0, len(orders), step):
        shuffled = contrast[orders[start : start + step]]
        found += np.count_nonzero(np.abs(centred @ shuffled.T) >= observed[:, None], axis=1)
    return found


@lru_cache(maxsize=16)
def orders_of(counts: tuple[int, ...]) -> np.ndarray:
    """(orders, models) of indices that stay within their families: all of them, or `DRAWS` random ones, seed 0."""
    first = np.cumsum([0, *counts[:-1]])
    if is_exact(counts):
        each = [list(itertools.permutations(range(at, at + count))) for at, count in zip(first, counts, strict=True)]
        return np.array([list(itertools.chain(*order)) for order in itertools.product(*each)], dtype=np.int8)
    draw = np.random.default_rng(0)
    columns = [
        draw.permuted(np.tile(np.arange(at, at + count, dtype=np.int16), (DRAWS, 1)), axis=1)
        for at, count in zip(first, counts, strict=True)
    ]
    return np.concatenate(columns, axis=1)
