"""Which families a verdict rests on, and what each says alone. Chosen by sizes, never by outcome.

Lines are fitted inside a family only: an intercept for each, one slope for all. The slope of "these families" is tested
by handing scores to places within families; "families in general" takes each family's slope as one observation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.scaling.curves import Curve, place
from pipeline.scaling.design import Design
from pipeline.scaling.item_error import ItemErrors, of_answers
from pipeline.scaling.slope import can_reach, slope_p, slopes
from pipeline.scaling.verdict import judge
from pipeline.schema import Point
from pipeline.statistics.intervals import t_quantile
from pipeline.trends import FamilyTrend

LEAST_SIZES = 3
"""Sizes below which a family is not tested together with others."""

LEAST_SHARED = 0.9
"""Share of its items that every model must have in common with the others, for answers to be compared by item."""


@dataclass(frozen=True)
class SharedItems:
    """What each model answered on each item, to see how far the choice of items moves all models alike."""

    answers: Mapping[str, Mapping[str, float]]
    """By the point's label: item id -> 1 where the answer matches, 0 where not, .5 where draws tie."""
    clusters: Mapping[str, int]
    """Item id -> its cluster of near-duplicates; an item that is not listed is one of its own."""


@dataclass(frozen=True, eq=False)
class Ladder:
    """Curves of one or more families with their scores, one run of a design."""

    curves: tuple[Curve, ...]
    design: Design
    scores: np.ndarray
    """(1, models) in points of 0-100, in the order of the design."""
    items: ItemErrors
    matrix: tuple[np.ndarray, np.ndarray] | None = None
    """Answers (models, items) and the items' clusters, where known."""

    @property
    def points(self) -> list[Point]:
        """The points in the order of the design."""
        return [point for curve in self.curves for point in curve.points]

    def verdict(self, scores: Sequence[float] | None = None) -> str:
        """Of these scores (0..1, one a point) in place of the measured ones."""
        given = self.scores if scores is None else 100 * np.asarray([scores], dtype=float)
        return str(judge(self.design, given, self.items)[0])


def ladder(chosen: Sequence[Curve], shared: SharedItems | None = None) -> Ladder:
    """Curves as one design; the items' errors are told from the answers where enough items are shared."""
    points = [point for curve in chosen for point in curve.points]
    errors = np.array([[100 * (point.score_high - point.score_low) / (2 * 1.96) for point in points]])
    matrix = _matrix(points, shared) if shared else None
    return Ladder(
        curves=tuple(chosen),
        design=Design.of(*[[place(point, curve.axis) for point in curve.points] for curve in chosen]),
        scores=np.array([[100 * point.score for point in points]]),
        items=of_answers(matrix[0], matrix[1].tolist()) if matrix else ItemErrors(errors=errors),
        matrix=matrix,
    )


def chosen(found: Sequence[Curve]) -> list[Curve]:
    """The curves that the verdict rests on: the best of each family with three sizes, if together they can decide.

    Otherwise the one with the most sizes, whose figures are shown. `found` is in the order of `curves`.
    """
    first = {curve.family: curve for curve in reversed(found)}
    several = [curve for curve in found if first[curve.family] is curve and len(curve.sizes) >= LEAST_SIZES]
    if len(several) > 1 and can_reach(ladder(several).design):
        return several
    return [curve for curve in found[:1] if len(curve.sizes) > 1]


def plain(found: Sequence[Curve]) -> list[Curve]:
    """The curves of models as they are; where there is none, those of variants (told something, best of k, …).

    What a variant does is another question: it neither makes nor takes away the verdict on the models themselves.
    """
    bare = [curve for curve in found if curve.axis == "axis_value" or curve.points[0].variant is None]
    return bare or list(found)


def alone(curve: Curve, in_verdict: bool, shared: SharedItems | None = None) -> FamilyTrend:
    """One curve's own trend; it has at least two sizes."""
    one = ladder([curve], shared)
    lines = slopes(one.design, one.scores, one.items)
    low, high = (_known(end) for end in lines.interval())
    first = curve.points[0]
    return FamilyTrend(
        family=curve.family,
        kind=first.kind,
        rendering=first.rendering,
        variant=first.variant if curve.axis != "axis_value" else None,
        verdict=one.verdict(),
        sizes=len(curve.sizes),
        slope=float(lines.slope[0]),
        low=low,
        high=high,
        p_value=float(slope_p(one.design, one.scores)[0]) if len(curve.points) > 2 else None,
        in_verdict=in_verdict,
    )


def in_general(trends: Sequence[FamilyTrend]) -> tuple[float, float] | None:
    """95 % t interval of the mean slope over families, each counting once; None below three families.

    Pooling by DerSimonian and Laird's weights is false in 10-25 % of simulated runs with so few families.
    """
    values = np.array([each.slope for each in trends])
    if len(values) < 3:
        return None
    half = t_quantile(len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return float(values.mean()) - half, float(values.mean()) + half


def is_confirmed(verdict: str, trends: Sequence[FamilyTrend]) -> bool | None:
    """Whether two families alone decide as the verdict says; None where it is undecided."""
    if verdict == "undecided":
        return None
    return len({each.family for each in trends if each.verdict == verdict}) >= 2


def _matrix(points: Sequence[Point], shared: SharedItems) -> tuple[np.ndarray, np.ndarray] | None:
    answers = [shared.answers.get(point.label, {}) for point in points]
    common = sorted(set(answers[0]).intersection(*answers[1:])) if answers else []
    if not common or len(common) < LEAST_SHARED * max(len(each) for each in answers):
        return None
    lone = max(shared.clusters.values(), default=-1) + 1
    clusters = np.array([shared.clusters.get(item, lone + i) for i, item in enumerate(common)])
    return np.array([[each[item] for item in common] for each in answers]), clusters


def _known(value: np.ndarray) -> float | None:
    return float(value[0]) if math.isfinite(value[0]) else None
