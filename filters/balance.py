"""Keeps good items of each label, as many of one as of the other, from every topic and with both labels inside it.

The score of an item is the arithmetic mean of its label and relevance probabilities (Perez et al. 2022, section 4).
The paper keeps the best by score alone and regrets what that gives: labels that are unbalanced inside clusters of
topics, and some repetitive sets. Every item here has passed all filters before, so a little of the score is worth less
than a topic. Figures of both choices go into the manifest: what is kept is never less diverse than the best by score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from filters._vectors import vectors_of
from pipeline.ports import Filter, Screening
from pipeline.schema import Item, Verdict
from pipeline.statistics import diversity
from pipeline.statistics.selection import choose, quotas

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARES = (1.5, 1.2, 1.0)
"""Of an even share, how much a topic may give to balance its labels: the first that costs no evenness of topics.

On the published persona data 1.5 will mostly do; without a bound, topics were less even in 2 of 9 behaviours."""


def score(item: Item) -> float:
    """Mean of label confidence and relevance, in 0..1; what was not judged does not count."""
    parts = [part for part in (item.label_confidence, item.relevance) if part is not None]
    return sum(parts) / len(parts) if parts else 0.0


@dataclass
class Balance:
    """`per_label` caps the items of a label; None keeps as many as the rarer label has.

    `diversity` is what an item loses of its score per unit of cosine to its topic's closest item that is kept; 0 is the
    paper's choice, the best by score alone. At .1 the published persona data lose .007 of .91; at .2 little is gained.
    """

    per_label: int | None = None
    diversity: float = 0.1
    name: str = "balance"
    version: int = 2
    options: Mapping[str, Any] = field(init=False)
    figures: Mapping[str, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.options = {"per_label": self.per_label, "diversity": self.diversity}

    def judge(self, items: Sequence[Item], screening: Screening) -> list[Verdict]:
        """One verdict an item; scores: `score`. Ties go to the earlier item."""
        labels = sorted({item.answer_matching_behavior for item in items})
        sides = np.array([labels.index(item.answer_matching_behavior) for item in items], dtype=np.intp)
        room = int(np.bincount(sides).min()) if len(labels) > 1 else 0
        if self.per_label is not None:
            room = min(room, int(self.per_label))
        kept = set(self._chosen(items, sides, room, screening) if room else [])
        return [self._verdict(item, place in kept) for place, item in enumerate(items)]

    def _chosen(self, items: Sequence[Item], sides: NDArray[np.intp], room: int, screening: Screening) -> list[int]:
        """The places of `room` items of each side; leaves the figures of this choice and of the best by score."""
        scores = [score(item) for item in items]
        vectors, of_what = vectors_of(items, screening)
        k = diversity.number_of_topics(2 * room)
        topics = diversity.topics(vectors, k)
        pool = _Pool([item.text for item in items], scores, sides, vectors, topics, diversity.topics(vectors, 2 * k, 1))
        best = _best(scores, sides, room)
        usual = pool.figures(best)
        chosen, figures = best, usual
        for share in SHARES if self.diversity > 0 else ():
            given = quotas(topics, sides, room, share)
            tried = choose(vectors, scores, sides, self.diversity, topics, given)
            found = pool.figures(tried)
            if found.is_as_diverse_as(usual):
                chosen, figures = tried, found
                break
        counts = {"vectors": of_what, "topics": int(topics.max()) + 1}
        self.figures = {"diversity": counts | {"kept": figures.rounded(), "best_by_score": usual.rounded()}}
        return chosen

    def _verdict(self, item: Item, keep: bool) -> Verdict:
        label = item.answer_matching_behavior.strip()
        reason = "" if keep else f"enough items with the answer {label!r} that are better or less alike"
        return Verdict(id=item.id, filter=self.name, keep=keep, scores={"score": round(score(item), 6)}, reason=reason)


@dataclass(frozen=True)
class _Figures:
    """How diverse a choice is, and what it costs; see `pipeline/statistics/diversity.py`."""

    self_bleu: float
    vendi: float
    entropy: float
    entropy_finer: float
    """Evenness over twice as many topics, which took no part in the choice."""
    label_imbalance: float
    mean_score: float

    def is_as_diverse_as(self, other: _Figures) -> bool:
        lower = self.self_bleu <= other.self_bleu and self.label_imbalance <= other.label_imbalance
        higher = self.entropy >= other.entropy and self.entropy_finer >= other.entropy_finer
        return lower and higher and self.vendi >= other.vendi

    def rounded(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in vars(self).items()}


@dataclass(frozen=True)
class _Pool:
    """All that there is to choose from."""

    texts: Sequence[str]
    scores: Sequence[float]
    sides: NDArray[np.intp]
    vectors: NDArray[np.floating[Any]]
    topics: NDArray[np.intp]
    finer: NDArray[np.intp]

    def figures(self, chosen: Sequence[int]) -> _Figures:
        at = list(chosen)
        of, finer = self.topics[at].tolist(), self.finer[at].tolist()
        return _Figures(
            self_bleu=diversity.self_bleu([self.texts[place] for place in at]),
            vendi=diversity.vendi_score(self.vectors[at]),
            entropy=diversity.topic_entropy(of, int(self.topics.max()) + 1),
            entropy_finer=diversity.topic_entropy(finer, int(self.finer.max()) + 1),
            label_imbalance=diversity.label_imbalance(of, self.sides[at].tolist()),
            mean_score=float(np.mean([self.scores[place] for place in at])),
        )


def _best(scores: Sequence[float], sides: NDArray[np.intp], room: int) -> list[int]:
    """The places of the best `room` of each side, in ascending order."""
    ranked = sorted(range(len(scores)), key=lambda place: -scores[place])
    best = [[place for place in ranked if sides[place] == side][:room] for side in range(int(sides.max()) + 1)]
    return sorted(place for side in best for place in side)


def make(**options: Any) -> Filter:
    """The filter with its options (`per_label`, `diversity`)."""
    return Balance(**options)
