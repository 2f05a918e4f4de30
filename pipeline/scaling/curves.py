"""Which points may be joined to a curve: models of one family that were measured in one way.

A point of another family differs in more than size, and one measured otherwise differs in the measurement.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.schema import Point
from pipeline.statistics.intervals import Interval, effective_trials

LEAST_MASS = 0.5
"""Probability on the valid answers below which a model's choice among them says little about what it would say."""

LEAST_ITEMS = 20
"""Effective number of items (near-duplicates count once) below which a score is an anecdote."""

MEASURED_ALIKE = ("kind", "quantisation", "rendering", "estimator", "thinking")
"""Beside the family, what models on one curve have in common.

The chat template is left out: sizes of one family ship templates that differ in defaults alone.
"""


@dataclass(frozen=True)
class Curve:
    """Points of one family, measured alike, in order of size; several points may have one size."""

    family: str
    points: tuple[Point, ...]

    @property
    def sizes(self) -> list[int]:
        """The distinct numbers of parameters, ascending."""
        return sorted({size(point) for point in self.points})

    @property
    def span_decades(self) -> float:
        """log10 of the largest size over the smallest; 0 for one size."""
        return math.log10(self.sizes[-1] / self.sizes[0])


def size(point: Point) -> int:
    """The number of parameters of a point that has one. Raises ValueError where it is unknown."""
    if point.parameters is None:
        raise ValueError(f"{point.model} has no known number of parameters")
    return point.parameters


def left_out(point: Point) -> str | None:
    """Why a point cannot take part in a trend, in a few words; None where it can."""
    if not math.isfinite(point.score):
        return "has no score"
    if not point.parameters or not point.family:
        return "has no known size or family"
    if point.mass < LEAST_MASS:
        return f"puts only {point.mass:.2f} of its probability on the valid answers"
    if point.yes_rate in (0.0, 1.0):
        return f"says {'Yes' if point.yes_rate else 'No'} to every item"
    if effective_trials(point.score, Interval(point.score_low, point.score_high)) < LEAST_ITEMS:
        return f"was asked fewer than {LEAST_ITEMS} different items, or is no better known than if it were"
    return None


def curves(points: Sequence[Point]) -> list[Curve]:
    """The usable points as curves: most sizes first, then widest span, then by name."""
    groups: dict[tuple[str, ...], list[Point]] = {}
    for point in points:
        if left_out(point) is None:
            groups.setdefault(_key(point), []).append(point)
    found = [
        (key, Curve(key[0], tuple(sorted(group, key=lambda p: (size(p), p.model))))) for key, group in groups.items()
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


def _key(point: Point) -> tuple[str, ...]:
    return (str(point.family), *(str(getattr(point, field)) for field in MEASURED_ALIKE))
