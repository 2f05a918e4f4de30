"""How far the choice of items alone moves a contrast of the models' scores.

Models of a ladder answer the same items, so an item that is easy for one is easy for the next, and much of the chance
in the choice of items cancels between them. Where the answers are at hand, that is counted; else every point's own
interval stands for itself, which is on the safe side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class ItemErrors:
    """The items' part in the errors of the scores of many runs, in points."""

    errors: np.ndarray | None = None
    """(runs, models) standard errors, where the items of one model are taken as no other's."""
    covariance: np.ndarray | None = None
    """(runs, models, models) cluster-robust covariance of the scores on shared items."""
    clusters: int = 0
    """Clusters of near-duplicates that the covariance is told from."""

    def of(self, weights: np.ndarray) -> np.ndarray:
        """(runs,) standard error of the sum of weights (models,) times scores."""
        if self.covariance is not None:
            variance = np.maximum(np.einsum("i,rij,j->r", weights, self.covariance, weights), 0.0)
        elif self.errors is not None:
            variance = self.errors**2 @ weights**2
        else:
            raise ValueError("neither errors nor a covariance")
        error: np.ndarray = np.sqrt(variance)
        return error

    def cautious(self, weights: np.ndarray) -> np.ndarray:
        """The same, where a small error would be taken as proof: for a claim that nothing changes.

        To answers on shared items two imagined clusters are added that move the contrast as far as one can, one each
        way: that all models answer 25 items alike does not show that they answer every item alike (the idea of
        Agresti and Caffo 2000 for the difference of two proportions).
        """
        farthest = 100 * float(np.abs(weights).sum()) / 2
        imagined = 2 * (farthest / (self.clusters + 2)) ** 2 if self.covariance is not None else 0.0
        error: np.ndarray = np.sqrt(self.of(weights) ** 2 + imagined)
        return error

    def only(self, models: np.ndarray) -> ItemErrors:
        """Those of some of the models (a mask or indices)."""
        if self.covariance is None:
            return ItemErrors(errors=None if self.errors is None else self.errors[:, models])
        return ItemErrors(covariance=self.covariance[:, models][:, :, models], clusters=self.clusters)


def of_answers(answers: np.ndarray, clusters: Sequence[int]) -> ItemErrors:
    """From answers (models, items) of 0, .5 or 1 and each item's cluster of near-duplicates.

    The linearised variance of a mean over clusters (Kish 1965, section 8.2), with its covariances between models.
    """
    _, of = np.unique(np.asarray(clusters), return_inverse=True)
    sizes = np.bincount(of)
    sums = np.stack([np.bincount(of, weights=row) for row in answers])
    return ItemErrors(covariance=covariance(sums[None], sizes), clusters=len(sizes))


def covariance(sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(runs, models, models) covariance of scores in points, from sums of answers (runs, models, clusters)."""
    n, count = sizes.sum(), len(sizes)
    departures = sums - sizes * (sums.sum(axis=-1, keepdims=True) / n)
    scale = (100 / n) ** 2 * count / max(count - 1, 1)
    found: np.ndarray = scale * (departures @ departures.transpose(0, 2, 1))
    return found
