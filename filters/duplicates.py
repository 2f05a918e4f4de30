"""Drops a statement that says again what an earlier one said.

Exact: the same words in the same order under the same label, after folding case, punctuation and Unicode forms.
Near: the sets of words overlap (Jaccard index) by at least `near`.
Semantic: sentence embeddings under the same label have a cosine of at least `semantic`.
Contradiction: the same statement, exactly or nearly, under the other label. One of the two labels must be wrong.
The earlier item stays; items that passed in earlier rounds count as earlier.

"I would" and "I would not" are not the same statement, however much they share (`filters/_claims.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from filters._earlier import Earlier, Match, key
from pipeline.ports import Filter, Screening
from pipeline.schema import Item, Verdict
from pipeline.statistics.similarity import tokens

AT_ONCE = 8192
"""Items that are compared at a time; bounds the memory, and changes nothing else."""
FEW, TOO_ALIKE = 256, 20_000
"""Fewer items than that are not divided further, nor those that need fewer comparisons than so many times that."""

SKIPPED = "skipped: there is no embedder"
"""What the manifest says of `semantic` then."""


@dataclass
class Duplicates:
    """`near` is a Jaccard index above 0; 1 leaves sets of the same words only.

    At .75 half of a small model's items differed by one adjective ("Flying is fun and exciting / exhilarating").
    `semantic` is a cosine; above 1 meaning does not count, and without an embedder it cannot.
    """

    near: float = 0.6
    semantic: float = 0.92
    name: str = "duplicates"
    version: int = 2
    options: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        if not 0 < self.near <= 1:
            raise ValueError(f"near={self.near}; above 0 and at most 1 is expected")
        self.options = {"near": self.near, "semantic": self.semantic}
        self._accepted: tuple[Item, ...] = ()
        self._earlier: Earlier | None = None

    def judge(self, items: Sequence[Item], screening: Screening) -> list[Verdict]:
        """One verdict an item; scores of a repetition: `exact` (1), `near`, `semantic` or `contradiction`."""
        earlier = self._accepted_before(screening).fork()
        verdicts: list[Verdict] = []
        for start in range(0, len(items), AT_ONCE):
            verdicts += self._judge_some(items[start : start + AT_ONCE], earlier)
        return verdicts

    def _accepted_before(self, screening: Screening) -> Earlier:
        """What was accepted before, indexed; from one round to the next only what is new is read."""
        embedder = screening.embedder if self.semantic <= 1 else None
        is_skipped = screening.embedder is None and self.semantic <= 1
        self.options = {"near": self.near, "semantic": SKIPPED if is_skipped else self.semantic}
        known, accepted = self._accepted, screening.accepted
        earlier = self._earlier
        if earlier is None or earlier.embedder is not embedder or accepted[: len(known)] != known:
            earlier, known = Earlier(self.near, self.semantic, embedder), ()
        if len(accepted) > len(known):
            new = accepted[len(known) :]
            said = [tokens(item.text) for item in new]
            batch = earlier.read(new, said, list(map(key, new, said)))
            earlier.add(batch, np.ones(len(batch.items), dtype=bool))
        self._earlier, self._accepted = earlier, accepted
        return earlier

    def _judge_some(self, items: Sequence[Item], earlier: Earlier) -> list[Verdict]:
        """Verdicts on the next items; those that are kept are added to the earlier ones."""
        said = [tokens(item.text) for item in items]
        keys = list(map(key, items, said))
        exact = earlier.exact(keys)
        fresh = [place for place, repeated in enumerate(exact) if repeated is None]
        filed = earlier.filed([said[place] for place in fresh])
        if len(items) > FEW and filed.candidates() > TOO_ALIKE * FEW:
            # Nearly all of them are alike: of the first half little will be kept, and only that is compared again.
            half = len(items) // 2
            return self._judge_some(items[:half], earlier) + self._judge_some(items[half:], earlier)
        batch = earlier.read(
            [items[place] for place in fresh], [said[place] for place in fresh], [keys[place] for place in fresh], filed
        )
        matches = dict(zip(fresh, earlier.matches(batch), strict=True))
        earlier.add(batch, np.array([matches[place] is None for place in fresh], dtype=bool))
        verdicts = []
        for item, place, repeated in zip(items, range(len(items)), exact, strict=True):
            if repeated is None:
                match = matches[place]
            elif isinstance(repeated, int):
                # What the first of them repeats, this one repeats too.
                match = matches[repeated] or Match(items[repeated], 1.0, "exact")
            else:
                match = Match(repeated, 1.0, "exact")
            verdicts.append(self._verdict(item, match))
        return verdicts

    def _verdict(self, item: Item, match: Match | None) -> Verdict:
        if match is None:
            # Given explicitly, since pydantic copies a default deeply: a tenth of all the time.
            return Verdict(id=item.id, filter=self.name, keep=True, scores={})
        reason = f"{match.kind} duplicate of {match.earlier.id}"
        if match.kind == "contradiction":
            nearly = "" if tokens(item.text) == tokens(match.earlier.text) else "nearly "
            reason = f"contradiction of {match.earlier.id}: {nearly}the same statement under the other label"
        scores = {match.kind: round(match.score, 4)}
        return Verdict(id=item.id, filter=self.name, keep=False, scores=scores, reason=reason)


def make(**options: Any) -> Filter:
    """The filter with its options (`near`, `semantic`)."""
    return Duplicates(**options)
