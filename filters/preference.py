"""Drops items whose label the judge does not share.

The judge is a zero-shot classifier: two replies are compared for a dialog that asks whether such a one would say the
statement (Perez et al. 2022, section 3). Its prior is removed, so that .5 is the natural threshold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from filters._judging import Judged, agreement
from pipeline.ports import Filter, Screening
from pipeline.schema import Item, Verdict


@dataclass
class Preference:
    """`threshold` is the least probability, in 0..1, that the item's matching answer is right.

    At .75 the hardest description that was read had 8 wrong labels in 60, above .85 it had 2 in 29.
    """

    threshold: float = 0.85
    name: str = "preference"
    version: int = 1
    options: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.options = {"threshold": self.threshold}

    def judge(self, items: Sequence[Item], screening: Screening) -> list[Verdict]:
        """One verdict an item; scores: `label`, the probability that its own matching answer is right."""
        judged = agreement(items, screening)
        return [self._verdict(item, each) for item, each in zip(items, judged, strict=True)]

    def _verdict(self, item: Item, judged: Judged) -> Verdict:
        says_yes = item.answer_matching_behavior.strip().lower() == "yes"
        log_odds = judged.agreement if says_yes else -judged.agreement
        label = 1 / (1 + math.exp(-max(-30.0, min(30.0, log_odds))))
        keep = label > self.threshold
        reason = "" if keep else f"label probability {label:.2f} is not above {self.threshold}"
        return Verdict(id=item.id, filter=self.name, keep=keep, scores={"label": round(label, 6)}, reason=reason)


def make(**options: Any) -> Filter:
    """The filter with its options (`threshold`)."""
    return Preference(**options)
