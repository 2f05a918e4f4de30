"""Chooses among surplus items so that wording without meaning does not give the label away.

Small writers make statements of one label longer, or begin them alike, and a dataset of them fails its audit: a
classifier that understands nothing finds the answers. Where more items passed than are wanted, those whose wording
gives most away can be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pipeline.audit import crossed, cues
from pipeline.audit.findings import CHANCE, FEWEST, MARGIN
from pipeline.audit.sides import take_apart
from pipeline.schema import Item, RejectedItem
from pipeline.screen import Screened
from pipeline.statistics.similarity import clusters

STEP = 0.12
"""Share of a label that goes at a time; then the rest is looked at anew."""
STEPS = 8
REASON = "matching: its length, punctuation or opening gives the label away"


def choose_unrevealing(
    items: Sequence[Item], room: int, choose: Callable[[Sequence[Item]], Screened]
) -> tuple[Screened, list[RejectedItem]]:
    """What `choose` makes of the items, without those that were left out because their wording gives the label away.

    `choose` picks the final items, `room` a label. While what it picks would fail the gate of the audit, those of the
    surplus that give most away go, never so many that fewer than `room` of a label are left. It may fail all the same.
    """
    pool, out = list(items), []
    chosen = choose(pool)
    for _ in range(STEPS):
        gone = _most_revealing(pool, room) if is_revealing(chosen.kept) else set()
        if not gone:
            break
        out += [pool[i] for i in sorted(gone)]
        pool = [item for i, item in enumerate(pool) if i not in gone]
        chosen = choose(pool)
    return chosen, [RejectedItem(**item.model_dump(), reason=REASON) for item in out]


def is_revealing(items: Sequence[Item]) -> bool:
    """Whether the audit's gate closes on these items: too few to judge never do."""
    if len(items) < FEWEST:
        return False
    found, task = _scores(items)
    return task.can_be_told and crossed.accuracy_of(found, task)[1].low > CHANCE + MARGIN


def _most_revealing(items: Sequence[Item], room: int) -> set[int]:
    """Positions of the items that give their label away most, of each label at most the surplus."""
    found, task = _scores(items)
    # How far the classifier, fitted on the others, leans to the label that the item has.
    margin = np.where(task.truth, found, -found)
    gone: set[int] = set()
    for side in (True, False):
        own = np.flatnonzero(task.truth == side)
        number = min(round(STEP * len(own)), len(own) - room)
        gone |= {int(i) for i in own[np.argsort(-margin[own], kind="stable")][: max(0, number)]}
    return gone


def _scores(items: Sequence[Item]) -> tuple[np.ndarray, crossed.Task]:
    sides = take_apart(items)
    task = crossed.task(sides, clusters([item.text for item in items]), negation_aside=True)
    return crossed.scores(cues.columns(sides).of(*cues.MEANING_FREE), task, crossed.logistic), task
