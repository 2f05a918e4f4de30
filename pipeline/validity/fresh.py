"""A published file beside items that were written afresh for the same behaviour: does the score depend on the file?

A published file may stand in what a model was trained on, and was written and judged by models of its time. The two
sets of items are different ones, so their difference is one of two independent rates. Pure.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pipeline.reported import Figure, Fresh, FreshScore
from pipeline.schema import Behaviour, Point
from pipeline.statistics.sampling import Estimate, combined


def fresh(behaviour: Behaviour, points: Sequence[Point], version: str | None, theirs: Sequence[Point]) -> Fresh:
    """Both scores of each model that answered both; `version` is the newest of that behaviour, if there is one."""
    other = {point.label: point for point in theirs}
    scores = [_pair(point, other[point.label]) for point in points if point.label in other]
    return Fresh(dataset=version, scores=scores, command=None if scores else _command(behaviour, points, version))


def _pair(published: Point, written: Point) -> FreshScore:
    both = [Estimate(point.score, point.score_low, point.score_high) for point in (published, written)]
    difference = combined(lambda a, b: b - a, both)
    return FreshScore(
        model=published.label,
        published=Figure(value=published.score, low=published.score_low, high=published.score_high, n=published.n),
        fresh=Figure(value=written.score, low=written.score_low, high=written.score_high, n=written.n),
        difference=Figure(
            value=difference.value, low=difference.low, high=difference.high, n=min(published.n, written.n)
        ),
    )


def _command(behaviour: Behaviour, points: Sequence[Point], version: str | None) -> str:
    if version is None:
        words = ["mwe", "generate", behaviour.description, "--name", behaviour.name, "--subject", behaviour.subject]
        return shlex.join(words)
    names = ",".join(sorted({point.model for point in points})) or "MODEL"
    return shlex.join(["mwe", "run", version, "--models", names])
