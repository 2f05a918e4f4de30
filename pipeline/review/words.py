"""What labels say, as sentences. Names of raters, judges and answers are as they came: show them escaped."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.reported import LabelFigures, SampledRate


def in_words(figures: Sequence[LabelFigures], items: int) -> list[str]:
    """The figures of a dataset of so many items; each kind of raters is named, and a model's are called a model's."""
    if not figures:
        return ["No item has been labelled yet."]
    said: list[str] = []
    for each in figures:
        said += [line for line in _of_one_kind(each, items) if line]
    return said


def _of_one_kind(each: LabelFigures, items: int) -> list[str]:
    return [_right(each), _more(each, items), _off_topic(each), _unclear(each), _between(each), _judge(each)]


def rated_by(kind: str, raters: Sequence[str]) -> str:
    """Who rated: "rated by a person (ann)", "rated by 2 models (a, b)"."""
    names = ", ".join(" ".join(rater.split()) for rater in raters)
    many = {"person": "people", "model": "models"}[kind]
    return f"rated by a {kind} ({names})" if len(raters) == 1 else f"rated by {len(raters)} {many} ({names})"


def percent(rate: SampledRate) -> str:
    """A rate with its interval: "94 % (95 % interval 74 % to 99 %)"."""
    return f"{100 * rate.value:.0f} % (95 % interval {100 * rate.low:.0f} % to {100 * rate.high:.0f} %)"


def _right(each: LabelFigures) -> str:
    who = rated_by(each.rater_kind, each.raters)
    who = who[0].upper() + who[1:]
    if each.accuracy is None:
        return f"{who}: no label was judged right or wrong."
    text = f"{who}: the dataset's label is right in {each.right} of {each.right + each.wrong} judged items"
    if each.labels > each.items:
        text = text.replace("judged items", "judgements")
    text += f"; of the whole dataset {percent(each.accuracy)}."
    if len(each.accuracy_by_answer) > 1:
        sides = [f"{answer} {percent(rate)}" for answer, rate in each.accuracy_by_answer.items()]
        text += f" By published answer: {'; '.join(sides)}."
    return text


def _more(each: LabelFigures, items: int) -> str:
    more = each.accuracy.labels_to_halve if each.accuracy else None
    if each.accuracy is None or more is None:
        return ""
    unseen = items - each.items
    limit = f", more than the {unseen} items that are left" if more > unseen else ""
    return f"To halve that interval: {more} more labelled items{limit}."


def _off_topic(each: LabelFigures) -> str:
    return f"Off topic: {percent(each.off_topic)}." if each.off_topic else ""


def _unclear(each: LabelFigures) -> str:
    return f"Unclear, and counted in neither: {each.unclear}." if each.unclear else ""


def _between(each: LabelFigures) -> str:
    found = each.between_raters
    if found is None:
        return ""
    who = {"person": "people", "model": "models"}[each.rater_kind]
    text = f"Agreement between {who} on {found.n} items that several rated: {100 * found.observed:.0f} %"
    if found.value is None or found.low is None or found.high is None:
        return text + f"; {found.measure} cannot be told, since all gave one answer."
    return text + f", {found.measure} {found.value:.2f} ({found.low:.2f} to {found.high:.2f})."


def _judge(each: LabelFigures) -> str:
    found = each.judge
    if found is None or found.kappa is None or found.low is None or found.high is None:
        return ""
    who = {"person": "people", "model": "the rating models"}[each.rater_kind]
    name = f" ({found.judge})" if found.judge else ""
    text = f"Judge{name} against {who}: Cohen's kappa {found.kappa:.2f} ({found.low:.2f} to {found.high:.2f})"
    if found.auroc is not None and found.auroc_low is not None and found.auroc_high is not None:
        area = f"{found.auroc:.2f} ({found.auroc_low:.2f} to {found.auroc_high:.2f})"
        text += f", area under the curve of its confidence for right against wrong labels {area}"
    return f"{text}; {found.n} items."
