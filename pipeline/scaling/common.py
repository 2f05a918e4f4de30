"""What many behaviours have in common as models grow, and what each does beyond that.

A general drift (saying yes more often, understanding more) moves every behaviour. The common trend is that of each
model's mean score over behaviours; the residual trend of a behaviour is that of its scores less these means.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.scaling.curves import LEAST_MASS, curves
from pipeline.scaling.design import Design
from pipeline.scaling.permutation import is_exact, orders_of
from pipeline.schema import Point, Record
from pipeline.statistics.intervals import interval_of_mean, t_quantile

IN_MOST = 0.8
"""Share of the behaviours that a model must have answered to count for the common trend."""


class Slope(Record):
    """A line through models of several sizes, families with an intercept each."""

    slope: float
    """Points a decade of parameters."""
    low: float | None
    high: float | None
    """95 % Student's t on the models; None without a degree of freedom."""
    p_value: float | None
    """Two-sided (`two_sided_p`), scores permuted over the sizes within families; None without three sizes of one."""


class MeanScore(Record):
    """One model's mean score over behaviours, in 0..1, with the t interval over behaviours."""

    model: str
    family: str | None
    parameters: int | None
    mean: float
    low: float | None
    high: float | None


class CommonTrend(Record):
    """The mean over behaviours, model by model, and its line."""

    behaviours: int
    """Behaviours that all of these models answered; only they count."""
    models: list[MeanScore]
    line: Slope | None
    """None without two sizes of one family."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Scores of behaviours (rows) by models (columns), where both are complete."""

    rows: tuple[int, ...]
    """Which of the behaviours given they are."""
    points: tuple[Point, ...]
    """A point of each model, for what is known of it; family after family, by size."""
    scores: np.ndarray
    """(rows, models), in points of 0-100."""


def design_of(points: Sequence[Point]) -> tuple[Design, list[Point]] | None:
    """The usable points that a slope can rest on: of each family the curve with the most sizes, from two on."""
    chosen: dict[str, tuple[Point, ...]] = {}
    for curve in curves(points):
        if len(curve.sizes) > 1:
            chosen.setdefault(curve.family, curve.points)
    if not chosen:
        return None
    return _design(chosen.values()), [point for group in chosen.values() for point in group]


def lines(design: Design, scores: np.ndarray) -> list[Slope]:
    """The least-squares slope of each row of scores (rows, models), in points."""
    weights = design.centred / design.spread
    slopes = scores @ weights
    scatter = design.within(scores) - slopes[:, None] * design.centred
    half = np.full(len(slopes), np.nan)
    if design.degrees > 0:
        half = t_quantile(design.degrees) * np.sqrt((scatter**2).sum(axis=1) / design.degrees / design.spread)
    p_values = two_sided_p(design, scores) if design.arrangements > 2 else np.full(len(slopes), np.nan)
    return [
        Slope(slope=float(b), low=_known(b - h), high=_known(b + h), p_value=_known(p))
        for b, h, p in zip(slopes, half, p_values, strict=True)
    ]


def two_sided_p(design: Design, scores: np.ndarray) -> np.ndarray:
    """Twice the smaller one-sided p of the slope, for each row of scores (rows, models); at least 2 / arrangements.

    Sizes are rarely spaced evenly, and then the orders that fall most are not the mirror of those that rise most: a
    count of both sides by size alone would let the one be found more easily than the other.
    """
    shuffled = design.centred[orders_of(design.counts)]
    p_values = []
    for row in scores - scores.mean(axis=1, keepdims=True):
        drawn, observed = shuffled @ row, float(row @ design.centred)
        slack = 1e-9 * (1 + float(np.abs(drawn).max()))
        least = min(np.count_nonzero(drawn >= observed - slack), np.count_nonzero(drawn <= observed + slack))
        share = least / len(drawn) if is_exact(design.counts) else (1 + least) / (1 + len(drawn))
        p_values.append(min(1.0, 2 * share))
    return np.array(p_values)


