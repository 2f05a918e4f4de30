"""How far models agree item by item: pure functions of log-odds.

The dataset is the unit: figures are made within each, and averaged over datasets with an interval from their scatter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.schema import Record
from pipeline.statistics.intervals import interval_of_mean

LEAST_ITEMS = 10
"""Items that all models answered, below which a dataset says nothing of their agreement."""

_MOST = 1 - 1e-9
"""Correlations are kept off 1, whose Fisher z is infinite."""

Answered = Mapping[str, tuple[float, str]]
"""Item id -> natural log-odds of the matching answer, and that answer."""


@dataclass(frozen=True, eq=False)
class Agreement:
    """Of one dataset, for each pair of models; arrays of shape (models, models)."""

    models: tuple[str, ...]
    items: int
    signs: np.ndarray
    """Share of items on which both favour the same answer; a model that favours neither counts half."""
    correlation: np.ndarray
    """Pearson's, of the log-odds of the matching answer; nan where a model gives all items the same."""
    within_labels: np.ndarray
    """The same among items with one matching answer, where a habit of saying yes no longer counts."""


class Pair(Record):
    """How two models agree, over all datasets; 95 % intervals, None with one dataset."""

    one: str
    other: str
    datasets: int
    signs: float | None
    correlation: float | None
    low: float | None
    high: float | None
    """Of `correlation`: t over the datasets' Fisher z."""
    within_labels: float | None
    scores: float | None
    """Pearson's correlation of the datasets' scores; None with fewer than three datasets."""


def agreement(answers: Mapping[str, Answered]) -> Agreement | None:
    """Of models' answers to one dataset, over the items that all answered; None with too few, or one model."""
    models = tuple(answers)
    shared = sorted(set.intersection(*(set(each) for each in answers.values()))) if len(models) > 1 else []
    if len(shared) < LEAST_ITEMS:
        return None
    odds = np.array([[answers[model][id][0] for id in shared] for model in models])
    labels = np.array([answers[models[0]][id][1].strip() for id in shared])
    signs = np.sign(odds)
    inner = odds.copy()
    for label in set(labels):
        inner[:, labels == label] -= odds[:, labels == label].mean(axis=1, keepdims=True)
    return Agreement(
        models, len(shared), (1 + signs @ signs.T / len(shared)) / 2, _correlations(odds), _correlations(inner)
    )


def pairs(found: Sequence[Agreement], scores: Mapping[str, Sequence[float | None]]) -> list[Pair]:
    """Every pair of models once, in the order of `scores` (model -> its score on each dataset, None where absent)."""
    order = list(scores)
    at = [{model: i for i, model in enumerate(each.models)} for each in found]
    made = []
    for a, one in enumerate(order):
        for other in order[a + 1 :]:
            both = [(each, i[one], i[other]) for each, i in zip(found, at, strict=True) if one in i and other in i]
            r = [float(each.correlation[x, y]) for each, x, y in both]
            mean, low, high = fisher_mean(r)
            made.append(
                Pair(
                    one=one,
                    other=other,
                    datasets=len(both),
                    signs=float(np.mean([each.signs[x, y] for each, x, y in both])) if both else None,
                    correlation=mean,
                    low=low,
                    high=high,
                    within_labels=fisher_mean([float(each.within_labels[x, y]) for each, x, y in both])[0],
                    scores=_of_scores(scores[one], scores[other]),
                )
            )
    return made


def fisher_mean(correlations: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """The mean of correlations on Fisher's z scale with its t interval; those that are not numbers are passed over."""
    z = [math.atanh(max(-_MOST, min(_MOST, r))) for r in correlations if math.isfinite(r)]
    if not z:
        return None, None, None
    mean = math.tanh(sum(z) / len(z))
    if len(z) < 2:
        return mean, None, None
    low, high = interval_of_mean(z)
    return mean, math.tanh(low), math.tanh(high)


def _of_scores(one: Sequence[float | None], other: Sequence[float | None]) -> float | None:
    known = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    if len(known) < 3:
        return None
    r = float(_correlations(np.array(known).T)[0, 1])
    return r if math.isfinite(r) else None


def _correlations(rows: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each pair of rows; nan for rows that do not vary."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    norms = np.sqrt((centred**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = np.where(norms[:, None] > 1e-9, centred / norms[:, None], np.nan)
    product: np.ndarray = np.clip(unit @ unit.T, -1, 1)
    return product
