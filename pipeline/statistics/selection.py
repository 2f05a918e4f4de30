"""Chooses among items that are all good enough: good ones, of every topic, with both labels inside each topic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.statistics.diversity import normalised

if TYPE_CHECKING:
    from numpy.typing import NDArray


def choose(
    vectors: NDArray[np.floating[Any]],
    scores: Sequence[float],
    sides: NDArray[np.intp],
    weight: float,
    topics: NDArray[np.intp],
    given: NDArray[np.intp],
) -> list[int]:
    """The places of `given[topic, side]` items of each topic and side, in ascending order.

    Inside a topic one after the other, the sides in turn, the item with the greatest
    score - weight * (greatest cosine to one that the topic has given): maximal marginal relevance (Carbonell and
    Goldstein 1998). Ties go to the earlier item. `vectors` has shape (n, d), the others have n entries.
    """
    unit, score = normalised(vectors), np.asarray(scores, dtype=float)
    chosen: list[int] = []
    for topic, wanted in enumerate(given):
        places = np.flatnonzero(topics == topic)
        chosen += places[_marginal(unit[places], score[places], sides[places], wanted, weight)].tolist()
    return sorted(chosen)


def _marginal(
    unit: NDArray[np.float64],
    score: NDArray[np.float64],
    sides: NDArray[np.intp],
    wanted: NDArray[np.intp],
    weight: float,
) -> list[int]:
    """The places inside one topic; `wanted` is the number of each side."""
    turns = sorted((turn, side) for side, number in enumerate(wanted.tolist()) for turn in range(number))
    closeness, chosen = np.zeros(len(score)), []
    free = np.ones(len(score), dtype=bool)
    for _, side in turns:
        value = np.where(free & (sides == side), score - weight * closeness, -np.inf)
        best = int(np.argmax(value))
        chosen.append(best)
        free[best] = False
        closeness = np.maximum(closeness, unit @ unit[best])
    return chosen


def quotas(topics: NDArray[np.intp], sides: NDArray[np.intp], room: int, most: float = math.inf) -> NDArray[np.intp]:
    """How many items each topic gives of each side, shape (topics, sides); every column adds up to `room`.

    First as many of every side in a topic, as evenly over the topics as they allow, but at the most `most` times an
    even share. What is then lacking of a side comes from the topics that have given least so far. So the sides are
    balanced inside topics with a large `most`, and the topics are balanced with a small one.
    """
    there = np.zeros((topics.max(initial=-1) + 1, sides.max(initial=-1) + 1), dtype=np.intp)
    np.add.at(there, (topics, sides), 1)
    even = room / max(1, len(there))
    bound = math.ceil(min(most * even, room))
    shared = _from_the_least(np.zeros(len(there)), np.minimum(there.min(axis=1, initial=room), bound), room)
    given = np.repeat(shared[:, None], there.shape[1], axis=1)
    for side in range(there.shape[1]):
        lacking = room - int(shared.sum())
        given[:, side] += _from_the_least(given.sum(axis=1), there[:, side] - given[:, side], lacking)
    return given


def _from_the_least(level: NDArray[Any], available: NDArray[np.intp], wanted: int) -> NDArray[np.intp]:
    """`wanted` of the available ones, or all of these: one after the other from where the level is lowest."""
    taken = np.zeros(len(available), dtype=np.intp)
    for _ in range(min(wanted, int(available.sum()))):
        taken[np.argmin(np.where(taken < available, level + taken, np.inf))] += 1
    return taken
