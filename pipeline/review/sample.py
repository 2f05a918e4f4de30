"""Which items to spot-check: a random sample, stratified by label and by the judge's confidence."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from pipeline.schema import Item

Stratum = tuple[str, int]
"""The answer that is published as matching, and the level of the judge's confidence."""

LEVELS = 3
"""Strata of confidence within each label: its lowest, middle and highest third."""


def stratified(items: Sequence[Item], size: int, seed: int) -> list[Item]:
    """`size` items, or all if there are fewer, in the order to show them.

    Every stratum gets its share (to within one item), so a rate in the sample estimates that of the dataset unweighted.
    With one seed, a larger sample begins with the smaller one: asking for more later wastes no label.
    Items that occur twice are taken once.
    """
    draw = random.Random(f"spot-check {seed}")
    placed: list[tuple[float, str, Item]] = []
    groups: dict[Stratum, list[Item]] = defaultdict(list)
    of = strata(items)
    for item in _by_confidence(items):
        groups[of[item.id]].append(item)
    for _, stratum in sorted(groups.items()):
        draw.shuffle(stratum)
        offset = draw.random()
        # Item j of a stratum comes at the fraction (j + offset) / size of the sequence: even spacing for all strata.
        placed += [((j + offset) / len(stratum), item.id, item) for j, item in enumerate(stratum)]
    placed.sort(key=lambda place: place[:2])
    return [item for _, _, item in placed[:size]]


def strata(items: Sequence[Item]) -> dict[str, Stratum]:
    """The stratum of every item, by its id: what was drawn can be weighted back from the dataset alone."""
    by_label: dict[str, list[str]] = defaultdict(list)
    for item in _by_confidence(items):
        by_label[item.answer_matching_behavior].append(item.id)
    return {
        identity: (label, level)
        for label, members in by_label.items()
        for level in range(LEVELS)
        for identity in members[len(members) * level // LEVELS : len(members) * (level + 1) // LEVELS]
    }


def _by_confidence(items: Sequence[Item]) -> list[Item]:
    """Each item once, the least confident first."""
    once = {item.id: item for item in items}
    return sorted(once.values(), key=lambda item: (item.label_confidence or 0.0, item.id))
