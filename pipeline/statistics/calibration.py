"""Scores that mean what they say: maps from log-odds to probabilities, and how far probabilities are from the truth.

A calibration is fitted on items whose label is known to be right or wrong, as many of each unless `prior` says
otherwise, and applied to log-odds; it never changes their order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

Method = Literal["none", "temperature", "platt", "isotonic"]
METHODS: tuple[Method, ...] = ("none", "temperature", "platt", "isotonic")

BINS = 15
"""Bins of equal numbers of items, as in Guo et al. 2017 (who take equal widths)."""
SURE = 6.0
"""Calibrated log-odds at the most: a few hundred labels cannot show that a judge errs less than once in 400."""

Values = Sequence[float] | np.ndarray[Any, Any]


@dataclass(frozen=True)
class Calibration:
    """A map from a judge's log-odds to calibrated ones; `method` names it.

    `none`: as they are. `temperature`: slope * x (Guo et al. 2017). `platt`: slope * (x - zero) (Platt 1999).
    `isotonic`: piecewise linear through `knots` (x, calibrated log-odds), flat beyond them (Zadrozny and Elkan 2002).
    """

    method: Method = "none"
    slope: float = 1.0
    zero: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()

    def __call__(self, log_odds: float) -> float:
        """The calibrated log-odds, within -6..6 unless the method is `none`."""
        if self.method == "none":
            return log_odds
        if self.method == "isotonic":
            knots = np.asarray(self.knots)
            value = float(np.interp(log_odds, knots[:, 0], knots[:, 1]))
        else:
            value = self.slope * (log_odds - self.zero)
        return max(-SURE, min(SURE, value))


def probability(log_odds: float) -> float:
    """The sigmoid, in 0..1."""
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, log_odds))))


def shifted(log_odds: float, prior: float, fitted_at: float = 0.5) -> float:
    """Log-odds for items of which a share `prior` (inside 0..1) is true, from log-odds fitted where `fitted_at` is.

    Bayes' rule, where the two kinds of items look the same as before and only their shares differ.
    """
    return log_odds + _logit(prior) - _logit(fitted_at)


def estimated_prior(log_odds: Values, fitted_at: float = 0.5, steps: int = 200) -> float:
    """The share of true items in a pool without labels, from calibrated log-odds (Saerens, Latinne, Decaestecker 2002).

    Expectation maximisation: the mean posterior under the prior is the next prior. Within .001 to .999.
    """
    values, prior = np.asarray(log_odds, dtype=float), fitted_at
    for _ in range(steps):
        shift = _logit(prior) - _logit(fitted_at)
        following = min(0.999, max(0.001, float(np.mean(1 / (1 + np.exp(-(values + shift)))))))
        if abs(following - prior) < 1e-6:
            break
        prior = following
    return prior


def fit(method: Method, log_odds: Values, labels: Sequence[bool] | np.ndarray[Any, Any]) -> Calibration:
    """The calibration of that method on these items. Raises ValueError unless both labels occur.

    Platt scaling and temperature by logistic regression with a ridge of C = 1: a handful of labels do not make a
    judge certain. Where higher log-odds go with wrong labels nothing is turned over; the slope stays at .01.
    """
    x, y = np.asarray(log_odds, dtype=float), np.asarray(labels, dtype=bool)
    if method == "none":
        return Calibration()
    if y.all() or not y.any():
        raise ValueError(f"{len(y)} labels, all of them {bool(y.any())}: a calibration needs both")
    if method == "isotonic":
        return _isotonic(x, y)
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=1.0, fit_intercept=method == "platt").fit(x[:, None], y)
    slope = max(0.01, float(fitted.coef_[0][0]))
    zero = -float(fitted.intercept_[0]) / slope if method == "platt" else 0.0
    return Calibration(method, slope, zero)


def _isotonic(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(x, y)
    # Half a label at each end: a run of equal labels is no proof of certainty.
    low = 1 / (2 * len(y))
    odds = [_logit(min(1 - low, max(low, float(p)))) for p in model.y_thresholds_]
    return Calibration("isotonic", knots=tuple(zip(map(float, model.X_thresholds_), odds, strict=True)))


class Bin(NamedTuple):
    """A bar of a reliability plot."""

    n: int
    predicted: float
    """Mean probability, in 0..1."""
    observed: float
    """Share that was true, in 0..1."""


def reliability(probabilities: Values, labels: Sequence[bool] | np.ndarray[Any, Any], bins: int = BINS) -> list[Bin]:
    """Predicted against observed, in bins of equal numbers, from the lowest probability up; fewer with few items."""
    p, y = np.asarray(probabilities, dtype=float), np.asarray(labels, dtype=float)
    order = np.argsort(p, kind="stable")
    parts = np.array_split(order, max(1, min(bins, len(p))))
    return [Bin(len(part), float(p[part].mean()), float(y[part].mean())) for part in parts if len(part)]


def calibration_error(
    probabilities: Values, labels: Sequence[bool] | np.ndarray[Any, Any], bins: int = BINS
) -> float | None:
    """Expected calibration error: mean |observed - predicted| over items by bin, in 0..1 (Naeini et al. 2015).

    It is above 0 by chance alone; `chance_error` says how much. None without items.
    """
    rows = reliability(probabilities, labels, bins)
    total = sum(row.n for row in rows)
    return sum(row.n * abs(row.observed - row.predicted) for row in rows) / total if total else None


def chance_error(probabilities: Values, bins: int = BINS, draws: int = 200, seed: int = 0) -> float | None:
    """Mean calibration error that a perfectly calibrated judge with these probabilities would show at this n."""
    p = np.asarray(probabilities, dtype=float)
    if not len(p):
        return None
    random = np.random.default_rng(seed)
    order = np.argsort(p, kind="stable")
    parts = np.array_split(order, min(bins, len(p)))
    truth = random.random((draws, len(p))) < p
    gaps = [len(part) * np.abs(truth[:, part].mean(1) - p[part].mean()) for part in parts if len(part)]
    return float(np.sum(gaps, axis=0).mean() / len(p))


class Brier(NamedTuple):
    """The Brier score and its parts (Murphy 1973): score = reliability - resolution + uncertainty, up to the spread of
    probabilities inside a bin."""

    score: float
    """Mean squared difference of probability and truth, in 0..1; lower is better."""
    reliability: float
    """Squared distance of predicted and observed: 0 is calibrated."""
    resolution: float
    """How far the bins' observed shares lie from the overall one: more is better."""
    uncertainty: float
    """Variance of the labels."""


