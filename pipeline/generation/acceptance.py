"""The acceptance report: what became of the candidates of each label, template and temperature, and what it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.calls import StoredModel
from pipeline.generation.candidates import Way
from pipeline.schema import Calls, Item, RejectedItem

Ended = Literal["enough", "candidates", "calls", "money"]
"""Why no more was written: enough passed, or what was reached first."""
CHOICES = ("balance", "matching")
"""Reasons for which an item that passed every filter is left aside in the end."""


@dataclass
class Tally:
    """What became of some candidates."""

    written: int = 0
    unparsed: int = 0
    refused: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """Turned down, by filter."""
    kept: int = 0

    @property
    def passed(self) -> int:
        """Passed every filter, whether kept in the end or not."""
        return self.kept + sum(self.dropped[choice] for choice in CHOICES)

    def add(self, other: Tally) -> None:
        """Count another tally in."""
        self.written += other.written
        self.unparsed += other.unparsed
        self.refused += other.refused
        self.kept += other.kept
        self.dropped.update(other.dropped)

    def as_row(self) -> dict[str, Any]:
        """For the manifest; `yield` is the share of the written that passed, null where nothing was written."""
        return {
            "written": self.written,
            "unparsed": self.unparsed,
            "refused": self.refused,
            "dropped": dict(sorted(self.dropped.items())),
            "passed": self.passed,
            "kept": self.kept,
            "yield": round(self.passed / self.written, 4) if self.written else None,
        }


@dataclass
class Acceptance:
    """Counts candidates by the way in which they were asked for."""

    tallies: dict[Way, Tally] = field(default_factory=dict)
    _way_of: dict[str, Way] = field(default_factory=dict)

    def of(self, way: Way) -> Tally:
        """The tally of a way."""
        return self.tallies.setdefault(way, Tally())

    def came_from(self, call: str, way: Way) -> None:
        """The item that this call wrote was asked for in this way."""
        self._way_of[call] = way

    def way_of(self, item: Item) -> Way:
        """How the item was asked for."""
        return self._way_of[str(item.call)]

    def reject(self, items: Iterable[RejectedItem]) -> None:
        """Filters turned these down."""
        for item in items:
            self.of(self.way_of(item)).dropped[item.reason.partition(":")[0]] += 1

    def keep(self, items: Iterable[Item]) -> None:
        """These are what is kept in the end."""
        for item in items:
            self.of(self.way_of(item)).kept += 1

    @property
    def written(self) -> dict[Way, int]:
        """Candidates that were written in each way."""
        return {way: tally.written for way, tally in self.tallies.items()}

    def report(self, ended: Ended, took: Calls, seconds: float) -> dict[str, Any]:
        """The report as it stands in the manifest's counts, as plain JSON."""
        labels: dict[str, Tally] = {}
        for way, tally in self.tallies.items():
            labels.setdefault(way.label, Tally()).add(tally)
        ways = sorted(self.tallies, key=lambda way: (way.label, way.template, way.temperature))
        return {
            "ended_by": ended,
            "by_label": [{"label": label, **labels[label].as_row()} for label in sorted(labels)],
            "by_way": [{**vars(way), **self.tallies[way].as_row()} for way in ways],
            "cost": _cost(took, seconds, sum(tally.kept for tally in labels.values())),
        }


def together(reports: Mapping[str, Mapping[str, Any]], ended: Ended) -> dict[str, Any]:
    """The reports of several writers as one: labels summed, a row of `by_way` with the `generator` that it is of."""
    labels: dict[str, Tally] = {}
    for report in reports.values():
        for row in report["by_label"]:
            fields = {name: row[name] for name in ("written", "unparsed", "refused", "kept")}
            labels.setdefault(row["label"], Tally()).add(Tally(**fields, dropped=Counter(row["dropped"])))
    costs = [report["cost"] for report in reports.values()]
    total = {
        name: None if None in (values := [cost[name] for cost in costs]) else sum(values)
        for name in costs[0]
        if name != "per_kept_item"
    }
    return {
        "ended_by": ended,
        "by_label": [{"label": label, **labels[label].as_row()} for label in sorted(labels)],
        "by_way": [{"generator": name, **row} for name, report in reports.items() for row in report["by_way"]],
        "cost": {**total, "per_kept_item": _each(total, sum(tally.kept for tally in labels.values()))},
    }


def took(models: Sequence[StoredModel | None], before: Calls | None = None) -> Calls:
    """What the models were asked since `before`, found in the call store or not; a model in two roles counts once."""
    distinct = list({id(model): model for model in models if model is not None}.values())
    parts = [part for model in distinct for part in (model.tally, model.found)]
    costs = [part.cost for part in parts if part.made or part.reused]
    before = before or Calls(cost=0.0)
    return Calls(
        made=sum(part.made for part in parts) - before.made,
        reused=sum(model.found.reused for model in distinct) - before.reused,
        tokens_in=sum(part.tokens_in for part in parts) - before.tokens_in,
        tokens_out=sum(part.tokens_out for part in parts) - before.tokens_out,
        cost=None if None in costs or before.cost is None else sum(cost or 0.0 for cost in costs) - before.cost,
    )


def _cost(took: Calls, seconds: float, kept: int) -> dict[str, Any]:
    """All that was asked, and the same for each item that is kept; null where none is, or where a price is unknown."""
    figures: dict[str, float | None] = {
        "calls": took.made + took.reused,
        "tokens_in": took.tokens_in,
        "tokens_out": took.tokens_out,
        "usd": took.cost,
        "seconds": round(seconds, 1),
    }
    return {**figures, "per_kept_item": _each(figures, kept)}


def _each(figures: Mapping[str, float | None], kept: int) -> dict[str, float | None]:
    return {name: None if value is None or not kept else round(value / kept, 6) for name, value in figures.items()}
