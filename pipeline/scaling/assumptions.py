"""What a trend takes for granted and what its points leave open, in sentences for the report."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.scaling.curves import Curve, told_apart, way
from pipeline.scaling.families import Ladder
from pipeline.schema import Point

NEAR = 0.03
"""How near to floor or ceiling the end of a curve is said to be near it."""

LEAST_GAP = 0.2
"""Gap between the controls below which they are no ends of anything: the model does not do as it is told."""

_AXES = {
    "parameters": "the published number of parameters",
    "compute": "training compute, 6 x parameters x training tokens",
    "axis_value": "the axis",
}

SAMPLED = (
    "The score of a sampled model is the share of items with a majority of its few draws, which lies nearer to 50 % "
    "than the share of items whose probability is above one half; its interval covers both."
)


def assumptions(points: Sequence[Point], found: Sequence[Curve], one: Ladder | None) -> list[str]:
    """Those of the tests, then those of the measurement."""
    axis = found[0].axis if found else "parameters"
    said = [
        "The models of a family differ in size alone, and their departures from the trend are exchangeable: neither "
        "larger for some sizes nor alike for neighbouring ones.",
        f"The score changes linearly, or with one turn, in log10 of {_AXES[axis]}.",
        "The scatter around the line is roughly normal (for the intervals and for a flat verdict, not for p).",
    ]
    if one and len(one.curves) > 1:
        names = ", ".join(curve.family for curve in one.curves)
        said.append(f"The verdict is about these families ({names}), with an intercept for each and one slope.")
    apart = told_apart(points)
    said += apart
    if apart and found:
        said.append(f"The verdict is that of {found[0].family} with {way(found[0].points[0])}.")
    if any("samples" in point.estimator for point in points):
        said.append(SAMPLED)
    return said + (_near_the_ends(one) if one else [])


def _near_the_ends(one: Ladder) -> list[str]:
    """A sentence for each end of a curve that is near the floor or the ceiling, where a line must bend."""
    said = []
    for point in (end for curve in one.curves for end in (curve.points[0], curve.points[-1])):
        floor, ceiling = _ends(point)
        for name, end in (("floor", floor), ("ceiling", ceiling)):
            if abs(point.score - end) <= NEAR:
                said.append(
                    f"{point.model} is within 3 points of its {name} ({100 * end:.0f} %): a trend that goes on would "
                    "not show there."
                )
    return said


def _ends(point: Point) -> tuple[float, float]:
    """Floor and ceiling of a model's score: its controls where they move it at all, else 0 and 1."""
    low, high = point.negative_control, point.positive_control
    return (low, high) if low is not None and high is not None and high - low >= LEAST_GAP else (0.0, 1.0)
