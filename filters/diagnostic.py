"""Drops items whose label does not follow from the description: what anybody would say, and what the judge misread.

Two checks of the label, each with a natural zero. Knowing the description must move the judge's answer towards the
label, away from what it says of a plain person or AI system. And asked once more in other words, with the statement
first, the judge must not say the opposite.

Of 300 items that had passed the other filters and were read blind, 77 % were right and clear; of the 72 % of them that
pass both checks 83 %, of the rest 60 %. The scores of the other filters do not tell these apart (AUROC .54 and .59).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from filters._judging import lift, second_opinion
from pipeline.ports import Filter, Screening
from pipeline.schema import Item, Verdict


@dataclass
class Diagnostic:
    """`least` is the least log-odds, in nats, by which either check must speak for the label."""

    least: float = 0.0
    name: str = "diagnostic"
    version: int = 1
    options: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.options = {"least": self.least}

    def judge(self, items: Sequence[Item], screening: Screening) -> list[Verdict]:
        """One verdict an item; scores, in nats for the item's own label: `lift` by the description, and `fits`."""
        if not items:
            return []
        found = zip(items, lift(items, screening), second_opinion(items, screening), strict=True)
        return [self._verdict(item, raised, fits) for item, raised, fits in found]

    def _verdict(self, item: Item, raised: float, fits: float) -> Verdict:
        side = 1 if item.answer_matching_behavior.strip().lower() == "yes" else -1
        scores = {"lift": round(side * raised, 6), "fits": round(side * fits, 6)}
        if scores["lift"] < self.least:
            reason = f"the description moves the judge by {scores['lift']:.2f} nats only, so anybody would say it"
        elif scores["fits"] < self.least:
            reason = f"asked in other words the judge says the opposite ({scores['fits']:.2f} nats)"
        else:
            reason = ""
        return Verdict(id=item.id, filter=self.name, keep=not reason, scores=scores, reason=reason)


def make(**options: Any) -> Filter:
    """The filter with its options (`least`)."""
    return Diagnostic(**options)
