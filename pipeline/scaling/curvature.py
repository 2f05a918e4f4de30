"""Whether the score turns: a quadratic in log10 size with its vertex between the smallest and the largest model.

Two-lines tests (Simonsohn 2018) on five to nine points give false U shapes in 16-52 % of runs: such lines are drawn
(`pipeline/scaling/breakpoint.py`), never tested.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.scaling.design import Design
from pipeline.scaling.item_error import ItemErrors
from pipeline.scaling.permutation import permutation_p, rejects
from pipeline.scaling.slope import NORMAL

LEAST_SIZES = 6
"""Sizes of one family from which on curvature is looked for."""


@dataclass(frozen=True, eq=False)
class Curvatures:
    """Quadratics through many runs; arrays of shape (runs,), nan where no family has six sizes."""

    curvature: np.ndarray
    """Coefficient of (log10 size)^2, in points a decade squared; above 0 for a U."""
    vertex: np.ndarray
    """log10 of the size at which the quadratic turns."""
    arm_before: np.ndarray
    """Points by which the quadratic moves from the smallest size to the vertex, less than 0 where it falls; 0 where
    the vertex lies outside the sizes."""
    arm_after: np.ndarray
    """The same from the vertex to the largest size."""
    item_error: np.ndarray
    """Standard error of the coefficient that the choice of items alone explains."""

    def turns(self, least: float) -> np.ndarray:
        """(runs,) whether both arms have at least so many points and the items alone do not explain the curvature."""
        large = np.minimum(np.abs(self.arm_before), np.abs(self.arm_after)) >= least
        turning: np.ndarray = large & (np.abs(self.curvature) > NORMAL * self.item_error)
        return turning


def tested(design: Design) -> np.ndarray:
    """(models,) which models the curvature is told from: those of families with six sizes."""
    return design.only(LEAST_SIZES)


def contrast(design: Design) -> np.ndarray:
    """(models,) weights that see x^2 alone: orthogonal to every family's level and to the slope; 0 where not tested."""
    use = tested(design)
    weights = np.zeros(len(design.x))
    if use.any():
        part = _part(design, use)
        square = part.within((part.x - part.x.mean()) ** 2)
        weights[use] = square - part.centred * (square @ part.centred) / part.spread
    return weights


def curvatures(design: Design, scores: np.ndarray, items: ItemErrors) -> Curvatures:
    """Fit every run; `scores` of shape (runs, models), in points of 0-100."""
    use = tested(design)
    if not use.any():
        nothing = np.full(len(scores), np.nan)
        return Curvatures(nothing, nothing, nothing, nothing, nothing)
    part, weights = _part(design, use), contrast(design)
    weights = weights / (weights @ weights)
    second = scores @ weights
    middle = part.x.mean()
    square = part.within((part.x - middle) ** 2)
    first = (scores[:, use] @ part.centred - second * (square @ part.centred)) / part.spread
    with np.errstate(divide="ignore", invalid="ignore"):
        vertex = np.where(second == 0, np.inf, middle - first / (2 * second))
    low, high = part.x.min(), part.x.max()
    inside = (vertex > low) & (vertex < high)
    before, after = (second * np.where(inside, vertex - end, 0.0) ** 2 for end in (low, high))
    return Curvatures(
        curvature=second,
        vertex=vertex,
        arm_before=-before,
        arm_after=after,
        item_error=items.of(weights),
    )


def curvature_p(design: Design, scores: np.ndarray) -> np.ndarray:
    """(runs,) two-sided p of the quadratic contrast, scores permuted within families; nan where none has six sizes."""
    use = tested(design)
    if not use.any():
        return np.full(len(scores), np.nan)
    return permutation_p(contrast(design)[use], scores[:, use], _part(design, use).counts)


def curvature_rejects(design: Design, scores: np.ndarray, level: float) -> np.ndarray:
    """(runs,) whether `curvature_p` is at most the level."""
    use = tested(design)
    if not use.any():
        return np.zeros(len(scores), dtype=bool)
    return rejects(contrast(design)[use], scores[:, use], _part(design, use).counts, level)


def _part(design: Design, use: np.ndarray) -> Design:
    families = np.unique(design.family[use])
    return Design(design.x[use], tuple(design.counts[f] for f in families))
