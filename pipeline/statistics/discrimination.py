"""How well scores tell true items from false ones: pure functions of labels and scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.statistics.intervals import LEVEL, Interval


def auroc(labels: Sequence[bool], scores: Sequence[float]) -> float | None:
    """Probability that a true item scores above a false one, ties counting half; None unless both occur."""
    from scipy.stats import rankdata

    truth = np.asarray(labels, dtype=bool)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return None
    ranks = rankdata(np.asarray(scores, dtype=float))
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def interval_of_auroc(area: float, positives: int, negatives: int, level: float = LEVEL) -> Interval:
    """Newcombe's score interval of an area under the curve (Newcombe 2006, part 2, method 5), within 0..1.

    The areas that lie within z of the observed one under Hanley and McNeil's variance at the area itself, with both
    groups' mean size for theirs; like Wilson's interval it has a width also where the observed area is 0 or 1.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    if min(positives, negatives) < 1:
        raise ValueError(f"the area of {positives} true and {negatives} false items")
    z2 = float(ndtri((1 + level) / 2)) ** 2
    size = (positives + negatives) / 2 - 1

    def excess(theta: float) -> float:
        more = size * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return (theta - area) ** 2 - z2 * theta * (1 - theta) * (1 + more) / (positives * negatives)

    # The areas 0 and 1 are solutions themselves where they are observed; the one that is meant lies inside.
    low = 0.0 if area <= 0 else float(brentq(excess, 0.0, area - 1e-9))
    return Interval(low, 1.0 if area >= 1 else float(brentq(excess, area + 1e-9, 1.0)))


def accuracy(labels: Sequence[bool], scores: Sequence[float], threshold: float = 0.5) -> float:
    """Share of items where "score >= threshold" says what the label says. Raises ValueError without items."""
    if not len(labels):
        raise ValueError("accuracy of no items")
    return float(np.mean((np.asarray(scores) >= threshold) == np.asarray(labels, dtype=bool)))


class BestThreshold(NamedTuple):
    """The threshold that agrees most with the labels, and how much it does."""

    threshold: float
    accuracy: float


def best_threshold(labels: Sequence[bool], scores: Sequence[float]) -> BestThreshold:
    """The threshold of greatest accuracy, halfway between two scores; the lowest of several.

    Chosen on the items it is judged on, so its accuracy is an upper bound, not an estimate for new items.
    """
    truth, value = np.asarray(labels, dtype=bool), np.asarray(scores, dtype=float)
    distinct = np.unique(value)
    cuts = np.concatenate([[distinct[0]], (distinct[1:] + distinct[:-1]) / 2, [np.nextafter(distinct[-1], np.inf)]])
    order = np.argsort(value, kind="stable")
    below = np.searchsorted(value[order], cuts, side="left")
    true_below = np.concatenate([[0], np.cumsum(truth[order])])[below]
    right = (below - true_below) + (truth.sum() - true_below)
    best = int(np.argmax(right))
    return BestThreshold(float(cuts[best]), float(right[best] / len(truth)))
