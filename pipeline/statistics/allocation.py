"""Which of several ways to try next, when each has passed and failed so often: pure."""

from __future__ import annotations

import random
from collections.abc import Sequence

PRIOR_TRIES = 16
"""What is believed of a way that was never tried, in tries. With a uniform prior, ways that are unknown would look
better than any that passes one time in five."""


def thompson(tried: Sequence[tuple[int, int]], draw: random.Random) -> int:
    """The way with the highest draw from its posterior, given (passed, failed) of each.

    Thompson sampling (Thompson 1933; Chapelle and Li 2011): a way is tried as often as it is likely to be the best.
    The posterior is a Beta distribution whose prior has the pooled rate of all ways, and the weight of `PRIOR_TRIES`.
    Raises ValueError where there is no way.
    """
    if not tried:
        raise ValueError("there is nothing to choose from")
    rate = (sum(passed for passed, _ in tried) + 1) / (sum(map(sum, tried)) + 2)
    prior = PRIOR_TRIES * rate, PRIOR_TRIES * (1 - rate)
    rates = [draw.betavariate(prior[0] + passed, prior[1] + failed) for passed, failed in tried]
    return rates.index(max(rates))
