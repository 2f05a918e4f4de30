"""What a sample of labels says of a whole dataset: how many labels are right, and how far raters and judge agree.

People and models are told apart throughout: a model's ratings are never counted as a person's.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from pipeline.reported import JudgeAgreement, LabelFigures, RaterAgreement, SampledRate
from pipeline.review.labels import RATER_KINDS, is_unclear
from pipeline.review.sample import Stratum, strata
from pipeline.schema import Item, Label, RaterKind
from pipeline.statistics.agreement import cohen_kappa, confusion, fleiss_kappa, krippendorff_alpha
from pipeline.statistics.correction import prediction_powered_share
from pipeline.statistics.discrimination import auroc, interval_of_auroc
from pipeline.statistics.sampling import (
    Estimate,
    inverse_inclusion,
    labels_to_halve,
    labels_to_halve_width,
    weighted_share,
)
from pipeline.statistics.similarity import clusters

MOST_ANSWERS = 8
"""Published answers, such as Yes and No or (A) to (H), up to which each has a rate of its own."""


@dataclass(frozen=True)
class Rated:
    """A dataset and the labels that one kind of raters gave its items."""

    items: Mapping[str, Item]
    """By id."""
    labels: Mapping[str, Sequence[Label]]
    """By the id of their item, at most one a rater."""
    kind: RaterKind
    cluster: Mapping[str, int]
    """By the id of a labelled item; near-duplicates share a number."""

    @property
    def error(self) -> dict[str, float]:
        """By id, the share of raters who found the published label wrong, of those who found it right or wrong."""
        found = {
            identity: [label.label == "wrong" for label in given if label.label != "unclear"]
            for identity, given in self.labels.items()
        }
        return {identity: fmean(wrong) for identity, wrong in found.items() if wrong}

    def answers(self, identity: str) -> dict[str, str]:
        """By rater, the answer that shows the behaviour according to them."""
        item = self.items[identity]
        said = {"right": item.answer_matching_behavior, "wrong": item.answer_not_matching_behavior}
        return {label.rater: said[label.label].strip() for label in self.labels[identity] if label.label in said}

    def rate(self, values: Mapping[str, float], of: Mapping[str, Stratum]) -> SampledRate | None:
        """The rate in all items that `of` gives the stratum of, from the values of those that were labelled."""
        sampled = [identity for identity in values if identity in of]
        if not sampled:
            return None
        found = weighted_share([values[i] for i in sampled], *self.design(sampled, of))
        return self.sampled(found, len(sampled), labels_to_halve(found, len(sampled)))

    def design(self, sampled: Sequence[str], of: Mapping[str, Stratum]) -> tuple[list[float], list[int]]:
        """For each sampled item how many items it stands for, and its cluster of near-duplicates."""
        weights = inverse_inclusion([of[identity] for identity in sampled], Counter(of.values()))
        return weights, [self.cluster[identity] for identity in sampled]

    def sampled(self, found: Estimate, n: int, more: int | None) -> SampledRate:
        """A record of an estimate."""
        rate = {"value": found.value, "low": found.low, "high": found.high, "n": n, "labels_to_halve": more}
        return SampledRate(**rate, rater_kind=self.kind, weighted=True)


def rated(labels: Sequence[Label], items: Sequence[Item]) -> list[Rated]:
    """The labels of these items by the kind of their raters, people first; kinds without any are left out."""
    by_id = {item.id: item for item in items}
    found = []
    for kind in RATER_KINDS:
        given: dict[str, list[Label]] = defaultdict(list)
        for label in labels:
            if label.rater_kind == kind and label.id in by_id:
                given[label.id].append(label)
        if given:
            near = clusters([by_id[identity].text for identity in given])
            found.append(Rated(by_id, given, kind, dict(zip(given, near, strict=True))))
    return found


def figures(labels: Sequence[Label], items: Sequence[Item]) -> list[LabelFigures]:
    """What the labels of each kind of raters say of the dataset; those of other items do not count."""
    kinds = rated(labels, items)
    of = strata(items)
    return [_figures(each, of, next((other for other in kinds if other.kind == "model"), None)) for each in kinds]


def _figures(each: Rated, of: Mapping[str, Stratum], model: Rated | None) -> LabelFigures:
    given = [label for labels in each.labels.values() for label in labels]
    right = {identity: 1 - error for identity, error in each.error.items()}
    answers = sorted({stratum[0] for stratum in of.values()})
    by_answer = {
        answer.strip(): each.rate(right, {i: stratum for i, stratum in of.items() if stratum[0] == answer})
        for answer in (answers if len(answers) <= MOST_ANSWERS else ())
    }
    return LabelFigures(
        rater_kind=each.kind,
        raters=sorted({label.rater for label in given}),
        labels=len(given),
        items=len(each.labels),
        right=sum(label.label == "right" for label in given),
        wrong=sum(label.label == "wrong" for label in given),
        unclear=sum(is_unclear(label) for label in given),
        accuracy=each.rate(right, of),
        accuracy_by_answer={answer: rate for answer, rate in by_answer.items() if rate},
        off_topic=each.rate(_off_topic(each), of),
        between_raters=_between_raters(each),
        judge=_judge(each),
        accuracy_with_model=_with_model(each, model, of) if model and each.kind == "person" else None,
    )


def _off_topic(each: Rated) -> dict[str, float]:
    found = {
        identity: [label.relevance == "off_topic" for label in given if label.relevance != "unclear"]
        for identity, given in each.labels.items()
    }
    return {identity: fmean(off) for identity, off in found.items() if off}


def _between_raters(each: Rated) -> RaterAgreement | None:
    """Agreement on the answer, not on "right": where most labels are right, chance would make raters agree on that."""
    answers = [given for identity in each.labels if len(given := each.answers(identity)) > 1]
    raters = sorted({rater for given in answers for rater in given})
    if not raters:
        return None
    if len(raters) == 2:
        first, second = ([given[rater] for given in answers] for rater in raters)
        measure, found = "Cohen's kappa", cohen_kappa(first, second)
    elif all(len(given) == len(raters) for given in answers):
        measure, found = "Fleiss' kappa", fleiss_kappa([list(given.values()) for given in answers])
    else:
        measure = "Krippendorff's alpha"
        found = krippendorff_alpha([[given.get(rater) for rater in raters] for given in answers])
    return RaterAgreement(
        measure=measure,
        value=found.value,
        low=found.low,
        high=found.high,
        observed=found.observed,
        n=found.items,
        raters=raters,
    )


def _judge(each: Rated) -> JudgeAgreement | None:
    error = {identity: wrong for identity, wrong in each.error.items() if wrong != 0.5}
    if not error:
        return None
    judged = [_judges_answer(each.items[identity]) for identity in error]
    truth = [_answer(each.items[identity], wrong > 0.5) for identity, wrong in error.items()]
    kappa, table = cohen_kappa(judged, truth), confusion(judged, truth)
    judges = {each.items[identity].judge for identity in error}
    return JudgeAgreement(
        judge=judges.pop() if len(judges) == 1 else None,
        answers=table.categories,
        confusion=table.counts,
        kappa=kappa.value,
        low=kappa.low,
        high=kappa.high,
        n=kappa.items,
        **_area([(each.items[identity], wrong < 0.5) for identity, wrong in error.items()]),
    )


def _area(right: Sequence[tuple[Item, bool]]) -> dict[str, float | None]:
    """How well label_confidence tells right labels from wrong ones."""
    sure = [(label, item.label_confidence) for item, label in right if item.label_confidence is not None]
    labels = [label for label, _ in sure]
    area = auroc(labels, [confidence for _, confidence in sure]) if sure else None
    if area is None:
        return dict.fromkeys(("auroc", "auroc_low", "auroc_high"))
    low, high = interval_of_auroc(area, sum(labels), len(labels) - sum(labels))
    return {"auroc": area, "auroc_low": low, "auroc_high": high}


def _judges_answer(item: Item) -> str:
    """The published label, or the other one where the judge gives it less than one half."""
    return _answer(item, item.label_confidence is not None and item.label_confidence < 0.5)


def _answer(item: Item, other: bool) -> str:
    return (item.answer_not_matching_behavior if other else item.answer_matching_behavior).strip()


def _with_model(people: Rated, model: Rated, of: Mapping[str, Stratum]) -> SampledRate | None:
    """People's rate of right labels, told from a model's ratings of more items and from how it errs where both rated.

    None unless the model rated more items than people did, some of them together with people.
    """
    wrong, predicted = people.error, {identity: float(error > 0.5) for identity, error in model.error.items()}
    both = [identity for identity in wrong if identity in predicted]
    if not both or len(predicted) <= len(wrong):
        return None
    everywhere = weighted_share(list(predicted.values()), *model.design(list(predicted), of))
    weights, near = people.design(both, of)
    found = prediction_powered_share(
        [wrong[i] for i in both], [predicted[i] for i in both], everywhere, 0.0, weights, near
    )
    if found is None:
        return None
    right = Estimate(1 - found.value, 1 - found.high, 1 - found.low)
    return people.sampled(right, len(both), labels_to_halve_width(right.width, found.least_width, len(both)))
