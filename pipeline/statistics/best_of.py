"""Best of k: a reply that is chosen by preference among k, and how far that moves the distribution. Pure.

Where there are two replies nothing need be sampled: with p the probability of the preferred one, it comes out unless
all k draws are the other one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean


def log_probabilities_of_best(log_odds: float, k: int) -> tuple[float, float]:
    """Natural-log probability that the best of k replies is the preferred one, and that it is the other.

    P(preferred) = 1 - (1 - p)^k, with `log_odds` the natural log of p / (1 - p) of a single reply; exact also where p
    is next to 0 or 1.
    """
    if k < 1:
        raise ValueError(f"the best of {k} replies")
    log_other = -k * (max(log_odds, 0.0) + math.log1p(math.exp(-abs(log_odds))))
    return math.log(-math.expm1(log_other)), log_other


def slope_of_best(p: float, k: int) -> float:
    """Derivative of 1 - (1 - p)^k by p: what an error of p is multiplied with."""
    return k * (1 - p) ** (k - 1)


def kl_bound(k: int) -> float:
    """log k - (k - 1)/k nats: the most that best of k moves any distribution of replies.

    Gao et al. 2023 (Scaling laws for reward model overoptimization, section 2) use it as the divergence itself;
    Beirami et al. 2024 (Theoretical guarantees on the alignment of best-of-n) show that it is an upper bound, which a
    distribution over two replies does not come near.
    """
    if k < 1:
        raise ValueError(f"the best of {k} replies")
    return math.log(k) - (k - 1) / k


def kl_of_two(p: float, q: float) -> float:
    """Divergence KL(p || q) of two distributions over two outcomes, in nats; infinite where q leaves out what p has."""
    return _term(p, q) + _term(1 - p, 1 - q)


def mean_kl(p: Sequence[float], q: Sequence[float]) -> float:
    """Mean over items of KL(p || q) of their two outcomes, in nats."""
    return fmean(map(kl_of_two, p, q))


def _term(p: float, q: float) -> float:
    if p == 0:
        return 0.0
    return p * math.log(p / q) if q > 0 else math.inf
