"""How well columns of numbers tell the matching answer, on items that the classifier has not seen.

Folds are made of whole clusters of near-duplicates: a twin in the training folds would give its label away.
Rows are shuffled first, since published files are sorted.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.audit.findings import CHANCE
from pipeline.audit.sides import Sides
from pipeline.audit.wording import affirmative, is_negated
from pipeline.statistics.balanced import interval_of_weighted_accuracy
from pipeline.statistics.intervals import Interval

FOLDS = 10
_RIDGE = 0.005
"""Inverse strength of the ridge. A hundred columns meet two hundred items: of cues planted in 65 % of these, .35 and
.23 (statements, choices) are found with .1, about .6 with .003 to .01; clean datasets pass as often with either."""


@dataclass(frozen=True)
class Task:
    """What is to be told: whether the first answer is the matching one, for each item."""

    truth: np.ndarray
    """Shape (n,), bool."""
    strata: np.ndarray
    """Shape (n,), int: items between which the two sides count alike; -1 for those that count as they are."""
    sides: np.ndarray
    """Shape (n,), bool: on which side an item is within its stratum."""
    folds: np.ndarray
    """Shape (n,), int."""
    clusters: np.ndarray
    """Shape (n,), int: near-duplicates share one."""

    @property
    def can_be_told(self) -> bool:
        """Whether there are both answers to tell apart, and enough clusters for two folds."""
        return 0 < self.truth.sum() < len(self.truth) and len(set(self.folds)) > 1

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """Weights of these rows: twice the share of the other side in the stratum, so 1 where both are as many.

        Overlap weights (Li, Morgan and Zaslavsky 2018): both sides of a stratum then weigh the same, and a stratum
        that lies wholly on one side weighs nothing.
        """
        weights = np.ones(int(rows.sum()))
        for stratum in set(self.strata[rows]) - {-1}:
            own = self.strata[rows] == stratum
            share = self.sides[rows][own].mean()
            weights[own] = 2 * np.where(self.sides[rows][own], 1 - share, share)
        return weights


def task(sides: Sequence[Sides], clusters: Sequence[int], negation_aside: bool = False, seed: int = 0) -> Task:
    """The task of these items, with its folds.

    Both labels of statements count alike: a label is no place, and an imbalance of labels is a finding of its own.
    Choices count as they are, so that an imbalance of their places counts.
    With `negation_aside`, items with the same negation count for both labels alike: what a negation tells cannot
    come back as the length or the opener that goes with it.
    """
    truth = np.array([each.first_matches for each in sides], dtype=bool)
    strata = np.array([0 if each.is_statement else -1 for each in sides])
    of = truth.copy()
    if negation_aside:
        for i, each in enumerate(sides):
            if each.is_statement:
                strata[i] = int(is_negated(each.stem))
            elif tone := affirmative(each.first, each.second):
                strata[i], of[i] = 2, each.first_matches == (tone > 0)
    grouped = np.asarray(clusters, dtype=int)
    return Task(truth, strata, of, _folds(truth, grouped, seed), grouped)


def _folds(truth: np.ndarray, clusters: np.ndarray, seed: int) -> np.ndarray:
    """Clusters are dealt out in random order, by size and label, so that every fold has as many of both labels."""
    size = np.bincount(clusters, minlength=clusters.max(initial=-1) + 1)
    true = np.bincount(clusters, weights=truth, minlength=len(size))
    order = list(range(len(size)))
    random.Random(seed).shuffle(order)
    order.sort(key=lambda cluster: (-size[cluster], true[cluster]))
    fold_of = np.zeros(len(size), dtype=int)
    fold_of[order] = np.arange(len(size)) % FOLDS
    return np.asarray(fold_of[clusters])


Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]
"""(columns, truth, weights) of the training folds -> a function of columns to scores, above 0 for the first answer."""


def scores(columns: np.ndarray, given: Task, fit: Fit) -> np.ndarray:
    """A score for each item from a classifier fitted on the other folds; above 0 for the first answer."""
    found = np.zeros(len(given.truth))
    for fold in sorted(set(given.folds)):
        rest, own = given.folds != fold, given.folds == fold
        weights = given.weights(rest)
        # Where negation tells the whole label, nothing weighs anything, and there is nothing to learn from.
        rest[rest] = weights > 0
        if 0 < given.truth[rest].sum() < rest.sum():
            found[own] = fit(columns[rest], given.truth[rest], weights[weights > 0])(columns[own])
    return found


def accuracy(columns: np.ndarray, given: Task, fit: Fit | None = None) -> tuple[float, Interval]:
    """Weighted share of items whose matching answer is told, a tie counting half, with its interval."""
    return accuracy_of(scores(columns, given, fit or logistic), given)


def accuracy_of(found: np.ndarray, given: Task) -> tuple[float, Interval]:
    """The same of scores that are there already."""
    right = np.where(np.abs(found) < 1e-9, 0.5, (found > 0) == given.truth)
    weights = given.weights(np.ones(len(right), dtype=bool))
    if not weights.any():
        return CHANCE, Interval(0.0, 1.0)
    return float(np.average(right, weights=weights)), interval_of_weighted_accuracy(right, weights, given.clusters)


def logistic(columns: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Logistic regression with a ridge, without a constant: columns bring their own, and choices need none."""
    from sklearn.linear_model import LogisticRegression

    if not columns.any():
        return lambda new: np.zeros(len(new))
    fitted = LogisticRegression(C=_RIDGE, fit_intercept=False, max_iter=300).fit(columns, truth, weights)
    coefficients = fitted.coef_[0]
    return lambda new: new @ coefficients
