"""What a sample says of the whole: weights of strata, weighted rates, and intervals of what is put together of rates.

Intervals speak of items like these, as those of the scores do: a sample of all items still leaves chance in it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

from pipeline.statistics.intervals import LEVEL, Interval, effective_trials, interval_of_proportion


class Estimate(NamedTuple):
    """A value and its interval, low <= value <= high."""

    value: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """high - low."""
        return self.high - self.low


def inverse_inclusion(
    sampled: Sequence[tuple[Hashable, ...]], population: Mapping[tuple[Hashable, ...], int]
) -> list[float]:
    """The weight of each sampled item: how many items of the population it stands for (Horvitz and Thompson 1952).

    `sampled` names the stratum of each item, from coarse to fine, and `population` the size of each stratum. Where a
    stratum has no sampled item, all strata that differ from it in their last part only are taken as one, and so on.
    """
    depth = max((len(stratum) for stratum in population), default=0)
    while depth and {s[:depth] for s, size in population.items() if size} - {s[:depth] for s in sampled}:
        depth -= 1
    sizes: Counter[tuple[Hashable, ...]] = Counter()
    for stratum, size in population.items():
        sizes[stratum[:depth]] += size
    drawn = Counter(stratum[:depth] for stratum in sampled)
    return [sizes[stratum[:depth]] / drawn[stratum[:depth]] for stratum in sampled]


def weighted_share(
    values: Sequence[float],
    weights: Sequence[float] | None = None,
    clusters: Sequence[int] | None = None,
    level: float = LEVEL,
) -> Estimate:
    """The weighted mean of values in 0..1 with `interval_of_proportion`. Raises ValueError without values."""
    if not len(values):
        raise ValueError("a share of nothing")
    used = [1.0] * len(values) if weights is None else weights
    share = sum(w * v for w, v in zip(used, values, strict=True)) / sum(used)
    low, high = interval_of_proportion(values, clusters, level, weights)
    return Estimate(share, min(low, share), max(high, share))


def combined(formula: Callable[..., float], parts: Sequence[Estimate]) -> Estimate:
    """A formula of independent estimates, with its interval.

    Each part is moved to its ends while the others stay, and the changes add up as squares: the method of variance
    estimates recovery (Zou and Donner 2008), which keeps what is skewed in the parts' intervals. It gives Newcombe's
    interval for a difference of two rates.
    """
    values = [part.value for part in parts]
    centre = formula(*values)
    below = above = 0.0
    for i, part in enumerate(parts):
        ends = [formula(*values[:i], end, *values[i + 1 :]) - centre for end in (part.low, part.high)]
        below += min(*ends, 0.0) ** 2
        above += max(*ends, 0.0) ** 2
    return Estimate(centre, centre - math.sqrt(below), centre + math.sqrt(above))


def labels_to_halve(rate: Estimate, labels: int, level: float = LEVEL) -> int:
    """How many more labels would make the interval of a rate half as wide, if the rate stays as it is.

    Wilson's width, solved for the number of trials; clusters and weights are taken to cost as much as they do now.
    About three times as many as there are, fewer where there are few.
    """
    half = Interval(rate.value - rate.width / 4, rate.value + rate.width / 4)
    trials = effective_trials(rate.value, Interval(rate.low, rate.high), level)
    return math.ceil(labels * effective_trials(rate.value, half, level) / trials) - labels


def labels_to_halve_width(width: float, least: float, labels: int) -> int | None:
    """How many more labels would halve an interval of which a part of width `least` does not come from the labels.

    The squares of both parts add up, and that of the labels falls as 1 / labels: the n with
    least^2 + (width^2 - least^2) labels / n = (width / 2)^2, less the labels. None where no number of labels is enough.
    """
    left = (width / 2) ** 2 - least**2
    return math.ceil(labels * (width**2 - least**2) / left) - labels if left > 0 else None
