"""Where the models of a trend lie: sizes by family. What a test may permute follows from this alone, not from scores.

All functions of the tests take scores as an array (runs, models), so that a verdict on one ladder (one run) and a
simulation of thousands go through the same arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Design:
    """The models' places on the axis, family after family; within a family in any order."""

    x: np.ndarray
    """(models,) log10 of the sizes."""
    counts: tuple[int, ...]
    """Models of each family; families follow one another in `x`."""

    @classmethod
    def of(cls, *families: Sequence[float]) -> Design:
        """From the sizes (parameters, or training compute) of each family. Raises ValueError on any not above 0."""
        sizes = np.concatenate([np.asarray(each, dtype=float) for each in families])
        if not len(sizes) or not (np.isfinite(sizes) & (sizes > 0)).all():
            raise ValueError(f"sizes must be finite and above 0: {sizes.tolist()}")
        return cls(np.log10(sizes), tuple(len(each) for each in families))

    @cached_property
    def family(self) -> np.ndarray:
        """(models,) the index of each model's family."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @cached_property
    def centred(self) -> np.ndarray:
        """(models,) `x` less its family's mean: what a line with an intercept of its own for each family sees."""
        return self.within(self.x)

    @cached_property
    def spread(self) -> float:
        """Sum of squares of `centred`."""
        return float(self.centred @ self.centred)

    @property
    def spans(self) -> list[float]:
        """Decades between the smallest and the largest model of each family."""
        return [float(np.ptp(self.x[self.family == f])) for f in range(len(self.counts))]

    @property
    def span(self) -> float:
        """Decades of the widest family: the span that a change in points refers to."""
        return max(self.spans)

    @property
    def sizes(self) -> list[int]:
        """Distinct sizes of each family."""
        return [len(np.unique(self.x[self.family == f])) for f in range(len(self.counts))]

    @property
    def degrees(self) -> int:
        """Degrees of freedom of the scatter around parallel lines: models - families - 1."""
        return len(self.x) - len(self.counts) - 1

    @property
    def arrangements(self) -> int:
        """Distinct ways to hand the models' scores to their places, families apart; models of one size swap freely."""
        number = 1
        for f, count in enumerate(self.counts):
            number *= math.factorial(count)
            for same in np.unique(self.x[self.family == f], return_counts=True)[1]:
                number //= math.factorial(int(same))
        return number

    def within(self, values: np.ndarray) -> np.ndarray:
        """Values of shape (…, models) less their family's mean."""
        of = self.family
        means = np.stack([values[..., of == f].mean(axis=-1) for f in range(len(self.counts))], axis=-1)
        centred: np.ndarray = values - means[..., of]
        return centred

    def only(self, least_sizes: int) -> np.ndarray:
        """(models,) which models belong to families of at least so many distinct sizes."""
        return np.isin(self.family, [f for f, count in enumerate(self.sizes) if count >= least_sizes])
