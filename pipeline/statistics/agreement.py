"""How far raters agree beyond chance: pure functions of their ratings.

Every coefficient is 1 - D_o / D_e: the disagreement that was observed over the one that chance would give.
They differ in what chance knows: Cohen's kappa each rater's own shares, Fleiss' kappa the shares of all ratings,
Krippendorff's alpha the ratings at hand, drawn without replacement.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.statistics.intervals import LEVEL, wilson

Array = np.ndarray


class Agreement(NamedTuple):
    """A coefficient with its interval, and the plain share of agreeing pairs of ratings."""

    value: float | None
    """At most 1; 0 is what chance gives. None where all ratings are the same one: then chance agrees fully."""
    low: float | None
    high: float | None
    observed: float
    """Share of agreeing pairs of ratings, in 0..1."""
    items: int
    """Items with at least two ratings; the others say nothing of agreement."""


class Confusion(NamedTuple):
    """How often one rater (rows) gave which category where the other (columns) gave which."""

    categories: list[str]
    counts: list[list[int]]


def confusion(rows: Sequence[str], columns: Sequence[str]) -> Confusion:
    """The table of two raters of the same items, over all categories that either of them used, sorted."""
    categories = sorted({*rows, *columns})
    place = {category: i for i, category in enumerate(categories)}
    counts = [[0] * len(categories) for _ in categories]
    for row, column in zip(rows, columns, strict=True):
        counts[place[row]][place[column]] += 1
    return Confusion(categories, counts)


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable], level: float = LEVEL) -> Agreement:
    """Cohen's kappa of two raters of the same items (Cohen 1960). Raises ValueError without items."""
    if len(first) != len(second) or not len(first):
        raise ValueError(f"kappa of {len(first)} and {len(second)} ratings")
    place = {category: i for i, category in enumerate(dict.fromkeys([*first, *second]))}
    one_hot = np.eye(len(place))
    a, b = (one_hot[[place[category] for category in ratings]] for ratings in (first, second))
    differ = 1 - (a * b).sum(axis=1)

    def chance(totals: Array) -> Array:
        shares = totals / totals.sum(axis=-1, keepdims=True)
        return np.asarray(1 - (shares[..., 0, :] * shares[..., 1, :]).sum(axis=-1))

    return _agreement(differ, np.ones(len(differ)), np.stack([a, b], axis=1), chance, level)


def fleiss_kappa(ratings: Sequence[Sequence[Hashable]], level: float = LEVEL) -> Agreement:
    """Fleiss' kappa: every item has the same number of ratings, at least two, by whichever raters (Fleiss 1971).

    Raises ValueError where the numbers differ; Krippendorff's alpha takes those.
    """
    if len({len(item) for item in ratings}) != 1 or len(ratings[0]) < 2:
        raise ValueError("Fleiss' kappa needs the same number of ratings, at least two, of every item")
    counts = _counts(ratings)

    def chance(totals: Array) -> Array:
        shares = totals / totals.sum(axis=-1, keepdims=True)
        return np.asarray(1 - (shares**2).sum(axis=-1))

    return _agreement(_disagreement(counts), np.ones(len(counts)), counts, chance, level)


def krippendorff_alpha(ratings: Sequence[Sequence[Hashable | None]], level: float = LEVEL) -> Agreement:
    """Krippendorff's alpha for nominal categories; None is a rating that is missing (Krippendorff 2011, part C).

    Items with fewer than two ratings are left out. Raises ValueError where none is left.
    """
    present = [[rating for rating in item if rating is not None] for item in ratings]
    present = [item for item in present if len(item) > 1]
    if not present:
        raise ValueError("no item has two ratings")
    counts = _counts(present)

    def chance(totals: Array) -> Array:
        n = totals.sum(axis=-1)
        return np.asarray(1 - (totals * (totals - 1)).sum(axis=-1) / np.maximum(n * (n - 1), 1))

    return _agreement(_disagreement(counts), counts.sum(axis=1), counts, chance, level)


def _counts(ratings: Sequence[Sequence[Hashable]]) -> Array:
    """How many ratings of an item (row) are in which category (column)."""
    place = {category: i for i, category in enumerate(dict.fromkeys(c for item in ratings for c in item))}
    counts = np.zeros((len(ratings), len(place)))
    for row, item in zip(counts, ratings, strict=True):
        for category in item:
            row[place[category]] += 1
    return counts


def _disagreement(counts: Array) -> Array:
    """Share of the pairs of ratings of each item that differ."""
    n = counts.sum(axis=1)
    return np.asarray(1 - (counts * (counts - 1)).sum(axis=1) / (n * (n - 1)))


def _agreement(
    differ: Array, weight: Array, per_item: Array, chance: Callable[[Array], Array], level: float
) -> Agreement:
    """The coefficient of the items' disagreement, and Wilson's interval carried over to it.

    The jackknife over items gives the variance of the coefficient, that variance a number of independent items, and
    Wilson's interval of the observed disagreement at that number, over D_e, the ends. With perfect agreement the
    bootstrap and the usual variance (Fleiss, Cohen and Everitt 1969) give an interval of no width; this does not.
    In simulations of two raters, kappa .25 to .92 and 20 to 200 items, it covers in .93-.96 of runs where the
    percentile bootstrap covers in .53-.96.
    """
    items, expected = len(differ), float(chance(per_item.sum(axis=0)))
    observed = min(max(float((differ * weight).sum() / weight.sum()), 0.0), 1.0)
    if expected <= 1e-12:
        return Agreement(None, None, None, 1 - observed, items)
    trials = _trials(differ, weight, per_item, chance, observed, expected)
    ends = wilson(observed * trials, trials, level)
    low = max(-1.0, 1 - ends.high / expected)
    return Agreement(1 - observed / expected, low, 1 - ends.low / expected, 1 - observed, items)


def _trials(
    differ: Array, weight: Array, per_item: Array, chance: Callable[[Array], Array], observed: float, expected: float
) -> float:
    """The number of independent items that would give the coefficient its jackknife variance."""
    items = len(differ)
    if items < 3 or not 0 < observed < 1:
        return float(items)
    without = ((differ * weight).sum() - differ * weight) / (weight.sum() - weight)
    by_chance = chance(per_item.sum(axis=0) - per_item)
    if (by_chance <= 1e-12).any():
        return float(items)
    left = 1 - without / by_chance
    variance = float(((left - left.mean()) ** 2).sum()) * (items - 1) / items
    trials = observed * (1 - observed) / max(variance * expected**2, 1e-12)
    # A few items tell the variance badly: they count for no more than two of each pair of ratings.
    raters = max(2, round(float(per_item.sum(axis=-1).max())))
    return float(min(max(trials, 1.0), 2 * items * math.comb(raters, 2)))
