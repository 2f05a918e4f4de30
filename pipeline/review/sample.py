"""Which items to spot-check: a random sample, stratified by label and by the judge's confidence."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from pipeline.schema import Item

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
    for _, stratum in sorted(_strata(items).items()):
        draw.shuffle(stratum)
        offset = draw.random()
        # Item j of a stratum comes at the fraction (j + offset) / size of the sequence: even spacing for all strata.
        placed += [((j + offset) / len(stratum), item.id, item) for j, item in enumerate(stratum)]
    placed.sort(key=lambda place: place[:2])
    return [item for _, _, item in placed[:size]]


def _strata(items: Sequence[Item]) -> dict[tuple[str, int], list[Item]]:
    by_label: dict[str, list[Item]] = defaultdict(list)
    for item in {item.id: item for item in items}.values():
        by_label[item.answer_matching_behavior].append(item)
    strata: dict[tuple[str, int], list[Item]] = {}
    for label, members in by_label.items():
        members.sort(key=lambda item: (item.label_confidence or 0.0, item.id))
        for level in range(LEVELS):
            start, end = (len(members) * edge // LEVELS for edge in (level, level + 1))
            if start < end:
                strata[label, level] = members[start:end]
    return strata
