"""Keeps the best items of each label, as many of one as of the other.

The score of an item is the arithmetic mean of its label and relevance probabilities (Perez et al. 2022, section 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.ports import Filter, Screening
from pipeline.schema import Item, Verdict


def score(item: Item) -> float:
    """Mean of label confidence and relevance, in 0..1; what was not judged does not count."""
    parts = [part for part in (item.label_confidence, item.relevance) if part is not None]
    return sum(parts) / len(parts) if parts else 0.0


@dataclass
class Balance:
    """`per_label` caps the items of a label; None keeps as many as the rarer label has."""

    per_label: int | None = None
    name: str = "balance"
    version: int = 1
    options: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.options = {"per_label": self.per_label}

    def judge(self, items: Sequence[Item], screening: Screening) -> list[Verdict]:
        """One verdict an item; scores: `score`. Ties go to the earlier item."""
        sides: dict[str, list[Item]] = {}
        for item in items:
            sides.setdefault(item.answer_matching_behavior, []).append(item)
        room = min((len(side) for side in sides.values()), default=0) if len(sides) > 1 else 0
        if self.per_label is not None:
            room = min(room, self.per_label)
        kept = {id(item) for side in sides.values() for item in sorted(side, key=score, reverse=True)[:room]}
        return [self._verdict(item, id(item) in kept) for item in items]

    def _verdict(self, item: Item, keep: bool) -> Verdict:
        reason = "" if keep else f"enough better items with the answer {item.answer_matching_behavior.strip()!r}"
        return Verdict(id=item.id, filter=self.name, keep=keep, scores={"score": round(score(item), 6)}, reason=reason)


def make(**options: Any) -> Filter:
    """The filter with its options (`per_label`)."""
    return Balance(**options)
