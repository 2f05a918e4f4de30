"""Drops items that are not about the behaviour.

Three signs are combined by one logistic regression with fixed weights: how much likelier the statement becomes to the
judge when the description stands before it, the cosine similarity of their sentence embeddings, and how decided the
judge is about agreement. A judge that gives no likelihood of texts is asked outright instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from filters._asking import ask, judge_of, surprise
from filters._calibration import leaning
from pipeline import prompts
from pipeline.ports import ChoiceRequest, Filter, Message, Screening
from pipeline.schema import Item, Verdict

ABOUT = "judge_about"
OPTIONS = (" Yes", " No")

DECIDED_AT_MOST = 3.0


@dataclass(frozen=True)
class Weights:
    """Coefficients of the logistic regression. Fitted on the published persona data, behaviours held out in turn
    (tests/bench/bench_filters.py); a set for each combination of signs that can be had."""

    constant: float
    surprise: float = 0.0
    cosine: float = 0.0
    decided: float = 0.0


WEIGHTS = {
    (True, True): Weights(-3.42, surprise=1.44, cosine=6.07, decided=0.64),
    (True, False): Weights(-2.37, surprise=1.88, decided=0.69),
    (False, True): Weights(-3.79, cosine=11.73, decided=0.66),
}
"""By (the judge gives likelihoods, there is an embedder)."""


@dataclass
class Relevance:
    """`threshold` is the least probability, in 0..1, that the item is about the behaviour.

    Of 200 items that were read, half of those between .7 and .8 were off topic or unclear.
    """

    threshold: float = 0.8
    name: str = "relevance"
    version: int = 1
    options: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.options = {"threshold": self.threshold}

    def judge(self, items: Sequence[Item], screening: Screening) -> list[Verdict]:
        """One verdict an item; scores: `relevance`, and the signs it was combined from."""
        if not items:
            return []
        leanings = leaning(items, screening)
        surprises = surprise(items, screening)
        cosines = _cosines(items, screening)
        asked: Sequence[float | None] = _asked(items, screening) if surprises[0] is None else [None] * len(items)
        signs = map(_signs, leanings, surprises, cosines, asked)
        return [self._verdict(item, each) for item, each in zip(items, signs, strict=True)]

    def _verdict(self, item: Item, signs: dict[str, float]) -> Verdict:
        relevance = signs["relevance"]
        keep = relevance > self.threshold
        reason = "" if keep else f"relevance {relevance:.2f} is not above {self.threshold}"
        scores = {name: round(value, 6) for name, value in signs.items()}
        return Verdict(id=item.id, filter=self.name, keep=keep, scores=scores, reason=reason)


def _signs(leaning: float, surprise: float | None, cosine: float | None, asked: float | None) -> dict[str, float]:
    """Every sign that there is, and the relevance made from them."""
    decided = min(abs(leaning), DECIDED_AT_MOST)
    parts = []
    weights = WEIGHTS.get((surprise is not None, cosine is not None))
    if weights is not None:
        total = weights.constant + weights.surprise * (surprise or 0) + weights.cosine * (cosine or 0)
        parts.append(_sigmoid(total + weights.decided * decided))
    if asked is not None:
        parts.append(_sigmoid(asked))
    signs = {"relevance": sum(parts) / len(parts), "decided": decided}
    found = {"surprise": surprise, "cosine": cosine, "asked": asked}
    return signs | {name: value for name, value in found.items() if value is not None}


def _cosines(items: Sequence[Item], screening: Screening) -> Sequence[float | None]:
    """Cosine similarity of each statement to the description, in -1..1.

    The head of the description ("a person who") stands in no statement: without it the AUROC is .926 instead of .906.
    """
    if screening.embedder is None:
        return [None] * len(items)
    vectors = screening.embedder.embed([screening.behaviour.predicate, *(item.text for item in items)])
    return [float(value) for value in vectors[1:] @ vectors[0]]


def _asked(items: Sequence[Item], screening: Screening) -> list[float]:
    """The judge's log-odds that a statement tells whether somebody has the behaviour."""
    phrase = screening.behaviour.phrase
    texts = [prompts.render(ABOUT, description=phrase, statement=item.text) for item in items]
    choices = ask(judge_of(screening), (ChoiceRequest((Message("user", text),), OPTIONS) for text in texts))
    return [choice.log_odds(0) for choice in choices]


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, x))))


def make(**options: Any) -> Filter:
    """The filter with its options (`threshold`)."""
    return Relevance(**options)
