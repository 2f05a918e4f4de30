"""Rates from many machine labels and a few trusted ones: pure functions of numbers.

Two ways. Prediction-powered inference (Angelopoulos et al. 2023) adds to the rate on all items what the labelled ones
show it to be off by; it assumes nothing but that these are a random sample. Rogan and Gladen (1978) solve for the
rate that known error rates would turn into the observed one; it assumes that errors strike blindly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.statistics.intervals import LEVEL, t_quantile, wilson
from pipeline.statistics.sampling import Estimate, combined, weighted_share


class PoweredShare(NamedTuple):
    """A share that predictions on all items helped to estimate, and its interval."""

    value: float
    low: float
    high: float
    least_width: float
    """Width that is left however many items are labelled: the number of items leaves it open."""


class Rate(NamedTuple):
    """A share and the number of trials behind it, which may be an effective, fractional one."""

    share: float
    n: float


def prediction_powered_mean(
    labelled: Sequence[float],
    predicted: Sequence[float],
    rest: Sequence[float],
    weights: Sequence[float] | None = None,
    clusters: Sequence[int] | None = None,
    tuning: float | None = None,
    level: float = LEVEL,
) -> Estimate:
    """The mean of what was labelled on few items and predicted on all (PPI++: Angelopoulos, Duchi and Zrnic 2023).

    `labelled` and `predicted` are of the labelled items, `rest` the predictions on the others. The estimate is
    mean(labelled) + L (mean(rest) - mean(predicted)); L = `tuning` is 1 in PPI as first published, 0 for the labels
    alone, and by default the value of least variance within 0..1 (equation 6 there), so that poor predictions cost
    nothing. `weights` are of the labelled items; `clusters` of the labelled items and then of the rest: items of one
    cluster hang together. The interval is Student's t with labelled clusters - 1 degrees.

    It needs some labels that differ from the predictions: with rates near 0 or 1 and fewer than about 100 labels it is
    too narrow (with 20 labels and a mean of .95 it covers in .55-.90 of simulations, docs/labels.md), and
    `prediction_powered_share` is the one to use.
    """
    y, f, others = (np.asarray(values, dtype=float) for values in (labelled, predicted, rest))
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=float)
    w = w / w.sum()
    share = _power_tuning(y, f, others, w) if tuning is None else tuning
    mean = float(others.mean()) if len(others) else 0.0
    residual = y - share * f
    value = float(w @ residual) + share * mean
    of = np.unique(np.arange(len(y) + len(others)) if clusters is None else clusters, return_inverse=True)[1]
    count = len(np.unique(of[: len(y)]))
    if count < 2:
        return Estimate(value, -math.inf, math.inf)
    influence = np.concatenate(
        [w * (residual - w @ residual) * math.sqrt(count / (count - 1)), share * (others - mean) / max(len(others), 1)]
    )
    half = t_quantile(count - 1, level) * math.sqrt(float((np.bincount(of, weights=influence) ** 2).sum()))
    return Estimate(value, value - half, value + half)


def _power_tuning(y: np.ndarray, f: np.ndarray, others: np.ndarray, w: np.ndarray) -> float:
    every = np.concatenate([f, others])
    variance = float(every.var(ddof=1)) if len(every) > 1 else 0.0
    if variance <= 0 or not len(others):
        return 0.0
    covariance = float(w @ ((y - w @ y) * (f - w @ f)))
    return min(max(covariance / (1 + len(y) / len(others)) / variance, 0.0), 1.0)


def prediction_powered_share(
    labelled: Sequence[float],
    predicted: Sequence[float],
    everywhere: Estimate,
    ties: float = 0.0,
    weights: Sequence[float] | None = None,
    clusters: Sequence[int] | None = None,
    level: float = LEVEL,
) -> PoweredShare | None:
    """PPI++ where predictions are 0 or 1, with an interval that few labels and rates near 0 or 1 do not break.

    With two predictions the power-tuned estimate, its tuning left free, is the post-stratified one: the mean label of
    the items with f = 1, and of those with f = 0, each in the proportion in which f occurs on all items:
    E[y] = P(f = 1) E[y | f = 1] + P(f = 0) E[y | f = 0]. Each of the three is a rate of its own with an interval of
    Wilson's kind, and `combined` puts them together.

    `labelled` lie in 0..1 and `predicted` are 0, 1 or .5 for a tie, whose label is .5 by definition; `ties` is the
    share of ties and `everywhere` the mean prediction on all items, in which a tie counts half.
    A prediction that no labelled item has is taken to be wrong as often as the other one, which then may be off by
    anything. None where no labelled item has either. In the simulations of docs/labels.md it covers in .94-.98 with 10
    or 20 % wrong labels and 50 to 500 labelled, too often where there are next to no errors to see, and is at the most
    2 % wider than the labels alone.
    """
    ones, zeros = (_mean_where(value, labelled, predicted, weights, clusters, level) for value in (1.0, 0.0))
    known = ones or zeros
    if known is None:
        return None
    of_one, of_zero = (mean or Estimate(1 - known.value, 0.0, 1.0) for mean in (ones, zeros))

    def whole(share: float, one: float, zero: float) -> float:
        return (share - ties / 2) * one + (1 - share - ties / 2) * zero + ties / 2

    found = _within_0_and_1(combined(whole, (everywhere, of_one, of_zero)))
    return PoweredShare(found.value, found.low, found.high, abs(of_one.value - of_zero.value) * everywhere.width)


def _mean_where(
    value: float,
    labelled: Sequence[float],
    predicted: Sequence[float],
    weights: Sequence[float] | None,
    clusters: Sequence[int] | None,
    level: float,
) -> Estimate | None:
    at = [i for i, prediction in enumerate(predicted) if prediction == value]
    if not at:
        return None
    return weighted_share(
        [labelled[i] for i in at],
        None if weights is None else [weights[i] for i in at],
        None if clusters is None else [clusters[i] for i in at],
        level,
    )


def rogan_gladen(positive: Rate, sensitivity: Rate, specificity: Rate, level: float = LEVEL) -> Estimate | None:
    """The true rate behind a rate of positive tests: (positive + specificity - 1) / (sensitivity + specificity - 1).

    Rogan and Gladen 1978; the interval is that of Lang and Reiczigel 2014 (equations 6, 7, 16 and 17; in their
    equation 4 read (1 - P)^2), for a sensitivity and a specificity that come from samples of their own. Cut to 0..1.
    None where the test is no better than chance.
    """
    spread = sensitivity.share + specificity.share - 1
    z2 = t_quantile(10**9, level) ** 2
    p, se, sp = _padded(positive, z2), _padded(sensitivity, 2.0), _padded(specificity, 2.0)
    padded_spread = se.share + sp.share - 1
    if spread <= 0 or padded_spread <= 0:
        return None
    centre = (p.share + sp.share - 1) / padded_spread
    of_se, of_sp = (rate.share * (1 - rate.share) / rate.n for rate in (se, sp))
    shift = 2 * z2 * (centre * of_se - (1 - centre) * of_sp)
    variance = p.share * (1 - p.share) / p.n + centre**2 * of_se + (1 - centre) ** 2 * of_sp
    half = math.sqrt(z2 * variance) / padded_spread
    value = (positive.share + specificity.share - 1) / spread
    return _within_0_and_1(Estimate(value, centre + shift - half, centre + shift + half))


def _padded(rate: Rate, added: float) -> Rate:
    """A rate with as many more successes as failures (Agresti and Coull 1998)."""
    return Rate((rate.n * rate.share + added / 2) / (rate.n + added), rate.n + added)


def rogan_gladen_score(
    scores: tuple[Rate, Rate], errors: tuple[Rate, Rate], first_share: float, level: float = LEVEL
) -> Estimate | None:
    """The share of answers that meet the true label, from the share that meets the published one on either side.

    Items are published with label Y (`first_share` of them) or N. `scores` are the shares s_Y, s_N of matching
    answers on each side, `errors` the shares e_Y, e_N of wrong labels. If the answer depends on the true label alone,
    not on whether the published one is wrong, then with q_Y, q_N the shares of true answers by true label
        s_Y = (1 - e_Y) q_Y + e_Y (1 - q_N)        s_N = (1 - e_N) q_N + e_N (1 - q_Y),
    two equations for q_Y and q_N, and the score is T q_Y + (1 - T) q_N with T the share of true labels Y,
    T = first_share (1 - e_Y) + (1 - first_share) e_N. With equal sides it is Rogan and Gladen's formula with
    sensitivity = specificity = 1 - e. A subject that always answers truly has s = 1 - e and gets 1.

    Each rate brings Wilson's interval, put together by `combined`. None where labels may be no better than chance.
    Where wrong labels sit on items that are hard for the subject too, the assumption fails and so does the interval:
    it covered in 0-.75 of simulations in which the subject was .3 worse there.
    """

    def whole(yes: float, no: float, error_yes: float, error_no: float) -> float:
        spread = 1 - error_yes - error_no
        if spread <= 0:
            return math.nan
        true_yes = ((1 - error_no) * yes - error_yes * (1 - no)) / spread
        true_no = ((1 - error_yes) * no - error_no * (1 - yes)) / spread
        share = first_share * (1 - error_yes) + (1 - first_share) * error_no
        return share * true_yes + (1 - share) * true_no

    parts = [Estimate(rate.share, *wilson(rate.share * rate.n, rate.n, level)) for rate in (*scores, *errors)]
    found = combined(whole, parts)
    return _within_0_and_1(found) if math.isfinite(found.low + found.high) else None


def _within_0_and_1(estimate: Estimate) -> Estimate:
    return Estimate(*(min(max(end, 0.0), 1.0) for end in estimate))
