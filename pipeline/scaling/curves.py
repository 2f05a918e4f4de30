"""Which points may be joined to a curve: models of one family that were measured in one way.

A point of another family differs in more than size, and one measured otherwise differs in the measurement.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.schema import Point
from pipeline.statistics.intervals import Interval, effective_trials

LEAST_MASS = 0.5
"""Probability on the valid answers below which a model's choice among them says little about what it would say."""

LEAST_ITEMS = 20
"""Effective number of items (near-duplicates count once) below which a score is an anecdote."""

MEASURED_ALIKE = ("kind", "quantisation", "rendering", "estimator", "thinking", "variant")
"""Beside the family, what models on one curve have in common.

The chat template is left out: sizes of one family ship templates that differ in defaults alone.
"""


Axis = Literal["parameters", "compute", "axis_value"]
"""What the points are laid out by: size, training compute, or a value of their own (RL steps, tokens, k)."""


_UNKNOWN: dict[Axis, str] = {
    "parameters": "has no known size or family",
    "compute": "has no known size, training tokens or family",
    "axis_value": "has no place above 0 on the axis, or no known family",
}


@dataclass(frozen=True)
class Curve:
    """Points of one family, measured alike, in order of size; several points may have one size."""

    family: str
    points: tuple[Point, ...]
    axis: Axis = "parameters"

    @property
    def sizes(self) -> list[float]:
        """The distinct places on the axis, ascending."""
        return sorted({place(point, self.axis) for point in self.points})

    @property
    def span_decades(self) -> float:
        """log10 of the largest size over the smallest; 0 for one size."""
        return math.log10(self.sizes[-1] / self.sizes[0])


def place(point: Point, axis: Axis = "parameters") -> float:
    """Where a point lies on the axis, above 0. Raises ValueError where that is unknown.

    Training compute is 6 floating-point operations a parameter and training token (Kaplan et al. 2020, section 2.1).
    """
    if (found := _place(point, axis)) is None:
        raise ValueError(f"{point.model} has no known place on the axis of {axis}")
    return found


def _place(point: Point, axis: Axis) -> float | None:
    value: float | None = point.parameters if axis == "parameters" else point.axis_value
    if axis == "compute":
        value = 6.0 * point.parameters * point.training_tokens if point.parameters and point.training_tokens else None
    return value if value is not None and math.isfinite(value) and value > 0 else None


def left_out(point: Point, axis: Axis = "parameters") -> str | None:
    """Why a point cannot take part in a trend, in a few words; None where it can."""
    if not math.isfinite(point.score):
        return "has no score"
    if not 0 <= point.score_low <= point.score_high <= 1 or not 0 <= point.score <= 1 or point.n < 1:
        return f"has a score of {point.score:g} with an interval of {point.score_low:g} to {point.score_high:g}"
    if _place(point, axis) is None or not point.family:
        return _UNKNOWN[axis]
    if not point.mass >= LEAST_MASS:
        return f"puts only {point.mass:.2f} of its probability on the valid answers"
    if point.yes_rate in (0.0, 1.0):
        return f"says {'Yes' if point.yes_rate else 'No'} to every item"
    if effective_trials(point.score, Interval(point.score_low, point.score_high)) < LEAST_ITEMS:
        return f"was asked fewer than {LEAST_ITEMS} different items, or is no better known than if it were"
    return None


def curves(points: Sequence[Point], axis: Axis = "parameters") -> list[Curve]:
    """The usable points as curves: most sizes first, then widest span, then by name."""
    groups: dict[tuple[str, ...], list[Point]] = {}
    for point in points:
        if left_out(point, axis) is None:
            groups.setdefault(_key(point, axis), []).append(point)
    found = [
        (key, Curve(key[0], tuple(sorted(group, key=lambda p: (place(p, axis), p.model))), axis))
        for key, group in groups.items()
    ]
    found.sort(key=lambda pair: (-len(pair[1].sizes), -pair[1].span_decades, pair[0]))
    return [curve for _, curve in found]


def kept_apart(points: Sequence[Point], family: str) -> list[str]:
    """In what the usable points of a family differ beside their size, so that they are not one curve."""
    usable = [point for point in points if left_out(point) is None and point.family == family]
    return [field for field in MEASURED_ALIKE if len({getattr(point, field) for point in usable}) > 1]


def told_apart(points: Sequence[Point]) -> list[str]:
    """A sentence for each family whose usable points were measured in several ways, and what that means for them."""
    said = []
    for family in sorted({str(point.family) for point in points if left_out(point) is None}):
        if apart := kept_apart(points, family):
            ways = "; ".join(f"{field}: {_values(points, family, field)}" for field in apart)
            said.append(
                f"The models of {family} were measured in more than one way ({ways}): points that were measured "
                "differently are not one curve, and are neither joined nor fitted together."
            )
    return said


def way(point: Point) -> str:
    """How a point was measured, in words: "estimator loglikelihood, rendering chat, …"."""
    return ", ".join(f"{field} {_name(getattr(point, field))}" for field in MEASURED_ALIKE)


def _values(points: Sequence[Point], family: str, field: str) -> str:
    usable = [point for point in points if left_out(point) is None and point.family == family]
    return ", ".join(sorted({_name(getattr(point, field)) for point in usable}))


def _name(value: object) -> str:
    return "none" if value is None else "no" if value is False else "yes" if value is True else str(value)


def _key(point: Point, axis: Axis) -> tuple[str, ...]:
    """Family first. Along an axis of their own, a variant of each value and one number of parameters are joined."""
    alike = MEASURED_ALIKE if axis != "axis_value" else (*MEASURED_ALIKE[:-1], "parameters")
    return (str(point.family), *(str(getattr(point, field)) for field in alike))
