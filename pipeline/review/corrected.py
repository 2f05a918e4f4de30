"""Scores against the true labels: what spot-check labels make of a model's answers.

With f = 1 where the answer is the published one and y = 1 where it is the true one, an item whose label was found
right has y = f and one whose label was found wrong y = 1 - f; where raters differ, y lies between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from pipeline.reported import Correction
from pipeline.review.accuracy import Rated, rated
from pipeline.review.sample import Stratum, strata
from pipeline.schema import Answer, Item, Label, Point
from pipeline.statistics.correction import Rate, prediction_powered_share, rogan_gladen, rogan_gladen_score
from pipeline.statistics.intervals import Interval, effective_trials
from pipeline.statistics.sampling import Estimate, labels_to_halve_width, weighted_share


def corrections(
    point: Point, answers: Sequence[Answer], labels: Sequence[Label], items: Sequence[Item]
) -> list[Correction]:
    """The corrected scores of one model: the one to quote first, none without labels.

    By people's labels before models', with unclear items left out before met by half, by prediction-powered inference
    before Rogan and Gladen's formula: the latter needs no label of an item that the model answered, but takes wrong
    labels to be no harder for it than right ones.
    """
    scores = {answer.id: answer.score for answer in answers}
    found = []
    for each in rated(labels, items):
        clear = each.error
        neither = dict.fromkeys((i for i in each.labels if i not in clear), 0.5)
        found += _by(each, clear, "left out", point, scores)
        if neither:
            found += _by(each, {**clear, **neither}, "half", point, scores)
    return found


def _by(
    each: Rated, error: Mapping[str, float], unclear: str, point: Point, scores: Mapping[str, float]
) -> list[Correction]:
    answered = strata([each.items[identity] for identity in scores if identity in each.items])
    both = [identity for identity in error if identity in answered]
    score = Estimate(point.score, point.score_low, point.score_high)
    found = []
    if both and (powered := _powered(each, both, error, scores, score, answered)):
        found.append(("ppi", *powered, len(both)))
    if solved := _solved(each, error, scores, score, answered):
        found.append(("rogan-gladen", solved, None, len(error)))
    return [
        Correction(
            method=method,
            unclear=unclear,
            rater_kind=each.kind,
            score=estimate.value,
            low=estimate.low,
            high=estimate.high,
            n=n,
            labels_to_halve=more,
        )
        for method, estimate, more, n in found
    ]


def _powered(
    each: Rated,
    both: Sequence[str],
    error: Mapping[str, float],
    scores: Mapping[str, float],
    score: Estimate,
    answered: Mapping[str, Stratum],
) -> tuple[Estimate, int | None] | None:
    f = [scores[identity] for identity in both]
    y = [value + error[identity] * (1 - 2 * value) for identity, value in zip(both, f, strict=True)]
    ties = fmean(scores[identity] == 0.5 for identity in answered)
    found = prediction_powered_share(y, f, score, ties, *each.design(both, answered))
    if found is None:
        return None
    estimate = Estimate(found.value, found.low, found.high)
    return estimate, labels_to_halve_width(estimate.width, found.least_width, len(both))


def _solved(
    each: Rated,
    error: Mapping[str, float],
    scores: Mapping[str, float],
    score: Estimate,
    answered: Mapping[str, Stratum],
) -> Estimate | None:
    """By the error rates of each side; where there are not two sides, or one has no label, by the overall rate."""
    of = strata(list(each.items.values()))
    sides = sorted({stratum[0] for stratum in answered.values()})
    by_side = [{i: stratum for i, stratum in of.items() if stratum[0] == side} for side in sides[:2]]
    errors = [rate for members in by_side if (rate := _rate(each, error, members))]
    # As many trials as the score's own interval is worth: near-duplicates and draws count for less than one each.
    trials = min(effective_trials(score.value, Interval(score.low, score.high)), len(answered))
    if len(sides) == len(errors) == 2:
        members = [[scores[i] for i, stratum in answered.items() if stratum[0] == side] for side in sides]
        shares = [len(values) / len(answered) for values in members]
        first, second = (Rate(fmean(m), trials * share) for m, share in zip(members, shares, strict=True))
        return rogan_gladen_score((first, second), (errors[0], errors[1]), shares[0])
    overall = _rate(each, error, of)
    if overall is None or not answered:
        return None
    right = Rate(1 - overall.share, overall.n)
    return rogan_gladen(Rate(score.value, trials), right, right)


def _rate(each: Rated, error: Mapping[str, float], of: Mapping[str, Stratum]) -> Rate | None:
    sampled = [identity for identity in error if identity in of]
    if not sampled:
        return None
    found = weighted_share([error[identity] for identity in sampled], *each.design(sampled, of))
    return Rate(found.value, effective_trials(found.value, Interval(found.low, found.high)))
