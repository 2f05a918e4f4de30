"""Which of the items that passed count towards what is wanted: no more of one topic than its share of a label.

The quota is soft. What is beyond it is kept if nothing better comes, so that a narrow behaviour does not end short;
but more is asked for, and the ways that write what does not count are used less.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from filters._vectors import vectors_of
from pipeline.ports import Screening
from pipeline.schema import Item
from pipeline.statistics import diversity

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST = 20
"""Below so many items there are no topics to speak of."""
CLOSER = 0.05
"""By how much the mean cosine inside a topic must exceed that of all items. What is left over from the other topics
is no topic, however much of it there is."""


def counting(items: Sequence[Item], n: int, share: float, screening: Screening) -> list[bool]:
    """Whether each item counts towards `n`, both labels together; earlier items come first.

    A topic may have `share` times its even part of a label. `items` are of both labels, in the order in which they
    passed. Topics as in `pipeline/statistics/diversity.py`, as many as `n` items are divided into.
    """
    number = diversity.number_of_topics(n)
    most = math.ceil(share * n / 2 / number)
    of_label = Counter(item.answer_matching_behavior for item in items)
    if len(items) < FEWEST or max(of_label.values()) <= most:
        return [True] * len(items)
    vectors, _ = vectors_of(items, screening)
    topics = diversity.topics(vectors, number)
    close = set(np.flatnonzero(_cohesion(vectors, topics) > CLOSER + _cohesion(vectors, np.zeros_like(topics))[0]))
    seen: Counter[tuple[int, str]] = Counter()
    counts = []
    for item, topic in zip(items, topics.tolist(), strict=True):
        seen[topic, item.answer_matching_behavior] += 1
        counts.append(topic not in close or seen[topic, item.answer_matching_behavior] <= most)
    return counts


def _cohesion(vectors: NDArray[np.floating[Any]], topics: NDArray[np.intp]) -> NDArray[np.float64]:
    """Mean cosine between two different items of each topic, in -1..1; 0 for a topic of one."""
    unit = diversity.normalised(vectors)
    size = np.bincount(topics).astype(float)
    sums = np.zeros((len(size), unit.shape[1]))
    np.add.at(sums, topics, unit)
    pairs = np.maximum(1.0, size * (size - 1))
    return np.where(size > 1, ((sums**2).sum(axis=1) - size) / pairs, 0.0)
