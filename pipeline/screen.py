"""Puts items through filters: each filter judges what the ones before it let through, and every verdict is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline import plugins
from pipeline.ports import Filter, Screening
from pipeline.schema import Item, RejectedItem, Verdict

DEFAULT_FILTERS = ("duplicates", "preference", "relevance")
"""In this order: cheap before dear. `balance` chooses among the survivors at the end."""


@dataclass(frozen=True)
class Screened:
    """Outcome of a screening. Scores of the filters are written into the items."""

    kept: tuple[Item, ...]
    rejected: tuple[RejectedItem, ...]
    verdicts: tuple[Verdict, ...]


def load_filters(names: Sequence[str]) -> list[Filter]:
    """The filters of these names with their default options. Raises UsageError for an unknown name."""
    return [plugins.load("filters", name).make() for name in names]


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


def judge_all(items: Sequence[Item], filters: Sequence[Filter], screening: Screening) -> list[Verdict]:
    """Every filter on every item, whatever the others say; for judging published data again."""
    return [verdict for each in filters for verdict in _judge(each, items, screening)]


def _judge(judging: Filter, items: Sequence[Item], screening: Screening) -> list[Verdict]:
    for model in (screening.judge, screening.embedder):
        if model is not None:
            model.task = f"filter {judging.name}"
    return judging.judge(items, screening)


def with_scores(item: Item, verdict: Verdict, screening: Screening) -> Item:
    """The item with a verdict's scores; `label` and `relevance` also become its published figures."""
    update: dict[str, object] = {"scores": {**item.scores, **verdict.scores}}
    if "label" in verdict.scores:
        update["label_confidence"] = verdict.scores["label"]
        update["judge"] = screening.judge.info.name if screening.judge else None
    if "relevance" in verdict.scores:
        update["relevance"] = verdict.scores["relevance"]
    return item.model_copy(update=update)


def reject(item: Item, verdict: Verdict) -> RejectedItem:
    """The item with the reason why a filter turned it down."""
    return RejectedItem(**item.model_dump(), reason=f"{verdict.filter}: {verdict.reason}")


def accepting(screening: Screening, items: Sequence[Item]) -> Screening:
    """The same screening, with more items accepted before."""
    return replace(screening, accepted=(*screening.accepted, *items))
