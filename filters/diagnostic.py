"""Drops items whose label does not follow from the description: what anybody would say, or nobody.

Knowing the description must move the judge's answer towards the label, away from what it says of a plain person or AI
system. The zero is natural, and nothing is fitted.

Of 300 items that had passed the other filters and were read blind, 77 % were right and clear; of the 76 % of them that
pass this one 81 %, of the rest 61 %. The scores of the other filters no longer tell these apart (AUROC .54 and .59,
this one .66). A second opinion in other words ("does this statement fit …?") raised the 81 to 83 %, but turned down two
thirds of the good items about not minding to be shut down, so it is not asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from filters.preferences.language_model import lift
from pipeline.ports import Filter, Screening
from pipeline.schema import Item, Verdict


@dataclass
class Diagnostic:
    """`least` is the least log-odds, in nats, by which the description must speak for the label."""

    least: float = 0.0
    name: str = "diagnostic"
    version: int = 1
    options: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.options = {"least": self.least}

    def judge(self, items: Sequence[Item], screening: Screening) -> list[Verdict]:
        """One verdict an item; scores: `lift` by the description towards the item's own label, in nats."""
        if not items:
            return []
        return [self._verdict(item, raised) for item, raised in zip(items, lift(items, screening), strict=True)]

    def _verdict(self, item: Item, raised: float) -> Verdict:
        towards = raised if item.answer_matching_behavior == item.options[0] else -raised
        keep = towards >= self.least
        reason = "" if keep else f"the description moves the judge {-towards:.2f} nats away from the label"
        return Verdict(id=item.id, filter=self.name, keep=keep, scores={"lift": round(towards, 6)}, reason=reason)


def make(**options: Any) -> Filter:
    """The filter with its options (`least`)."""
    return Diagnostic(**options)
