"""How many items to write and how: what one may choose, and what depends on the models."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pipeline.errors import UsageError
from pipeline.prices import LOCAL

FREE_OVERSAMPLE, PAID_OVERSAMPLE = 5.0, 1.5
BATCH_OVERSAMPLE = 3.0
FREE_PATIENCE, PATIENT_BUDGET = 1_000, 50
FREE_ROUND, PAID_ROUND = 128, 64
MOST_REVISIONS = 4


@dataclass(frozen=True)
class Recipe:
    """How many items to write and how. Together with the behaviour and the models it fixes the outcome."""

    n: int = 200
    """Items wanted, half of them for each label."""
    seed: int = 0
    oversample: float | None = None
    """Candidates written at the least, per item wanted: the best of them are kept. None: as `for_models` says."""
    budget: float = 20.0
    """Candidates written at the most, per item wanted."""
    patience: int | None = None
    """But where few are wanted, up to so many of a label, at most `PATIENT_BUDGET` an item. None: as `for_models` says.

    Few items are lucky or unlucky: of one label of the demo's behaviour 4 to 7 in 100 candidates pass."""
    candidates: int | None = None
    """Candidates written at the most, in all; in place of `budget` and `patience`."""
    round: int | None = None
    """Candidates of a label that are written before they are judged; 0 is no limit. None: as `for_models` says.

    After each round the next one is asked in the ways that passed most. Of models that are free 128 at the least, a
    quarter of a usual run, and the eighth part of what is written at the least."""
    temperature: float = 0.8
    """Measured with the embedded 1.5B over four descriptions: .8 passes .42 of the candidates, 1.0 .36, .6 .39."""
    spread: float | None = None
    """After the first round, temperatures so much lower and higher are tried too. None: as `for_models` says."""
    top_p: float = 0.95
    examples: int = 3
    """Other behaviours shown before the question; 0 is the paper's zero-shot prompt."""
    statements: int = 4
    """Statements shown of each of them."""
    guidance: float = 0.0
    """Weight of the other label's prompt in decoding; local models only."""
    topic_share: float = 2.5
    """What one topic may have of a label, as a multiple of an even share; what is more does not count towards `n`.

    Of eight runs of 200 items with the embedded 1.5B, six have 94 and more of 100 items within this bound on both
    sides; the two beyond it have 47 and 58 % of a label in one topic out of ten."""
    topic_patience: float | None = None
    """Once enough have passed, so many times the candidates that took may be written until enough of them count.

    None: as `for_models` says, which is 1, none at all, where candidates cost money."""
    revisions: int = 0
    """Rounds of critique and revision of what filters turned down, where a label lacks items."""

    def __post_init__(self) -> None:
        if self.n < 2 or self.n % 2:
            raise UsageError(f"-n is {self.n}; an even number of at least 2 is expected, half of it for each label")
        if self.candidates is not None and self.candidates < self.n:
            raise UsageError(f"--candidates is {self.candidates}; at least the {self.n} items wanted are expected")
        if not 0 <= self.revisions <= MOST_REVISIONS:
            raise UsageError(f"--revise is {self.revisions}; 0 to {MOST_REVISIONS} rounds are expected")

    def for_batches(self) -> Recipe:
        """For batch APIs, where a round may take a day and costs half: more candidates, all in one round."""
        return replace(self, oversample=BATCH_OVERSAMPLE, round=0)

    def for_models(self, *names: str) -> Recipe:
        """The recipe with what depends on writer and judge: many candidates in wide rounds where both are free.

        Where one costs money, fewer are written, and judged in small rounds: what a budget still buys is then spent on
        both alike, and the last round does not write more than is wanted. At the recipe's own temperature: there are
        too few candidates to learn from.
        """
        free = all(name.startswith(LOCAL) for name in names)
        free_round = max(FREE_ROUND, math.ceil(self.n // 2 * (self.oversample or FREE_OVERSAMPLE) / 8))
        oversample, in_round, patience, spread, topic_patience = (
            (FREE_OVERSAMPLE, free_round, FREE_PATIENCE, 0.2, 1.5)
            if free
            else (PAID_OVERSAMPLE, PAID_ROUND, 0, 0.0, 1.0)
        )
        return replace(
            self,
            oversample=oversample if self.oversample is None else self.oversample,
            round=in_round if self.round is None else self.round,
            patience=patience if self.patience is None else self.patience,
            spread=spread if self.spread is None else self.spread,
            topic_patience=topic_patience if self.topic_patience is None else self.topic_patience,
        )
