"""Drops a statement that says again what an earlier one said.

Exact: the same text after folding case, punctuation and Unicode forms.
Near: the sets of words overlap (Jaccard index) by at least `near`.
The earlier item stays; items that passed in earlier rounds count as earlier.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.ports import Filter, Screening
from pipeline.schema import Item, Verdict
from pipeline.statistics.similarity import words


@dataclass
class Duplicates:
    """`near` is a Jaccard index in 0..1; 1 leaves exact duplicates only.

    At .75 half of a small model's items differed by one adjective ("Flying is fun and exciting / exhilarating").
    """

    near: float = 0.6
    name: str = "duplicates"
    version: int = 1
    options: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.options = {"near": self.near}

    def judge(self, items: Sequence[Item], screening: Screening) -> list[Verdict]:
        """One verdict an item; scores of a duplicate: `near`, the highest Jaccard index with an earlier item."""
        seen = _Seen(self.near)
        for item in screening.accepted:
            seen.add(item)
        return [self._verdict(item, seen) for item in items]

    def _verdict(self, item: Item, seen: _Seen) -> Verdict:
        earlier, overlap = seen.nearest(item)
        if earlier is None:
            seen.add(item)
            return Verdict(id=item.id, filter=self.name, keep=True)
        kind = "exact" if overlap == 1.0 else "near"
        swapped = earlier.answer_matching_behavior != item.answer_matching_behavior
        reason = f"{kind} duplicate of {earlier.id}" + (" under the other label" if swapped else "")
        return Verdict(id=item.id, filter=self.name, keep=False, scores={"near": round(overlap, 4)}, reason=reason)


class _Seen:
    """Earlier items, found by the words they share."""

    def __init__(self, near: float) -> None:
        self._near = near
        self._items: list[tuple[Item, frozenset[str]]] = []
        self._by_word: dict[str, list[int]] = {}

    def add(self, item: Item) -> None:
        its_words = words(item.text)
        for word in its_words:
            self._by_word.setdefault(word, []).append(len(self._items))
        self._items.append((item, its_words))

    def nearest(self, item: Item) -> tuple[Item | None, float]:
        """The earlier item with the highest Jaccard index, and that index; None where no index reaches `near`."""
        own = words(item.text)
        best, overlap = None, 0.0
        # In order of the items, since the order of a set of words changes from one process to the next.
        for position in sorted(self._candidates(own)):
            other, its_words = self._items[position]
            common = len(own & its_words)
            jaccard = common / (len(own) + len(its_words) - common)
            if jaccard >= self._near and jaccard > overlap:
                best, overlap = other, jaccard
        return best, overlap

    def _candidates(self, own: frozenset[str]) -> set[int]:
        """Items that may be near enough.

        Such an item shares at least near * |own| words, so it has one of any |own| - near * |own| + 1 of them: the
        rarest will do (prefix filtering, Bayardo, Ma and Srikant 2007).
        """
        needed = max(1, math.ceil(self._near * len(own) - 1e-9))
        rarest = sorted(own, key=lambda word: (len(self._by_word.get(word, ())), word))[: len(own) - needed + 1]
        return {position for word in rarest for position in self._by_word.get(word, ())}


def make(**options: Any) -> Filter:
    """The filter with its options (`near`)."""
    return Duplicates(**options)
