"""Puts items through filters: each filter judges what the ones before it let through, and every verdict is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline import plugins
from pipeline.errors import UsageError
from pipeline.ports import ChoiceModel, Filter, RewardModel, Screening
from pipeline.schema import Item, RejectedItem, Verdict

DEFAULT_FILTERS = ("duplicates", "preference", "relevance", "diagnostic")
"""In this order: cheap before dear. `balance` chooses among the survivors at the end."""
BY_REWARD = "reward_model"
"""The preference model that needs a reward model."""


@dataclass(frozen=True)
class Screened:
    """Outcome of a screening. Scores of the filters are written into the items."""

    kept: tuple[Item, ...]
    rejected: tuple[RejectedItem, ...]
    verdicts: tuple[Verdict, ...]


def usual_filters(by_reward: bool) -> list[str]:
    """Specifications of the filters where none are named; where a reward model is named, labels are judged by it."""
    named = {"preference": f"preference:by={BY_REWARD}"} if by_reward else {}
    return [named.get(name, name) for name in DEFAULT_FILTERS]


def needs_reward(filters: Sequence[Filter]) -> bool:
    """Whether one of the filters judges by rewards."""
    return any(BY_REWARD in str(each.options.get("by", "")).split("+") for each in filters)


def load_filters(specifications: Sequence[str]) -> list[Filter]:
    """The filters of these specifications: `name`, or `name:option=value,option=value`.

    Raises UsageError for a name or an option that there is not.
    """
    return [_load(specification) for specification in specifications]


def _load(specification: str) -> Filter:
    name, _, rest = specification.partition(":")
    module = plugins.load("filters", name)
    try:
        options = {key: _value(value) for key, value in (part.split("=", 1) for part in rest.split(",") if part)}
        made: Filter = module.make(**options)
    except (TypeError, ValueError):
        known = ", ".join(f"{key}={value}" for key, value in module.make().options.items())
        raise UsageError(f"{specification!r} is no filter with its options; {name} has {known}") from None
    return made


def _value(text: str) -> float | str:
    """An option's value: a number, or else a name."""
    try:
        return float(text)
    except ValueError:
        return text


def screen(items: Sequence[Item], filters: Sequence[Filter], screening: Screening) -> Screened:
    """Run `items` through `filters` in order.

    A filter does not see what an earlier one turned down, so that dear judging is not spent on it.
    """
    kept = list(items)
    rejected: list[RejectedItem] = []
    verdicts: list[Verdict] = []
    for each in filters:
        judged = _judge(each, kept, screening)
        verdicts += judged
        survivors = []
        for item, verdict in zip(kept, judged, strict=True):
            scored = with_scores(item, verdict, screening)
            if verdict.keep:
                survivors.append(scored)
            else:
                rejected.append(reject(scored, verdict))
        kept = survivors
    return Screened(tuple(kept), tuple(rejected), tuple(verdicts))


def judge_all(items: Sequence[Item], filters: Sequence[Filter], screening: Screening) -> list[list[Verdict]]:
    """Every filter on every item, whatever the others say: a list a filter, in the order of the items."""
    return [_judge(each, items, screening) for each in filters]


def settle(items: Sequence[Item], verdicts: Sequence[Sequence[Verdict]], screening: Screening) -> Screened:
    """What verdicts of `judge_all` come to: an item stays if every filter keeps it, else the first turns it down."""
    kept: list[Item] = []
    rejected: list[RejectedItem] = []
    for position, item in enumerate(items):
        own = [judged[position] for judged in verdicts]
        for verdict in own:
            item = with_scores(item, verdict, screening)
        against = next((verdict for verdict in own if not verdict.keep), None)
        if against is None:
            kept.append(item)
        else:
            rejected.append(reject(item, against))
    return Screened(tuple(kept), tuple(rejected), tuple(verdict for judged in verdicts for verdict in judged))


def _judge(judging: Filter, items: Sequence[Item], screening: Screening) -> list[Verdict]:
    for model in (screening.judge, screening.embedder, screening.reward):
        if model is not None:
            model.task = f"filter {judging.name}"
    return judging.judge(items, screening)


def with_scores(item: Item, verdict: Verdict, screening: Screening) -> Item:
    """The item with a verdict's scores; `label` and `relevance` also become its published figures."""
    update: dict[str, object] = {"scores": {**item.scores, **verdict.scores}}
    if "label" in verdict.scores:
        update["label_confidence"] = verdict.scores["label"]
        update["judge"] = _label_judge(verdict, screening)
    if "relevance" in verdict.scores:
        update["relevance"] = verdict.scores["relevance"]
    return item.model_copy(update=update)


def _label_judge(verdict: Verdict, screening: Screening) -> str | None:
    """Whose opinion the label probability is; several names are joined by "+"."""
    judges: list[ChoiceModel | RewardModel | None] = [screening.reward or screening.judge]
    if f"label_{BY_REWARD}" in verdict.scores:
        judges = [screening.judge, screening.reward]
    return "+".join(model.info.name for model in judges if model is not None) or None


def reject(item: Item, verdict: Verdict) -> RejectedItem:
    """The item with the reason why a filter turned it down."""
    return RejectedItem(**item.model_dump(), reason=f"{verdict.filter}: {verdict.reason}")


def as_written(item: RejectedItem) -> Item:
    """A rejected item without the reason: what it was before it was turned down."""
    return Item(**item.model_dump(exclude={"reason"}))


def accepting(screening: Screening, items: Sequence[Item]) -> Screening:
    """The same screening, with more items accepted before."""
    return replace(screening, accepted=(*screening.accepted, *items))