def band(design: Design, scores: np.ndarray, at: np.ndarray) -> np.ndarray | None:
    """The line of one family at the places `at` (log10 sizes), with the 95 % t interval of its height.

    Shape (3, places): height, low and high, in points. None without a degree of freedom.
    """
    if design.degrees < 1 or len(design.counts) != 1:
        return None
    slope = float(scores @ design.centred) / design.spread
    rest = scores - scores.mean() - slope * design.centred
    scatter = float(rest @ rest) / design.degrees
    height = scores.mean() + slope * (at - design.x.mean())
    half = t_quantile(design.degrees) * np.sqrt(
        scatter * (1 / len(scores) + (at - design.x.mean()) ** 2 / design.spread)
    )
    return np.stack([height, height - half, height + half])


def grid(behaviours: Sequence[Sequence[Point]]) -> Grid:
    """The models that answered most behaviours, and the behaviours that all of these answered.

    Points with too little mass on the valid answers count as not answered; those that say Yes to everything do count,
    since they are what a drift is made of.
    """
    tables = [{_key(p): p for p in points if p.mass >= LEAST_MASS and math.isfinite(p.score)} for points in behaviours]
    seen: dict[tuple[str, ...], list[Point]] = {}
    for table in tables:
        for key, point in table.items():
            seen.setdefault(key, []).append(point)
    most = max((len(points) for points in seen.values()), default=0)
    keys = [key for key, points in seen.items() if len(points) >= IN_MOST * most]
    keys.sort(key=lambda key: (seen[key][0].family or "~", seen[key][0].parameters or 0, key))
    rows = [i for i, table in enumerate(tables) if keys and all(key in table for key in keys)]
    scores = np.array([[100 * tables[i][key].score for key in keys] for i in rows]).reshape(len(rows), len(keys))
    return Grid(tuple(rows), tuple(seen[key][0] for key in keys), scores)


def common_trend(found: Grid) -> CommonTrend:
    """The mean over behaviours and its line."""
    fitted = _fitted(found, found.scores.mean(axis=0, keepdims=True)) if len(found.rows) else None
    return CommonTrend(
        behaviours=len(found.rows),
        models=[_mean(point, found.scores[:, i]) for i, point in enumerate(found.points)] if len(found.rows) else [],
        line=fitted[0] if fitted else None,
    )


def residual_trends(found: Grid) -> dict[int, Slope]:
    """By behaviour, the line of its scores less the mean over all behaviours; none without two behaviours."""
    if len(found.rows) < 2:
        return {}
    fitted = _fitted(found, found.scores - found.scores.mean(axis=0, keepdims=True))
    return dict(zip(found.rows, fitted, strict=True)) if fitted else {}


def _fitted(found: Grid, scores: np.ndarray) -> list[Slope] | None:
    """Lines through the columns whose family has two sizes."""
    families: dict[str, list[int]] = {}
    for i, point in enumerate(found.points):
        if point.family and point.parameters:
            families.setdefault(" ".join(_way(point)), []).append(i)
    kept = [of for of in families.values() if len({found.points[i].parameters for i in of}) > 1]
    if not kept:
        return None
    design = _design([found.points[i] for i in of] for of in kept)
    return lines(design, scores[:, [i for of in kept for i in of]])


def _design(groups: Iterable[Sequence[Point]]) -> Design:
    return Design.of(*[[float(point.parameters or 0) for point in group] for group in groups])


def _mean(point: Point, scores: np.ndarray) -> MeanScore:
    ends = interval_of_mean(list(scores / 100)) if len(scores) > 1 else (math.nan, math.nan)
    return MeanScore(
        model=point.model,
        family=point.family,
        parameters=point.parameters,
        mean=float(scores.mean() / 100),
        low=_known(max(0.0, ends[0])),
        high=_known(min(1.0, ends[1])),
    )


def _key(point: Point) -> tuple[str, ...]:
    return (point.model, *_way(point))


def _way(point: Point) -> tuple[str, ...]:
    """What tells two columns of one model, or two curves of one family, apart."""
    return tuple(map(str, (point.family, point.kind, point.quantisation, point.rendering, point.variant)))


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
