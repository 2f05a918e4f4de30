"""Rises, falls, flat, U, inverted U or undecided: the tests put together within one error budget.

A false trend of any kind has at most .05: half for the slope, half for the curvature. Flat is a claim of its own and
has its own .05 (two one-sided tests).
"""

from __future__ import annotations

import numpy as np

from pipeline.scaling.curvature import curvature_rejects, curvatures
from pipeline.scaling.design import Design
from pipeline.scaling.slope import NORMAL, Slopes, can_reach, slope_rejects, slopes
from pipeline.statistics.intervals import t_quantile

MARGIN = 5.0
"""Points over the span: a smaller change is called flat, a trend has at least this change."""

_ONE_SIDED = 1.645
"""Normal quantile of one side at .05."""


def judge(design: Design, scores: np.ndarray, item_errors: np.ndarray) -> np.ndarray:
    """(runs,) the verdict on each run, as text; arrays of shape (runs, models), in points of 0-100.

    A trend must be significant, change by at least `MARGIN` points and by more than the items alone explain. Where
    slope and curvature are both there, the turn is the fuller description: its arms have `MARGIN` points each.
    """
    verdicts = np.full(len(scores), "undecided", dtype="<U10")
    if not can_reach(design):
        return verdicts
    lines = slopes(design, scores, item_errors)
    verdicts[is_flat(lines)] = "flat"
    large = (np.abs(lines.change) >= MARGIN) & (np.abs(lines.slope) > NORMAL * lines.item_error)
    large[large] = slope_rejects(design, scores[large]) if large.any() else False
    verdicts[large] = np.where(lines.slope[large] > 0, "rises", "falls")
    bends = curvatures(design, scores, item_errors)
    turned = bends.turns(MARGIN)
    turned[turned] = curvature_rejects(design, scores[turned]) if turned.any() else False
    verdicts[turned] = np.where(bends.curvature[turned] > 0, "U", "inverted U")
    return verdicts


def is_flat(lines: Slopes) -> np.ndarray:
    """(runs,) two one-sided tests at .05: the change over the span lies within the margin (Schuirmann 1987).

    The error is at least that of the items, so that ten items answered alike by all models prove nothing; it is known
    from many items, the scatter from few models, hence a normal quantile for one and a t quantile for the other.
    """
    scatter = t_quantile(lines.design.degrees, 0.90) * lines.error
    half = np.maximum(scatter, _ONE_SIDED * lines.item_error)
    flat: np.ndarray = (np.abs(lines.slope) + half) * lines.design.span < MARGIN
    return flat
