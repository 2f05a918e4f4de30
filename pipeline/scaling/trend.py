"""What happens to the score as models grow: slope, interval, test and verdict. Pure; the model is the unit.

An item-level regression counts a thousand items as a thousand observations of "size", where there are five models:
in simulations with some scatter between models it finds trends that are not there in a third of the runs.
U shapes, and whether a rise is one of propensity or of comprehension, are not judged here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline.scaling.curves import Curve, curves, kept_apart, left_out, size, told_apart, way
from pipeline.schema import Point, Trend, Undesired
from pipeline.statistics.intervals import t_quantile

LEAST_SIZES = 5
"""Sizes of one family below which no verdict is given: four can never reach the level (2/4! = .083)."""

SLOPE_LEVEL = 0.025
"""Level of the two-sided slope test; the other half of .05 is for a test of curvature."""

MARGIN = 5.0
"""Points over the span: a smaller change is called flat, a trend has at least this change."""

EXACT_UP_TO = 8
"""Points up to which all k! orders are computed (40,320 at 8)."""

DRAWS = 100_000
"""Random orders beyond that; the p-value then has a standard error of at most .0005 near .025."""

ASSUMPTIONS = [
    "The models of the family differ in size alone, and their scatter around the line is exchangeable over sizes.",
    "The score changes linearly in log10 of the published number of parameters; U shapes are not looked for.",
    "The scatter around the line is roughly normal (for the interval and for a flat verdict, not for p).",
    "A rise from chance can be growing comprehension as well as growing propensity; this was not told apart.",
]


SAMPLED = (
    "The score of a sampled model is the share of items with a majority of its few draws, which lies nearer to 50 % "
    "than the share of items whose probability is above one half; its interval covers both."
)


@dataclass(frozen=True)
class Line:
    """A least-squares line through one curve; scores in points of 0-100, sizes in log10 parameters."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    slope: float
    logit_slope: float
    """Slope of the empirical logit log((k + .5) / (n - k + .5)) a decade."""
    slope_error: float | None
    """Standard error from the scatter of the k points, k - 2 degrees of freedom; None below three points."""
    item_error: float
    """Standard error of the slope from the points' own intervals: what the choice of items alone explains."""

    @property
    def span(self) -> float:
        """Decades between the smallest and the largest model."""
        return max(self.x) - min(self.x)

    @property
    def change(self) -> float:
        """Fitted change over the span, in points."""
        return self.slope * self.span

    def slope_interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Student's t interval of the slope, points a decade; None below three points.

        Points that lie exactly on a line have no scatter to measure; the items' error stands in.
        """
        if self.slope_error is None:
            return None
        half = t_quantile(len(self.x) - 2, level) * (self.slope_error or self.item_error)
        return self.slope - half, self.slope + half


def trend(points: Sequence[Point], undesired: Undesired = "neither") -> tuple[Trend, bool | None]:
    """The trend of the curve with the most sizes, and whether it is inverse scaling.

    Curves are picked by their sizes alone, never by their outcome, so that the error budget holds.
    Inverse scaling is None where the verdict is undecided or neither way is worse.
    """
    found = curves(points)
    line = fit(found[0]) if found else None
    p_value = permutation_p(line.x, line.y) if line and len(line.x) > 2 else None
    verdict = _verdict(found, line, p_value)
    interval = line.slope_interval() if line else None
    outcome = Trend(
        verdict=verdict,
        mechanism="undetermined",
        slope_points_per_decade=line.slope if line else None,
        slope_low=interval[0] if interval else None,
        slope_high=interval[1] if interval else None,
        slope_logit_per_decade=line.logit_slope if line else None,
        interval_method=_interval_method(line) if line and interval else None,
        p_value=p_value,
        change=line.change if line else None,
        margin=MARGIN,
        span_decades=line.span if line else None,
        n_families=len({point.family for point in points if point.family}),
        needs=_needs(points, found, line, p_value) if verdict == "undecided" else None,
        assumptions=[*ASSUMPTIONS, *_of_the_measurement(points, found)],
    )
    return outcome, inverse_scaling(verdict, undesired)


def _of_the_measurement(points: Sequence[Point], found: Sequence[Curve]) -> list[str]:
    """What the ways in which the points were measured mean for the verdict."""
    said = told_apart(points)
    if said and found:
        first = found[0].points[0]
        said.append(f"The verdict is that of {found[0].family} with {way(first)}.")
    if any("samples" in point.estimator for point in points):
        said.append(SAMPLED)
    return said


def inverse_scaling(verdict: str, undesired: Undesired) -> bool | None:
    """Whether growing models move the undesired way; None where undecided or where neither way is worse."""
    if verdict == "undecided" or undesired == "neither":
        return None
    return verdict == ("rises" if undesired == "more" else "falls")


def fit(curve: Curve) -> Line | None:
    """Least squares of the score on log10 parameters; None for a single size."""
    if len(curve.sizes) < 2:
        return None
    x = np.log10([size(point) for point in curve.points])
    y = np.array([100 * point.score for point in curve.points])
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    slope = float(weights @ y)
    residuals = y - y.mean() - slope * (x - x.mean())
    free = len(x) - 2
    scatter = math.sqrt(float(residuals @ residuals) / free / float(((x - x.mean()) ** 2).sum())) if free else None
    item_errors = np.array([100 * (point.score_high - point.score_low) / (2 * 1.96) for point in curve.points])
    return Line(
        x=tuple(x),
        y=tuple(y),
        slope=slope,
        logit_slope=float(weights @ [_empirical_logit(point) for point in curve.points]),
        slope_error=0.0 if scatter is not None and scatter < 1e-9 else scatter,
        item_error=float(np.sqrt((weights**2) @ (item_errors**2))),
    )


def permutation_p(x: Sequence[float], y: Sequence[float]) -> float:
    """Two-sided p of the least-squares slope under permutation of the scores over the sizes.

    Exact over all k! orders up to `EXACT_UP_TO` points, at least 2/k!; beyond that from `DRAWS` seeded random orders,
    the observed one counted among them (Phipson and Smyth 2010).
    """
    centred, scores = np.asarray(x) - np.mean(x), np.asarray(y) - np.mean(y)
    # Orders that tie with the observed one must count as at least as extreme, whatever the order of summation.
    observed = abs(float(centred @ scores)) - 1e-9 * (1 + float(np.abs(centred).sum() * np.abs(scores).max()))
    if len(centred) <= EXACT_UP_TO:
        return float(np.mean(np.abs(scores[_orders(len(centred))] @ centred) >= observed))
    orders = np.random.default_rng(0).permuted(np.tile(scores, (DRAWS, 1)), axis=1)
    return float((1 + np.count_nonzero(np.abs(orders @ centred) >= observed)) / (1 + DRAWS))


def is_flat(line: Line) -> bool:
    """Two one-sided t tests at .05: the change over the span lies within the margin (Schuirmann 1987).

    The error is at least that of the items, so that ten items answered alike by all models prove nothing.
    """
    if line.slope_error is None:
        return False
    half = t_quantile(len(line.x) - 2, 0.90) * max(line.slope_error, line.item_error)
    return (abs(line.slope) + half) * line.span < MARGIN


def _verdict(found: Sequence[Curve], line: Line | None, p_value: float | None) -> str:
    if line is None or p_value is None or len(found[0].sizes) < LEAST_SIZES:
        return "undecided"
    verdict = _judge(line, p_value)
    return "undecided" if _contradiction(found, verdict) else verdict


def _judge(line: Line, p_value: float) -> str:
    """Rises, falls, flat or undecided: significant, large enough and more than the items alone explain."""
    if p_value <= SLOPE_LEVEL and abs(line.change) >= MARGIN and abs(line.slope) > 1.96 * line.item_error:
        return "rises" if line.slope > 0 else "falls"
    return "flat" if is_flat(line) else "undecided"


def _contradiction(found: Sequence[Curve], verdict: str) -> Curve | None:
    """Another curve with enough sizes that decidedly does something else; it can only take a verdict away."""
    for other in found[1:]:
        line = fit(other)
        if verdict != "undecided" and line is not None and len(other.sizes) >= LEAST_SIZES:
            theirs = _judge(line, permutation_p(line.x, line.y))
            if theirs not in ("undecided", verdict):
                return other
    return None


def _needs(points: Sequence[Point], found: Sequence[Curve], line: Line | None, p_value: float | None) -> str:
    """What would decide it, in a sentence or two."""
    if not found:
        said = "five sizes of one family; no model here has a usable score and a known size"
    elif line is None or p_value is None or len(found[0].sizes) < LEAST_SIZES:
        said = f"five sizes of one family; the largest family here, {found[0].family}, has {len(found[0].sizes)}"
        apart = kept_apart(points, found[0].family)
        said += f" (its models are not all one curve: they differ in {' and '.join(apart)})" if apart else ""
    elif other := _contradiction(found, _judge(line, p_value)):
        said = (
            f"more families: {found[0].family} and {other.family} have decided and different trends"
            if other.family != found[0].family
            else f"one way of measuring: the curves of {other.family} have decided and different trends"
        )
    else:
        said = _more(line)
    return said + _excluded(points)


def _more(line: Line) -> str:
    low, high = line.slope_interval() or (-math.inf, math.inf)
    limited_by_items = line.slope_error is not None and 2 * line.item_error**2 > line.slope_error**2
    wanted = "more items" if limited_by_items else "more sizes or a wider span"
    return (
        f"{wanted}: the change over {line.span:.1f} decades lies between {low * line.span:+.1f} and "
        f"{high * line.span:+.1f} points (95 %), which settles neither a change of at least {MARGIN:g} points nor "
        "a smaller one"
    )


def _excluded(points: Sequence[Point]) -> str:
    reasons = [f"{point.model} {why}" for point in points if (why := left_out(point))]
    return f". Left out: {'; '.join(reasons)}" if reasons else ""


def _interval_method(line: Line) -> str:
    source = "scatter of the models" if line.slope_error else "the items' error, since the models lie on a line"
    exact = f"all {len(line.x)}! orders" if len(line.x) <= EXACT_UP_TO else f"{DRAWS:,} random orders, seed 0"
    return (
        f"t with {len(line.x) - 2} degrees of freedom on {len(line.x)} model points, 95 %, from the {source}; "
        f"p by permutation of the least-squares slope, {exact}"
    )


def _empirical_logit(point: Point) -> float:
    share = (point.score * point.n + 0.5) / (point.n + 1)
    return math.log(share / (1 - share))


@lru_cache(maxsize=4)
def _orders(count: int) -> np.ndarray:
    return np.array(list(itertools.permutations(range(count))))
