"""A line through items that hang together: least squares with errors that near-duplicates cannot shrink."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pipeline.statistics.intervals import LEVEL, t_quantile


class Coefficient(NamedTuple):
    """A coefficient and its interval."""

    value: float
    low: float
    high: float


def least_squares(
    y: Sequence[float], columns: Sequence[Sequence[float]], clusters: Sequence[int], level: float = LEVEL
) -> list[Coefficient] | None:
    """The coefficients of the columns, with cluster-robust intervals; None where the columns do not fix them.

    The sandwich of Liang and Zeger 1986 with the factor of Cameron and Miller 2015 (section 2.2) for few clusters, and
    Student's t with the number of clusters less that of columns as degrees of freedom.
    """
    x, value = np.column_stack([np.asarray(column, dtype=float) for column in columns]), np.asarray(y, dtype=float)
    n, k = x.shape
    _, of = np.unique(np.asarray(clusters), return_inverse=True)
    groups = int(of.max()) + 1
    if groups <= k or np.linalg.matrix_rank(x) < k:
        return None
    inverse = np.linalg.inv(x.T @ x)
    found = inverse @ x.T @ value
    scores = np.zeros((groups, k))
    np.add.at(scores, of, x * (value - x @ found)[:, None])
    covariance: np.ndarray[Any, Any] = inverse @ (scores.T @ scores) @ inverse
    covariance *= groups / (groups - 1) * (n - 1) / (n - k)
    half = [t_quantile(groups - k, level) * math.sqrt(max(0.0, variance)) for variance in np.diag(covariance)]
    return [Coefficient(float(b), float(b - h), float(b + h)) for b, h in zip(found, half, strict=True)]
