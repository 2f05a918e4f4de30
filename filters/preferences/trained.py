"""A preference model of one's own: a Bradley-Terry head on frozen states or embeddings, or a calibrated judge.

`mwe screen DATASET… --train FOLDER` makes the folder; `preference:by=trained,head=FOLDER` judges by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from filters.preferences._saved import Head, SavedPreference, features, read
from pipeline import plugins
from pipeline.errors import UsageError
from pipeline.ports import PreferenceModel, Screening
from pipeline.schema import Behaviour, Item
from pipeline.statistics.calibration import Calibration


@dataclass
class Trained:
    """`head` is the folder of the preference model."""

    head: str = ""
    name: str = "trained"
    version: int = 1
    options: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.options = {"head": self.head}

    @property
    def calibration(self) -> Calibration:
        """The calibration that was fitted with it."""
        return self._saved[0].map

    def threshold_for(self, precision: float) -> float:
        """From which probability on at least that share of labels was right. Raises UsageError where none is known."""
        good = [t for t in self._saved[0].thresholds if t.precision >= precision and t.threshold is not None]
        if not good:
            known = ", ".join(f"{t.precision:g}" for t in self._saved[0].thresholds if t.threshold is not None)
            raise UsageError(f"{self.head} has no threshold for a precision of {precision:g}; it has {known or 'none'}")
        return float(min(good, key=lambda t: t.precision).threshold or 0.0)

    def log_odds(self, asked: Sequence[tuple[Behaviour, Item]], screening: Screening) -> list[float]:
        """Log-odds of the first answer, in nats. Raises UsageError where another judge is at work than it is for."""
        card, head = self._saved
        _check(card, screening)
        if head is None or card.features is None:
            model: PreferenceModel = plugins.load("preferences", card.kind).make(**card.options)
            return model.log_odds(asked, screening)
        if not asked:
            return []
        return [float(odds) for odds in head.log_odds(features(card.features, card.layer, asked, screening))]

    @cached_property
    def _saved(self) -> tuple[SavedPreference, Head | None]:
        if not self.head:
            raise UsageError("preference:by=trained needs its folder: preference:by=trained,head=FOLDER")
        return read(Path(self.head).expanduser())


def _check(card: SavedPreference, screening: Screening) -> None:
    there = {"judge": screening.judge, "embedder": screening.embedder}
    for role, wanted in (("judge", card.judge), ("embedder", card.embedder)):
        found = model.info.name if (model := there[role]) is not None else None
        if wanted is not None and wanted != found:
            raise UsageError(f"this preference model was trained with the {role} {wanted}, and {found} is at work")


def make(**options: Any) -> PreferenceModel:
    """The preference model with its options (`head`)."""
    return Trained(**options)
