"""What an audit says: one finding a cue, and whether the dataset passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from pipeline.schema import Record
from pipeline.statistics.intervals import Interval, interval_of_proportion, wilson

FEWEST = 100
"""Items below which an audit judges nothing and passes: its intervals would be wider than what it looks for."""

CHANCE, MARGIN = 0.5, 0.05
"""A cue that picks the matching answer of two must be sure to do so in more than `CHANCE + MARGIN` of the items."""


class Finding(Record):
    """One cue: how strong it is, how sure that is, and what follows.

    A figure that does not apply to the dataset is None, never missing.
    """

    cue: str
    """What was looked for, in the same words for every dataset."""
    value: float | None
    """Its strength, in the unit that `unit` names."""
    low: float | None
    high: float | None
    """Ends of the 95 % interval of `value`."""
    gate: bool | None
    """True: this stops the dataset. False: it could have, and does not. None: no gate, it only informs."""
    found: bool | None
    """Whether the interval lies beyond `limit`; None where there is no limit or nothing to look at."""
    limit: float | None
    """Where the cue begins to count."""
    unit: str
    """accuracy (share of items whose matching answer the cue alone picks), share, mean, correlation."""
    n: int = Field(ge=0)
    """Items that the value rests on."""
    note: str = ""
    """What it means here, in a few words."""


class Audit(Record):
    """Every finding on one dataset, and the verdict."""

    passed: bool
    findings: list[Finding]

    @property
    def stopping(self) -> list[Finding]:
        """The findings for which the dataset fails."""
        return [finding for finding in self.findings if finding.gate]


def above(
    cue: str,
    value: float,
    interval: Interval,
    *,
    n: int,
    limit: float | None = None,
    is_gate: bool = False,
    enough: bool = True,
    unit: str = "share",
    note: str = "",
) -> Finding:
    """A finding that counts once its whole interval lies above `limit`; without `enough` items it is no verdict."""
    found = None if limit is None or not enough else interval.low > limit
    return Finding(
        cue=cue,
        value=_rounded(value),
        low=_rounded(interval.low),
        high=_rounded(interval.high),
        gate=bool(found) if is_gate else None,
        found=found,
        limit=limit,
        unit=unit,
        n=n,
        note=note if enough or limit is None else f"too few to judge (fewer than {FEWEST}); {note}".rstrip("; "),
    )


def share(cue: str, hits: Sequence[bool], clusters: Sequence[int], **rest: Any) -> Finding:
    """The share of items that a cue hits, with an interval that near-duplicates, of one cluster, do not narrow."""
    return above(cue, sum(hits) / len(hits), interval_of_proportion(hits, clusters), n=len(hits), **rest)


def share_of(cue: str, count: float, n: int, **rest: Any) -> Finding:
    """The share that `count` is of `n` items, each of which stands for itself."""
    return above(cue, count / n, wilson(count, n), n=n, **rest)


def below(cue: str, value: float, interval: Interval, *, limit: float, n: int, **rest: Any) -> Finding:
    """A finding that counts once its whole interval lies below `limit`."""
    mirrored = above(cue, -value, Interval(-interval.high, -interval.low), limit=-limit, n=n, **rest)
    return _restored(mirrored, value, interval, limit)


def off_centre(cue: str, value: float, interval: Interval, *, limit: float, n: int, **rest: Any) -> Finding:
    """A finding that counts once its whole interval lies above `limit` or below 1 - `limit`."""
    if value >= CHANCE:
        return above(cue, value, interval, limit=limit, n=n, **rest)
    return _restored(
        above(cue, 1 - value, Interval(1 - interval.high, 1 - interval.low), limit=limit, n=n, **rest),
        value, interval, round(1 - limit, 4),
    )  # fmt: skip


def _restored(mirrored: Finding, value: float, interval: Interval, limit: float) -> Finding:
    own = {"value": value, "low": interval.low, "high": interval.high, "limit": limit}
    return mirrored.model_copy(update={name: _rounded(figure) for name, figure in own.items()})


def absent(cue: str, note: str, *, unit: str = "share", is_gate: bool = False) -> Finding:
    """The finding of a cue that this dataset cannot show."""
    gate = False if is_gate else None
    return Finding(
        cue=cue, value=None, low=None, high=None, gate=gate, found=None, limit=None, unit=unit, n=0, note=note
    )


def _rounded(value: float) -> float | None:
    return round(value, 4) if abs(value) < float("inf") else None
