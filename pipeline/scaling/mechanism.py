"""Propensity or comprehension: does a score rise because models lean more that way, or because they understand more?

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
from pipeline.scaling.families import Ladder
from pipeline.scaling.slope import slope_rejects
from pipeline.scaling.verdict import MARGIN
from pipeline.schema import MechanismFigures

Name = Literal["propensity", "from_chance", "undetermined"]
Against = Literal["comprehension", "controls"]
Link = Literal["mixture", "probit"]

LEAST_COMPREHENSION = 0.05
"""Mean of 2c - 1, or of the gap between the controls, below which nothing can be told from it."""

EXPLAINED = 0.5
"""A rise is from chance where growing propensity is shown to make up less than this share of it."""

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


@dataclass(frozen=True)
class Mechanism:
    """The name, why in a sentence, and the figures of one ladder."""

    name: Name
    reason: str
    figures: tuple[MechanismFigures, ...] = ()


def mechanism(ladder: Ladder, verdict: str) -> Mechanism:
    """The mechanism of a ladder's trend; undetermined where it neither rises nor falls."""
    if verdict not in ("rises", "falls"):
        return Mechanism("undetermined", "only of a trend that rises or falls is the mechanism asked for")
    given = _measured(ladder)
    found = list(changes(ladder.design, given))
    name: Name = names(ladder.design, given, np.array([verdict]))[0]
    figures = tuple(
        MechanismFigures(
            against=each.against,
            link=each.link,
            change=float(each.change[0]),
            low=float(each.interval()[0][0]),
            high=float(each.interval()[1][0]),
        )
        for each in found
        if np.isfinite(each.interval()).all()
    )
    return Mechanism(name, _reason(name, given, found), figures)


def names(design: Design, given: Measured, verdicts: np.ndarray) -> np.ndarray:
    """(runs,) the mechanism of each run with its verdict.

    `propensity`: against comprehension and against the controls, under both links, the propensity changes the way of
    the verdict, by the 95 % interval and by at least 5 points. It is enough that one of the four is right for a
    constant propensity to be called one in at most .025 of runs. `from_chance`: the score moves away from one half,
    comprehension (or the gap of the controls) grows, and every comparison bounds the change of propensity (one-sided
    .05) below half of that of the score. All else is undetermined.
    """
    told = np.full(len(verdicts), "undetermined", dtype="<U12")
    found = list(changes(design, given))
    way = np.select([verdicts == "rises", verdicts == "falls"], [1.0, -1.0], 0.0)
    if not found or not way.any():
        return told
    moved = 100 * np.abs(given.score @ design.centred) / design.spread * design.span
    limited = np.stack([np.maximum(*(way * end for end in each.interval(0.90))) for each in found])
    away = _leaves_chance(design, given.score, way) & _comprehension_grows(design, given)
    told[(way != 0) & away & (limited < EXPLAINED * moved).all(axis=0)] = "from_chance"
    if {each.against for each in found} == {"comprehension", "controls"}:
        shown = np.stack([np.minimum(*(way * end for end in each.interval())) > 0 for each in found])
        large = np.stack([way * each.change >= MARGIN for each in found])
        told[(way != 0) & (shown & large).all(axis=0)] = "propensity"
    return told


def changes(design: Design, given: Measured) -> Iterator[Change]:
    """Every comparison that the measurements allow; none below two degrees of freedom or where none understands."""
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
        if given.comprehension is None or (2 * given.comprehension - 1).mean() < LEAST_COMPREHENSION:
            return None
        return scale(given.score), scale(given.comprehension)
    if given.positive is None or given.negative is None:
        return None
    if (given.positive - given.negative).mean() < LEAST_COMPREHENSION:
        return None
    floor = scale(given.negative)
    return scale(given.score) - floor, scale(given.positive) - floor


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
    propensity: such models are left out, unless all understand (nearly) everything.
    """
    if link == "mixture":
        return np.ones(given.score.shape, dtype=bool)
    most = _understood(given, against)
    kept: np.ndarray = (most < SATURATED) | (most.min(axis=1, keepdims=True) >= FULL)
    return kept


def _understood(given: Measured, against: Against) -> np.ndarray:
    """(runs, models) how near the end of the scale what the score is compared with lies, a share."""
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


def _leaves_chance(design: Design, score: np.ndarray, way: np.ndarray) -> np.ndarray:
    """(runs,) whether the larger models lie further from one half, on the side that the verdict leads to."""
    larger = design.centred > 0
    before, after = score[:, ~larger].mean(axis=1) - 0.5, score[:, larger].mean(axis=1) - 0.5
    away: np.ndarray = (way * after > 0) & (np.abs(after) > np.abs(before))
    return away


def _comprehension_grows(design: Design, given: Measured) -> np.ndarray:
    """(runs,) whether comprehension, or the gap of the controls, has a slope above 0 (permutation, two-sided .05)."""
    grows = np.zeros(len(given.score), dtype=bool)
    gap = None if given.positive is None or given.negative is None else given.positive - given.negative
    for room in (given.comprehension, gap):
        if room is not None:
            grows |= slope_rejects(design, room, 0.05) & (room @ design.centred > 0)
    return grows


def _measured(ladder: Ladder) -> Measured:
    points = ladder.points

    def of(values: list[float | None]) -> np.ndarray | None:
        known = [value for value in values if value is not None and 0 <= value <= 1]
        return np.array([known]) if len(known) == len(values) else None

    return Measured(
        score=ladder.scores / 100,
        comprehension=of([point.comprehension for point in points]),
        positive=of([point.positive_control for point in points]),
        negative=of([point.negative_control for point in points]),
    )


def _reason(name: Name, given: Measured, found: list[Change]) -> str:
    if name == "propensity":
        return (
            "against comprehension and against the controls, under both links, propensity changes the way of the score"
        )
    if name == "from_chance":
        return "comprehension grows, and a change of propensity makes up less than half of that of the score"
    if given.comprehension is None or given.positive is None or given.negative is None:
        return "comprehension and both controls were not measured for every model"
    if len(found) < 4 or not all(np.isfinite(each.interval()[0][0]) for each in found):
        return "too few models of more than two sizes understand enough, and not everything, to tell"
    return "the comparisons with comprehension and with the controls do not all point one way"


def _centred(share: np.ndarray) -> np.ndarray:
    return share - 0.5


def _probit(share: np.ndarray) -> np.ndarray:
    from scipy.special import ndtri

    scaled: np.ndarray = ndtri(np.clip(share, _CLIP, 1 - _CLIP))
    return scaled
