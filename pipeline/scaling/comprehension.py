"""How far propensity changes with size, once what growing comprehension does is taken out.

A model that understands a share u of the items and answers those with propensity p scores .5 + u (p - .5), since the
labels are balanced: with p the same at all sizes, growing u moves the score away from one half. What would have moved
anyway is taken out in two ways, each under two links, and a rise of propensity must show in all four.

- Against comprehension: right answers to the comprehension question, u = 2c - 1. Fails where that question is easier
  than acting on it.
- Against the controls: the scores of the same model told to have and to lack the behaviour, (s - neg) / (pos - neg).
  Guessing and how far a model follows instructions cancel. Fails where the controls saturate earlier than the score.
- Link "mixture": an item is understood or guessed, as above. Link "probit": answers get sharper with size, so that
  probits of the scores are proportional.

In each, propensity is b + d log10(size), fitted as score = (b + d x) comprehension, through no intercept: a model that
understands little says little about propensity and has little weight. The interval of d is Student's t.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.scaling.design import Design

Against = Literal["comprehension", "controls"]
Link = Literal["mixture", "probit"]

LEAST_COMPREHENSION = 0.05
"""Mean of 2c - 1, or of the gap between the controls, below which nothing can be told from it."""

SATURATED = 0.975
"""Share of right answers, or of answers as told, from which on a probit says little of how much more is understood."""

FULL = 0.95
"""Where all models reach this share, all understand."""

_CLIP = 0.005
"""Shares are kept this far from 0 and 1 under the probit link."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What a mechanism is told from: shares (runs, models) in 0..1; None where it was not measured for every model."""

    score: np.ndarray
    comprehension: np.ndarray | None = None
    positive: np.ndarray | None = None
    negative: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Change:
    """Change of the propensity over the span, in points, as one comparison has it; arrays (runs,)."""

    against: Against
    link: Link
    change: np.ndarray
    error: np.ndarray
    degrees: np.ndarray
    """Of the interval; where none is left, nothing is known."""

    def interval(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Student's t interval; nan where too few models are left."""
        from scipy.special import stdtrit

        half = np.where(self.degrees > 0, stdtrit(np.maximum(self.degrees, 1), (1 + level) / 2), np.nan) * self.error
        return self.change - half, self.change + half


def changes(design: Design, given: Measured) -> Iterator[Change]:
    """Every comparison that was measured; none below two degrees of freedom."""
    if design.degrees < 2:
        return
    for link in ("mixture", "probit"):
        for against in ("comprehension", "controls"):
            if (pair := _pair(given, against, link)) is not None:
                yield _fitted(design, *pair, _kept(given, against, link), against, link)


def _pair(given: Measured, against: Against, link: Link) -> tuple[np.ndarray, np.ndarray] | None:
    """What the score has beyond its floor, and what growing comprehension gives it to move in; both (runs, models)."""
    scale = _probit if link == "probit" else _centred
    if against == "comprehension":
        return None if given.comprehension is None else (scale(given.score), scale(given.comprehension))
    if given.positive is None or given.negative is None:
        return None
    floor = scale(given.negative)
    return scale(given.score) - floor, scale(given.positive) - floor


def understanding(given: Measured, against: Against) -> np.ndarray:
    """(runs, models) the share that a model understands, or that its controls move it by."""
    if against == "comprehension" and given.comprehension is not None:
        return 2 * given.comprehension - 1
    if given.positive is None or given.negative is None:
        raise ValueError("no controls")
    moved: np.ndarray = given.positive - given.negative
    return moved


def _fitted(
    design: Design, score: np.ndarray, room: np.ndarray, kept: np.ndarray, against: Against, link: Link
) -> Change:
    """Least squares of score = (b of the family + d x) room; d over the span, in points of propensity."""
    score, room = score * kept, room * kept
    degrees = kept.sum(axis=1) - len(design.counts) - 1
    families = design.family[:, None] == np.arange(len(design.counts))
    columns = np.concatenate([room[:, :, None] * families, (room * design.centred)[:, :, None]], axis=2)
    normal = np.linalg.pinv(columns.transpose(0, 2, 1) @ columns, hermitian=True)
    found = (normal @ columns.transpose(0, 2, 1) @ score[:, :, None])[:, :, 0]
    left = score - (columns @ found[:, :, None])[:, :, 0]
    error = np.sqrt((left**2).sum(axis=1) / np.maximum(degrees, 1) * normal[:, -1, -1])
    unit = design.span * _points(found[:, :-1].mean(axis=1), room, against, link)
    return Change(against, link, found[:, -1] * unit, error * unit, degrees)


def _kept(given: Measured, against: Against, link: Link) -> np.ndarray:
    """(runs, models) which models a comparison is made over.

    A probit of a share near the end of the scale says little, and sharper answers would pass for a change of
    propensity: such models are left out, unless all understand (nearly) everything. None is kept where the models
    understand next to nothing.
    """
    enough = understanding(given, against).mean(axis=1, keepdims=True) >= LEAST_COMPREHENSION
    if link == "mixture":
        return np.repeat(enough, given.score.shape[1], axis=1)
    most = _nearest_end(given, against)
    kept: np.ndarray = enough & ((most < SATURATED) | (most.min(axis=1, keepdims=True) >= FULL))
    return kept


def _nearest_end(given: Measured, against: Against) -> np.ndarray:
    """(runs, models) how near to the end of the scale what the score is compared with lies, a share."""
    if against == "comprehension" and given.comprehension is not None:
        return given.comprehension
    if given.positive is None or given.negative is None:
        raise ValueError("no controls")
    nearest: np.ndarray = np.maximum(given.positive, 1 - given.negative)
    return nearest


def _points(level: np.ndarray, room: np.ndarray, against: Against, link: Link) -> np.ndarray:
    """(runs,) points of propensity that one unit of the ratio is, where the model understands most."""
    if link == "mixture":
        return np.full(len(room), 50.0 if against == "comprehension" else 100.0)
    most = room.max(axis=1)
    middle = level - 0.5 if against == "controls" else level
    density = np.exp(-((middle * most) ** 2) / 2) / np.sqrt(2 * np.pi)
    points: np.ndarray = 100 * most * density
    return points


def _centred(share: np.ndarray) -> np.ndarray:
    return share - 0.5


def _probit(share: np.ndarray) -> np.ndarray:
    from scipy.special import ndtri

    scaled: np.ndarray = ndtri(np.clip(share, _CLIP, 1 - _CLIP))
    return scaled
