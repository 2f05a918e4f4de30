"""Which leading tokens rows have in common, as a tree whose shared parts are computed once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Tokens = Sequence[int]

GRAIN = 8
"""Shared parts end at a multiple of this, so that lists which differ by accident share the same part."""
LEAST_GAIN = 64
"""Tokens a shared part must save: below that, the extra call costs more than it spares."""


@dataclass(frozen=True)
class Part:
    """Tokens `start:stop` of row `row`, after the parts of `parent` (-1: at the beginning of the text).

    A part with `is_shared` belongs to several rows and is computed for its keys and values;
    the others are the rows' own ends, at least one token each.
    """

    row: int
    start: int
    stop: int
    parent: int
    level: int
    is_shared: bool

    @property
    def length(self) -> int:
        """Number of tokens."""
        return self.stop - self.start


def plan_parts(rows: Sequence[Tokens], weights: Sequence[int] | None = None) -> list[Part]:
    """Shared parts and the own end of every row; parents come before their children.

    `weights` says how often each row is used: a row used twice shares its beginning with itself.
    """
    weights = weights or [1] * len(rows)
    order = sorted(range(len(rows)), key=lambda i: tuple(rows[i]))
    common = [_common(rows[a], rows[b]) for a, b in pairwise(order)]
    parts: list[Part] = []
    work = [(0, len(rows), -1)]
    while work:
        low, high, parent = work.pop()
        members = order[low:high]
        most = min([*common[low : high - 1], *(len(rows[i]) - 1 for i in members)])
        parent = _share(members[0], most, sum(weights[i] for i in members), parent, parts)
        if len(members) == 1:
            parts.append(_end(rows, members[0], parent, parts))
        else:
            work.extend((*run, parent) for run in _runs(common, low, high))
    return parts


def _share(row: int, most: int, uses: int, parent: int, parts: list[Part]) -> int:
    """Add a part of at most `most` tokens from the text's beginning if it is worth it; the parent of what follows."""
    start = parts[parent].stop if parent >= 0 else 0
    stop = most // GRAIN * GRAIN
    if (uses - 1) * (stop - start) < LEAST_GAIN:
        return parent
    level = parts[parent].level + 1 if parent >= 0 else 0
    parts.append(Part(row, start, stop, parent, level, True))
    return len(parts) - 1


def _end(rows: Sequence[Tokens], row: int, parent: int, parts: list[Part]) -> Part:
    start, level = (parts[parent].stop, parts[parent].level + 1) if parent >= 0 else (0, 0)
    return Part(row, start, len(rows[row]), parent, level, False)


def _runs(common: list[int], low: int, high: int) -> list[tuple[int, int]]:
    """Neighbours in the sorted order `low:high` that share more than all of them do."""
    least = min(common[low : high - 1])
    edges = [low, *(i + 1 for i in range(low, high - 1) if common[i] == least), high]
    return list(pairwise(edges))


def longest_common_prefix(rows: Sequence[Tokens]) -> int:
    """Number of leading tokens that all rows share."""
    return _common(min(map(tuple, rows)), max(map(tuple, rows)))


def _common(a: Tokens, b: Tokens) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
