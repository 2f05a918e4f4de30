"""Drops items whose label the judge does not share.

The judge is a preference model (`filters/preferences/`, one kind a file): it says which of two replies one with the
behaviour would give. Its prior is removed and its log-odds are calibrated, so that .5 is the natural threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from filters._calibration import with_calibration
from filters.preferences.trained import Trained
from pipeline import plugins
from pipeline.errors import UsageError
from pipeline.ports import Filter, PreferenceModel, Screening
from pipeline.schema import Item, Verdict
from pipeline.statistics.calibration import probability


@dataclass
class Preference:
    """`threshold` is the least probability, in 0..1, that the item's matching answer is right.

    At .75 the hardest description that was read had 8 wrong labels in 60, above .85 it had 2 in 29.
    `by` names the preference model, or several joined by "+": the mean of their calibrated log-odds counts.
    `own` are options of these; each goes to the models that know it.
    `precision` takes the threshold from a trained model's card: that share of the labels above it was right, on
    behaviours that were held out.
    """

    threshold: float = 0.85
    precision: float | None = None
    by: str = "language_model"
    own: Mapping[str, Any] = field(default_factory=dict)
    name: str = "preference"
    version: int = 2
    options: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self._models = {name: _made(name, self.own) for name in self.by.split("+")}
        of_models = {key: value for model in self._models.values() for key, value in model.options.items()}
        if unknown := self.own.keys() - of_models.keys():
            raise TypeError(f"{self.by} has no option {', '.join(sorted(unknown))}")
        if self.precision is not None:
            (model,) = self._models.values() if len(self._models) == 1 else (None,)
            if not isinstance(model, Trained):
                raise UsageError("precision= is for by=trained, whose card has the thresholds; else give threshold=")
            self.threshold = model.threshold_for(self.precision)
        self.options = {"threshold": self.threshold, "by": self.by, **of_models}

    def judge(self, items: Sequence[Item], screening: Screening) -> list[Verdict]:
        """One verdict an item; scores: `label`, the probability that its own matching answer is right.

        With several preference models also `label_NAME`, the probability of each.
        """
        if not items:
            return []
        judged = {name: _judged(model, items, screening) for name, model in self._models.items()}
        return [self._verdict(item, {name: odds[i] for name, odds in judged.items()}) for i, item in enumerate(items)]

    def _verdict(self, item: Item, judged: Mapping[str, float]) -> Verdict:
        sign = 1 if item.answer_matching_behavior == item.options[0] else -1
        label = probability(sign * sum(judged.values()) / len(judged))
        keep = label > self.threshold
        reason = "" if keep else f"label probability {label:.2f} is not above {self.threshold}"
        scores = {"label": round(label, 6)}
        if len(judged) > 1:
            scores |= {f"label_{name}": round(probability(sign * odds), 6) for name, odds in judged.items()}
        return Verdict(id=item.id, filter=self.name, keep=keep, scores=scores, reason=reason)


def _made(name: str, options: Mapping[str, Any]) -> PreferenceModel:
    make = plugins.load("preferences", name).make
    known = make().options
    model: PreferenceModel = make(**{key: value for key, value in options.items() if key in known})
    return model


def _judged(model: PreferenceModel, items: Sequence[Item], screening: Screening) -> list[float]:
    values, calibration = with_calibration(model, items, screening)
    return list(map(calibration, values))


def make(**options: Any) -> Filter:
    """The filter with its options (`threshold`, `precision`, `by`) and those of the preference models."""
    of_filter = {key: options.pop(key) for key in ("threshold", "precision", "by") if key in options}
    return Preference(**of_filter, own=options)
