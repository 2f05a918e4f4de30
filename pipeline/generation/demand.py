"""How many candidates to write next, and when there are enough: the arithmetic of rounds, without any model."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.generation.candidates import BLOCK
from pipeline.generation.recipe import PATIENT_BUDGET, Recipe

ASK_AHEAD = 1.2
"""So many times the candidates are written that the yield so far makes enough, to be spared another round."""
LEAST_YIELD = 0.1
THRIFTY_ROUND = 2 * BLOCK
"""Candidates of a label in a round where candidates or calls are limited: what one round teaches is used in the next,
and what was written can still be judged."""


@dataclass
class Demand:
    """What a run wants of each label, given what it has."""

    recipe: Recipe
    labels: Sequence[str]
    asked: Mapping[str, int]
    """Candidates so far, by label; kept up to date by whoever asks."""
    is_thrifty: bool
    """Candidates or calls are limited: what lacks is asked for first."""
    revised: int = 0
    """Candidates that were made of others, beside those asked for."""
    passed: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)
    """Of those that passed, the ones that count towards what is wanted."""
    enough_after: dict[str, int] = field(default_factory=dict)
    """Candidates of a label when enough of it had passed, whether they count or not."""

    def update(self, passed: Mapping[str, int], counted: Mapping[str, int]) -> None:
        """So many items of each label have passed by now, and so many of them count."""
        self.passed, self.counted = Counter(passed), Counter(counted)
        for label in self.labels:
            if not self.lacks(label):
                self.enough_after.setdefault(label, self.asked[label])

    def lacks(self, label: str) -> bool:
        """Whether too few of a label have passed."""
        return self.passed[label] < self.recipe.n // 2

    def left(self) -> int:
        """Candidates that may still be written, of all labels together."""
        if self.recipe.candidates is None:
            return sys.maxsize
        return self.recipe.candidates - sum(self.asked.values()) - self.revised

    def next_round(self) -> dict[str, int]:
        """How many candidates to write now, per label; empty when done."""
        wanted = {label: number for label in self.labels if (number := self._wanted(label)) > 0}
        left, total = self.left(), sum(wanted.values())
        if total <= left:
            return wanted
        shares = {label: number * left // total for label, number in wanted.items()}
        return {label: share for label, share in shares.items() if share} or dict.fromkeys([*wanted][:left], 1)

    def _wanted(self, label: str) -> int:
        """Candidates of one label: at the least as many as the recipe says, more where too few count so far.

        Where candidates or calls are limited, only what lacks is asked for until nothing does.
        """
        asked, lacking = self.asked[label], self._lacking(label)
        rate = max(LEAST_YIELD, (self.counted[label] + 1) / (asked + 2))
        number = math.ceil(ASK_AHEAD * lacking / rate) if lacking else 0
        in_round = self.recipe.round or sys.maxsize
        if self.is_thrifty:
            in_round = min(in_round, THRIFTY_ROUND)
        if not self.is_thrifty or not any(map(self._lacking, self.labels)):
            number = max(number, self._floor - asked)
        # Whole blocks: candidates of a block share a prompt, and a half-filled batch costs as much as a full one.
        return min(math.ceil(number / BLOCK) * BLOCK, self._ceiling(label) - asked, in_round)

    def _lacking(self, label: str) -> int:
        """How many items of a label that count are not there yet; 0 where no more may be asked for."""
        if self.asked[label] >= self._ceiling(label):
            return 0
        return max(0, self.recipe.n // 2 - self.counted[label])

    @property
    def _floor(self) -> int:
        """The least candidates of a label."""
        return math.ceil(self.recipe.n // 2 * (self.recipe.oversample or 1))

    def _ceiling(self, label: str) -> int:
        """The most candidates of a label; once enough have passed, a few more for the sake of their topics."""
        recipe, target = self.recipe, self.recipe.n // 2
        patience = min(recipe.patience or 0, math.ceil(target * PATIENT_BUDGET))
        most = recipe.candidates or max(math.ceil(target * recipe.budget), patience)
        if label not in self.enough_after:
            return most
        return min(most, max(self._floor, math.ceil(self.enough_after[label] * (recipe.topic_patience or 1))))
