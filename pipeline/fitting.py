"""Fits preference models on labels: a Bradley-Terry head, or the calibration of a judge that is there already.

What is quoted of a model are figures on behaviours that were held out, a group of sibling behaviours at a time:
siblings share wording, and a head that has seen one has half seen the other (Perez et al.'s files overlap in topics).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from filters.preferences._saved import Features, Head, features
from pipeline.errors import UsageError
from pipeline.ports import PreferenceModel, Screening
from pipeline.schema import Behaviour, Item
from pipeline.statistics.calibration import (
    METHODS,
    Calibration,
    Method,
    brier,
    calibration_error,
    chance_error,
    cut_for,
    fit,
    probability,
)
from pipeline.statistics.discrimination import accuracy, auroc

if TYPE_CHECKING:
    from numpy.typing import NDArray

LabelSource = Literal["published", "checked", "feedback"]
SURE = 0.7
"""Published labels count from this confidence up."""
EXAMPLES = 120
"""Items of a behaviour at the most, half of each answer: more rows of one behaviour teach little about others."""
DEPTH = 5 / 7
"""Share of a network's layers after which states are read: of 28 layers 20 ranked best (.963, the last .960)."""
RIDGE = {"states": 1e-4, "embeddings": 1.0}
"""Inverse strength of the ridge on standardised features."""
SIBLINGS = 0.45
"""Cosine similarity of two descriptions from which their behaviours are siblings."""
PRECISIONS = (0.8, 0.9, 0.95)
CONTROL = 400
"""Examples that are judged once more with another description, at the most."""
_NONE_HELD_OUT = (
    "all behaviours are siblings, so that none can be held out; give datasets of at least two unlike behaviours"
)


@dataclass(frozen=True)
class Example:
    """An item with what is held to be its right answer."""

    behaviour: Behaviour
    item: Item
    first: float
    """Probability, in 0..1, that `item.options[0]` is right: 0 or 1 unless the label is a model's feedback."""


@dataclass(frozen=True)
class Fitted:
    """A head (None where only a calibration was fitted), its calibration, and figures on held-out behaviours."""

    head: Head | None
    calibration: Calibration
    evaluation: dict[str, float | None]
    thresholds: dict[float, tuple[float, float] | None]
    """By precision: the threshold and the recall."""
    held_out: NDArray[np.float64]
    """Calibrated probability of each example's first answer, from a fit that saw no behaviour of its group."""


