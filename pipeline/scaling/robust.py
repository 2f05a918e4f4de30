"""Whether a verdict outlives what was left open in measuring: refusals, invalid answers, wordings."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from pipeline.scaling.families import Ladder
from pipeline.schema import Point


def bounds(ladder: Ladder) -> dict[str, str]:
    """The verdict if every refusal and invalid answer counted against (`worst`) or for (`best`) the behaviour.

    They widen each model by as much as it refused. Empty where a point has no bounds.
    """
    points = ladder.points
    worst = [point.score_worst for point in points if point.score_worst is not None]
    best = [point.score_best for point in points if point.score_best is not None]
    if min(len(worst), len(best)) < len(points):
        return {}
    return {"worst": ladder.verdict(worst), "best": ladder.verdict(best)}


def wordings(points: Sequence[Point]) -> list[str]:
    """The wordings that all of the points were asked, where there is more than one; in order of name."""
    common = set.intersection(*[set(point.wordings) for point in points]) if points else set()
    return sorted(common) if len(common) > 1 else []


def slopes_by_wording(ladder: Ladder) -> dict[str, float]:
    """The slope by wording, in points a decade; empty where one wording was asked."""
    weights = ladder.design.centred / ladder.design.spread
    scores = {name: [100 * point.wordings[name] for point in ladder.points] for name in wordings(ladder.points)}
    return {name: float(np.asarray(values) @ weights) for name, values in scores.items()}


def verdict_over_wordings(ladder: Ladder) -> str | None:
    """The verdict of the mean over wordings, each counting once; None where one wording was asked."""
    names = wordings(ladder.points)
    return ladder.verdict([fmean(point.wordings[name] for name in names) for point in ladder.points]) if names else None
