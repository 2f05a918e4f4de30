"""How well scores tell true items from false ones: pure functions of labels and scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


def auroc(labels: Sequence[bool], scores: Sequence[float]) -> float | None:
    """Probability that a true item scores above a false one, ties counting half; None unless both occur."""
    from scipy.stats import rankdata

    truth = np.asarray(labels, dtype=bool)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return None
    ranks = rankdata(np.asarray(scores, dtype=float))
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


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
