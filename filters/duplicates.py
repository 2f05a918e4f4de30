"""Drops a statement that says again what an earlier one said.

Exact: the same text after folding case, punctuation and Unicode forms.
Near: the sets of words overlap (Jaccard index) by at least `near`.
The earlier item stays; items that passed in earlier rounds count as earlier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.ports import Filter, Screening
from pipeline.schema import Item, Verdict
from pipeline.statistics import words


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
        """One verdict an item; scores: `near`, the highest Jaccard index with an earlier item."""
        seen = _Seen()
        for item in screening.accepted:
            seen.add(item)
        return [self._verdict(item, seen) for item in items]

    def _verdict(self, item: Item, seen: _Seen) -> Verdict:
        earlier, overlap = seen.nearest(item)
        keep = earlier is None or overlap < self.near
        reason = ""
        if earlier is not None and not keep:
            kind = "exact" if overlap == 1.0 else "near"
            swapped = earlier.answer_matching_behavior != item.answer_matching_behavior
            reason = f"{kind} duplicate of {earlier.id}" + (" under the other label" if swapped else "")
        if keep:
            seen.add(item)
        return Verdict(id=item.id, filter=self.name, keep=keep, scores={"near": round(overlap, 4)}, reason=reason)


class _Seen:
    """Earlier items, found by the words they share."""

    def __init__(self) -> None:
        self._items: list[tuple[Item, frozenset[str]]] = []
        self._by_word: dict[str, list[int]] = {}

    def add(self, item: Item) -> None:
        its_words = words(item.text)
        for word in its_words:
            self._by_word.setdefault(word, []).append(len(self._items))
        self._items.append((item, its_words))

    def nearest(self, item: Item) -> tuple[Item | None, float]:
        """The earlier item with the highest Jaccard index, and that index."""
        own = words(item.text)
        shared: dict[int, int] = {}
        for word in own:
            for position in self._by_word.get(word, ()):
                shared[position] = shared.get(position, 0) + 1
        best, overlap = None, 0.0
        # In order of the items, since the order of a set of words changes from one process to the next.
        for position, common in sorted(shared.items()):
            other, its_words = self._items[position]
            jaccard = common / (len(own) + len(its_words) - common)
            if jaccard > overlap:
                best, overlap = other, jaccard
        return best, overlap


def make(**options: Any) -> Filter:
    """The filter with its options (`near`)."""
    return Duplicates(**options)
