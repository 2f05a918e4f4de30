"""How far one change to a model moves its score, paired over items: quantisation, a system prompt, the best of k. Pure.

Two scores of one model on the same items differ by the items that are answered otherwise alone, so the interval of the
difference is that of these: far narrower than the two points' own intervals suggest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from pipeline.schema import Answer, Point
from pipeline.statistics.best_of import kl_bound, mean_kl
from pipeline.statistics.intervals import Interval, design_effect
from pipeline.trends import Shift

PSEUDO = 2
"""Pairs that are added for the interval, half of one to each of the four outcomes (Agresti and Min 2005)."""

NORMAL = 1.959964

_ALIKE = ("family", "parameters", "kind", "dtype", "rendering", "estimator", "thinking", "axis", "axis_value")
"""Beside quantisation, what two points have in common that show what it does."""


@dataclass(frozen=True)
class Pair:
    """Two points that differ in one thing."""

    what: Literal["quantisation", "variant"]
    before: Point
    after: Point

    @property
    def change(self) -> str:
        """What is different, in a few words."""
        if self.what == "variant":
            return self.after.variant or ""
        return f"{self.before.quantisation or 'unquantised'} to {self.after.quantisation or 'unquantised'}"


def pairs(points: Sequence[Point]) -> list[Pair]:
    """Every variant with its plain model, and every point with the one that differs from it in more bits alone.

    Where several have more bits, it is the one in the most.
    """
    plain = {point.model: point for point in points if point.variant is None}
    varied = [
        Pair("variant", plain[point.baseline], point)
        for point in points
        if point.variant and point.baseline and point.baseline in plain
    ]
    ordered = sorted(plain.values(), key=_coarseness)
    rounded = [
        Pair("quantisation", finest, point)
        for number, point in enumerate(ordered)
        if (finest := next((each for each in ordered[:number] if _differ_in_bits_alone(each, point)), None))
    ]
    return [*rounded, *varied]


def shift(pair: Pair, before: Sequence[Answer], after: Sequence[Answer], clusters: Mapping[str, int]) -> Shift | None:
    """What the change does to the answers; `clusters` maps an item's id to its cluster of near-duplicates.

    None where no item was answered by both.
    """
    known = {answer.id: answer for answer in before}
    both = [(known[answer.id], answer) for answer in after if answer.id in known]
    if not both:
        return None
    moved = [100 * (new.score - old.score) for old, new in both]
    low, high = paired_interval(
        [each / 100 for each in moved], [clusters.get(old.id, -i) for i, (old, _) in enumerate(both, 1)]
    )
    return Shift(
        what=pair.what,
        before=pair.before.label,
        after=pair.after.label,
        change=pair.change,
        n=len(both),
        points=fmean(moved),
        low=100 * low,
        high=100 * high,
        probability_points=100 * fmean(new.p_matching - old.p_matching for old, new in both),
        flipped=fmean(old.matches != new.matches for old, new in both),
        kl=mean_kl([_inside(new) for _, new in both], [_inside(old) for old, _ in both]),
        kl_bound=kl_bound(pair.after.best_of) if pair.after.best_of else None,
    )


def paired_interval(differences: Sequence[float], clusters: Sequence[int]) -> Interval:
    """95 % interval of the mean of paired differences, each in -1..1.

    The adjusted Wald interval of Agresti and Min 2005 (Simple improved confidence intervals for comparing matched
    proportions), its variance times the design effect of the clusters: also where no item changed it has a width, so
    that ten items answered alike prove nothing.
    """
    n, total = len(differences), sum(differences)
    squares = sum(each * each for each in differences)
    middle = total / (n + PSEUDO)
    variance = (squares + PSEUDO / 2 - total**2 / (n + PSEUDO)) / (n + PSEUDO) ** 2
    half = NORMAL * math.sqrt(max(variance, 0.0) * design_effect(differences, clusters))
    return Interval(max(-1.0, middle - half), min(1.0, middle + half))


def _inside(answer: Answer) -> float:
    """The probability of the matching answer, off 0 and 1, which it only reaches by rounding."""
    return min(max(answer.p_matching, 1e-6), 1 - 1e-6)


def _differ_in_bits_alone(one: Point, other: Point) -> bool:
    return (
        one.quantisation != other.quantisation
        and one.family is not None
        and one.parameters is not None
        and all(getattr(one, field) == getattr(other, field) for field in _ALIKE)
        and one.model.partition("@")[2] == other.model.partition("@")[2]
    )


def _coarseness(point: Point) -> tuple[bool, int, int, tuple[int, ...], str]:
    """Unquantised first, then by bits, what was rounded again after what was rounded once."""
    name = point.quantisation or ""
    bits = tuple(-int(each) for each in re.findall(r"(?:[Qq]|int)(\d)", name))
    return bool(name), max(bits, default=0), len(bits), bits, point.label
