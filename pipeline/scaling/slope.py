"""The slope of the score on log10 size: least squares with an intercept for each family, and its errors.

The model is the unit. An item-level regression counts a thousand items as a thousand observations of "size", where
there are five models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.scaling.design import Design
from pipeline.scaling.item_error import ItemErrors
from pipeline.scaling.permutation import permutation_p, rejects
from pipeline.statistics.intervals import t_quantile

LEVEL = 0.05
"""The error budget over all false trend verdicts together."""

REACHABLE_LEVEL = 0.025
"""What the smallest p of a design must reach, for a verdict to be tried at all."""

NORMAL = 1.96
"""Standard errors in half a 95 % interval of a point."""


@dataclass(frozen=True, eq=False)
class Slopes:
    """Lines through many runs of one design; arrays of shape (runs,), in points a decade."""

    design: Design
    slope: np.ndarray
    error: np.ndarray
    """Standard error from the scatter of the models around parallel lines; nan without degrees of freedom."""
    item_error: np.ndarray
    """Standard error that the choice of items alone explains."""
    cautious_item_error: np.ndarray
    """The same, no smaller than so few items allow: for a flat verdict."""

    @property
    def change(self) -> np.ndarray:
        """Fitted change over the span, in points."""
        changed: np.ndarray = self.slope * self.design.span
        return changed

    def interval(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Student's t interval on the model points, models - families - 1 degrees; nan without degrees of freedom.

        Points that lie exactly on a line have no scatter to measure; the items' error stands in.
        """
        if self.design.degrees < 1:
            return np.full_like(self.slope, np.nan), np.full_like(self.slope, np.nan)
        half = t_quantile(self.design.degrees, level) * np.where(self.error > 0, self.error, self.item_error)
        return self.slope - half, self.slope + half


def slopes(design: Design, scores: np.ndarray, items: ItemErrors) -> Slopes:
    """Fit every run; `scores` of shape (runs, models), in points of 0-100."""
    weights = design.centred / design.spread
    slope = scores @ weights
    residuals = design.within(scores) - slope[:, None] * design.centred
    squares = (residuals**2).sum(axis=1)
    degrees = design.degrees
    error = np.sqrt(squares / degrees / design.spread) if degrees > 0 else np.full_like(slope, np.nan)
    return Slopes(design, slope, np.where(error < 1e-9, 0.0, error), items.of(weights), items.cautious(weights))


def slope_p(design: Design, scores: np.ndarray) -> np.ndarray:
    """(runs,) two-sided p of the least-squares slope, scores permuted within families."""
    return permutation_p(design.centred, scores, design.counts)


def slope_rejects(design: Design, scores: np.ndarray, level: float) -> np.ndarray:
    """(runs,) whether `slope_p` is at most the level."""
    return rejects(design.centred, scores, design.counts, level)


def can_reach(design: Design, level: float = REACHABLE_LEVEL) -> bool:
    """Whether the slope test can reject at all: perfect order and its reverse are 2 of the arrangements.

    Five sizes of one family can (2/120), four cannot (2/24); families of 4 and 3 sizes (2/144) and 3 x 3 (2/216) can.
    """
    return design.spread > 0 and design.degrees > 0 and 2 / design.arrangements <= level
