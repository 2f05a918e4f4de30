"""Which of several ways to try next, when each has passed and failed so often: pure."""

from __future__ import annotations

import random
from collections.abc import Sequence


def thompson(tried: Sequence[tuple[int, int]], draw: random.Random) -> int:
    """The way with the highest draw from its posterior, given (passed, failed) of each.

    Thompson sampling (Thompson 1933; Chapelle and Li 2011): a rate with a uniform prior has the posterior
    Beta(1 + passed, 1 + failed), so a way is tried as often as it is likely to be the best one.
    Raises ValueError where there is no way.
    """
    if not tried:
        raise ValueError("there is nothing to choose from")
    rates = [draw.betavariate(1 + passed, 1 + failed) for passed, failed in tried]
    return rates.index(max(rates))