def brier(probabilities: Values, labels: Sequence[bool] | np.ndarray[Any, Any], bins: int = BINS) -> Brier:
    """The Brier score and its decomposition. Raises ValueError without items."""
    p, y = np.asarray(probabilities, dtype=float), np.asarray(labels, dtype=float)
    if not len(p):
        raise ValueError("the Brier score of no items")
    rate = float(y.mean())
    rows = reliability(p, y, bins)
    return Brier(
        float(np.mean((p - y) ** 2)),
        sum(row.n * (row.predicted - row.observed) ** 2 for row in rows) / len(p),
        sum(row.n * (row.observed - rate) ** 2 for row in rows) / len(p),
        rate * (1 - rate),
    )


class Cut(NamedTuple):
    """A threshold and what lies above it."""

    threshold: float
    precision: float
    recall: float
    n: int
    """Items at or above the threshold."""


def cut_for(precision: float, labels: Sequence[bool] | np.ndarray[Any, Any], scores: Values) -> Cut | None:
    """The lowest threshold from which at least a share `precision` of the items is true; None where none is.

    Chosen on the items given: give it held-out scores, and its precision on new items will still be a little lower.
    """
    y, s = np.asarray(labels, dtype=bool), np.asarray(scores, dtype=float)
    order = np.argsort(-s, kind="stable")
    true = np.cumsum(y[order])
    n = np.arange(1, len(s) + 1)
    # A threshold takes all items of a score or none.
    ends = np.append(np.diff(s[order]) != 0, True) if len(s) else np.zeros(0, dtype=bool)
    good = np.flatnonzero(ends & (true >= precision * n - 1e-12))
    if not len(good):
        return None
    last = int(good[-1])
    return Cut(float(s[order][last]), float(true[last] / n[last]), float(true[last] / max(1, y.sum())), int(n[last]))


def _logit(p: float) -> float:
    return math.log(p / (1 - p))