def draw(behaviour: Behaviour, items: Sequence[Item], seed: int, size: int = EXAMPLES) -> list[Example]:
    """Items whose published label is sure, as many of each answer, at random: files are sorted by confidence."""
    stream = random.Random(f"train {seed} {behaviour.name}")
    sides: dict[str, list[Item]] = {}
    for item in items:
        if item.label_confidence is None or item.label_confidence > SURE:
            sides.setdefault(item.answer_matching_behavior, []).append(item)
    each = min(size // 2, *(len(side) for side in sides.values())) if len(sides) == 2 else 0
    drawn = [item for answer in sorted(sides) for item in stream.sample(sides[answer], each)] if each else []
    return [Example(behaviour, item, float(item.answer_matching_behavior == item.options[0])) for item in drawn]


def groups_of(behaviours: Sequence[Behaviour], vectors: NDArray[np.float32] | None) -> list[int]:
    """A number for each behaviour; siblings have the same.

    `vectors` are the descriptions' unit vectors, (n, d): behaviours are joined where they are alike (average linkage).
    Without them only behaviours of one description are siblings.
    """
    if vectors is None or len(behaviours) < 2:
        number: dict[str, int] = {}
        return [number.setdefault(behaviour.phrase, len(number)) for behaviour in behaviours]
    from sklearn.cluster import AgglomerativeClustering

    joined = AgglomerativeClustering(
        n_clusters=None, metric="cosine", linkage="average", distance_threshold=1 - SIBLINGS
    ).fit_predict(vectors.astype(np.float64))
    return [int(group) for group in joined]


def fit_head(
    examples: Sequence[Example], groups: Sequence[int], kind: Features, layer: int | None, screening: Screening
) -> Fitted:
    """A head on frozen features of each example, evaluated on groups held out in turn. `groups`: one an example."""
    x = features(kind, layer, [(each.behaviour, each.item) for each in examples], screening)
    chosen, elsewhere = shuffled(examples, groups)
    control = features(kind, layer, elsewhere, screening)
    target = np.array([each.first for each in examples])

    def learn(rows: NDArray[np.intp]) -> Head:
        return _bradley_terry(x[rows], target[rows], RIDGE[kind])

    def predict(train: NDArray[np.intp], test: NDArray[np.intp]) -> Any:
        head = learn(train)
        among = np.isin(chosen, test)
        without[among] = head.log_odds(control[among]) if among.any() else []
        return head.log_odds(x[test])

    without = np.zeros(len(chosen))
    odds = _held_out(groups, len(examples), predict)
    fitted = _fitted(learn(np.arange(len(examples))), odds, target, groups)
    return replace(fitted, evaluation=fitted.evaluation | _control(without, target[chosen]))


def fit_calibration(
    model: PreferenceModel, examples: Sequence[Example], groups: Sequence[int], screening: Screening
) -> Fitted:
    """The calibration of a preference model that is there already, evaluated on groups held out in turn."""
    chosen, elsewhere = shuffled(examples, groups)
    asked = [(each.behaviour, each.item) for each in examples]
    odds = np.asarray(model.log_odds([*asked, *elsewhere], screening))
    target = np.array([each.first for each in examples])
    fitted = _fitted(None, odds[: len(asked)], target, groups)
    return replace(fitted, evaluation=fitted.evaluation | _control(odds[len(asked) :], target[chosen]))


def shuffled(
    examples: Sequence[Example], groups: Sequence[int], seed: int = 0
) -> tuple[NDArray[np.intp], list[tuple[Behaviour, Item]]]:
    """The control: positions of some examples, and these items with the description of an unlike behaviour.

    What is still told right from wrong is told by the statements alone, whatever they are to be about.
    """
    stream = random.Random(f"shuffled {seed}")
    chosen = sorted(stream.sample(range(len(examples)), min(CONTROL, len(examples))))
    pairs = []
    for i in chosen:
        others = [j for j in range(len(examples)) if groups[j] != groups[i]]
        if not others:
            raise UsageError(_NONE_HELD_OUT)
        pairs.append((examples[stream.choice(others)].behaviour, examples[i].item))
    return np.array(chosen, dtype=np.intp), pairs


def _control(odds: NDArray[np.float64], target: NDArray[np.float64]) -> dict[str, float | None]:
    return {"auroc_shuffled_descriptions": auroc([bool(t > 0.5) for t in target], list(odds))}


def _bradley_terry(x: NDArray[np.float32], first: NDArray[np.float64], ridge: float) -> Head:
    """Weights that minimise -[t log s(d) + (1-t) log s(-d)] for the difference d of the two replies' scores.

    That is logistic regression; a soft label t counts as both answers, by its shares (Bai et al. 2022, appendix).
    """
    from sklearn.linear_model import LogisticRegression

    mean, scale = x.mean(0), x.std(0) + 1e-3
    z = (x - mean) / scale
    soft = np.concatenate([z, z]), np.repeat([True, False], len(z)), np.concatenate([first, 1 - first])
    used = soft[2] > 0
    model = LogisticRegression(C=ridge, max_iter=500).fit(soft[0][used], soft[1][used], sample_weight=soft[2][used])
    weight = model.coef_[0] / scale
    return Head(weight.astype(np.float32), float(model.intercept_[0] - weight @ mean))


def _held_out(
    groups: Sequence[int], n: int, predict: Callable[[NDArray[np.intp], NDArray[np.intp]], Any]
) -> NDArray[np.float64]:
    """What `predict(train rows, test rows)` gives for each group's rows, fitted on those of all other groups."""
    of = np.asarray(groups)
    if len(np.unique(of)) < 2:
        raise UsageError(_NONE_HELD_OUT)
    out = np.zeros(n)
    for group in np.unique(of):
        train, test = np.flatnonzero(of != group), np.flatnonzero(of == group)
        out[test] = predict(train, test)
    return out


def _fitted(head: Head | None, odds: NDArray[np.float64], target: NDArray[np.float64], groups: Sequence[int]) -> Fitted:
    """Choose and fit the calibration on held-out log-odds, and say how well it does, again on groups held out."""
    truth = target > 0.5
    if truth.all() or not truth.any():
        raise UsageError("all labels are the same answer; a preference model is fitted on items of both")

    def calibrate(method: Method) -> NDArray[np.float64]:
        def predict(train: NDArray[np.intp], test: NDArray[np.intp]) -> list[float]:
            made = fit(method, odds[train], truth[train])
            return [probability(made(float(value))) for value in odds[test]]

        return _held_out(groups, len(odds), predict)

    tried: dict[Method, NDArray[np.float64]] = {method: calibrate(method) for method in METHODS}
    best = min(tried, key=lambda method: brier(tried[method], truth).score)
    return Fitted(
        head,
        fit(best, odds, truth),
        {**{f"brier_{method}": brier(p, truth).score for method, p in tried.items()}, **figures(tried[best], truth)},
        {precision: _cut(precision, tried[best], truth) for precision in PRECISIONS},
        tried[best],
    )


def figures(p: NDArray[np.float64], truth: NDArray[np.bool_]) -> dict[str, float | None]:
    """Discrimination and calibration of probabilities of the first answer against the truth."""
    parts = brier(p, truth)
    return {
        "items": float(len(p)),
        "auroc": auroc([bool(each) for each in truth], list(p)),
        "accuracy": accuracy([bool(each) for each in truth], list(p)),
        "calibration_error": calibration_error(p, truth),
        "chance_calibration_error": chance_error(p),
        "brier": parts.score,
        "brier_reliability": parts.reliability,
        "brier_resolution": parts.resolution,
        "brier_uncertainty": parts.uncertainty,
    }


def _cut(precision: float, p: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Threshold and recall for labels of which half are wrong: each item stands there with either label."""
    cut = cut_for(precision, np.concatenate([truth, ~truth]), np.concatenate([p, 1 - p]))
    return None if cut is None else (cut.threshold, cut.recall)
