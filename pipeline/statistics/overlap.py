"""Finds the texts whose sets of words overlap, among millions and exactly: an index that can be extended and forked.

Two sets with a Jaccard index of at least t share most of their words, so they also share several of their rarest ones.
Each set is filed under the combinations of L words out of its rarest few; sets that are near have a combination in
common, whatever the rest (prefix filtering, Bayardo, Ma and Srikant 2007, with prefixes of L words more, Wang, Li and
Feng 2012, "Can we beat the prefix filtering?"). Candidates are then compared word by word, so that, unlike with
MinHash, nothing is missed and nothing found wrongly.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain, combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

MOST_COMBINATIONS = 64
"""Of one set; beyond, combinations of fewer words are taken. More of them are rarer, and find fewer in vain."""
AT_ONCE = 500_000
"""Candidates that are compared at a time: bounds the memory, at about 300 bytes each."""
MOST_IN_RUN = 8_000_000
"""Keys from which a run is not merged further: merging takes three times its memory for a moment."""
_EPSILON = 1e-9
_MIX = np.uint64(0x9E3779B97F4A7C15)

Candidates = tuple["NDArray[np.int32]", "NDArray[np.int32]"]
"""Rows that may be near, as two arrays of one length."""


class Pairs(NamedTuple):
    """Pairs of near texts: `later[i]` is near to `earlier[i]`, by `score[i]`. Arrays of one length."""

    later: NDArray[np.int64]
    earlier: NDArray[np.int64]
    score: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Sequence[Pairs]) -> Pairs:
        """All of these one after the other."""
        if not parts:
            return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Pairs:
        """Those that are chosen, by a mask or by their places, in this order."""
        return Pairs(self.later[chosen], self.earlier[chosen], self.score[chosen])


class Vocabulary:
    """Numbers words, and ranks them: the rarer a word when it was first read, the higher its rank."""

    def __init__(self) -> None:
        self._number: defaultdict[str, int] = defaultdict()
        self._number.default_factory = self._number.__len__
        self._rank = np.zeros(0, dtype=np.int32)

    def sets(self, texts: Sequence[Sequence[str]]) -> csr_array:
        """The set of words of each text: a matrix of ones, shape (texts, words), columns by ascending rank."""
        from scipy.sparse import csr_array

        numbers = np.fromiter(map(self._number.__getitem__, chain.from_iterable(texts)), dtype=np.int32)
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        self._rank_new(numbers)
        # One sort orders the ranks within each text and puts repeated words side by side.
        keys = np.sort(np.repeat(np.arange(len(texts)), lengths) << 32 | self._rank[numbers])
        keys = keys[np.insert(np.diff(keys) != 0, 0, True)] if len(keys) else keys
        starts = np.searchsorted(keys, np.arange(len(texts) + 1) << 32)
        columns = (keys & 0xFFFFFFFF).astype(np.int32)
        return csr_array((np.ones(len(keys), np.int8), columns, starts), shape=(len(texts), len(self._rank)))

    def _rank_new(self, numbers: NDArray[np.int32]) -> None:
        """Rank the words that are read for the first time above all others, the rarest of them highest."""
        old, new = len(self._rank), len(self._number)
        counts = np.bincount(numbers, minlength=new)[old:]
        spelling = list(self._number)[old:]
        order = sorted(range(new - old), key=lambda i: (-counts[i], spelling[i]))
        ranks = np.empty(new - old, dtype=np.int32)
        ranks[order] = np.arange(old, new, dtype=np.int32)
        self._rank = np.concatenate([self._rank, ranks])


class OverlapIndex:
    """Sets of words, found by any set that is near. Rows are numbered in the order in which they were added."""

    def __init__(self, near: float) -> None:
        """`near` is the least Jaccard index, above 0 and at most 1."""
        self.near = near
        self._rows: csr_array | None = None
        self._runs: tuple[_Run, ...] = ()
        self._larger_runs: tuple[_Run, ...] = ()

    def __len__(self) -> int:
        return 0 if self._rows is None else int(self._rows.shape[0])

    def fork(self) -> OverlapIndex:
        """An index that holds the same and can grow without this one. It takes no time: what is held is shared."""
        other = OverlapIndex(self.near)
        other._rows, other._runs, other._larger_runs = self._rows, self._runs, self._larger_runs
        return other

    def filed(self, sets: csr_array) -> Filed:
        """The sets with all that they are filed under; worked out once for both `pairs` and `add`."""
        return Filed(sets, *_filed(sets, self.near))

    def pairs(self, filed: Filed) -> Pairs:
        """Near pairs of the given sets with rows held before, and among themselves as if they were added next."""
        run, larger = filed.run.moved(len(self)), filed.larger.moved(len(self))
        rows = filed.sets if self._rows is None else _stacked(self._rows, filed.sets)
        sizes = np.diff(rows.indptr)
        candidates = [run.matches_within()]
        for held in self._runs:
            candidates += [run.matches(held), _first_larger(larger.matches(held), sizes)]
        for held in (*self._larger_runs, larger):
            candidates.append(_first_larger(((b, a) for a, b in run.matches(held)), sizes))
        return Pairs.joined([self._compared(rows, sizes, *part) for parts in candidates for part in parts])

    def add(self, filed: Filed, keep: NDArray[np.bool_]) -> None:
        """Hold those of the sets to `keep`, shape (sets,), too."""
        sets = filed.sets[keep]
        run, larger = (each.only(keep).moved(len(self)) for each in (filed.run, filed.larger))
        self._rows = sets if self._rows is None else _stacked(self._rows, sets)
        self._runs, self._larger_runs = _with(self._runs, run), _with(self._larger_runs, larger)

    def _compared(
        self, rows: csr_array, sizes: NDArray[np.int64], one: NDArray[np.int32], other: NDArray[np.int32]
    ) -> Pairs:
        """Those of the candidate pairs that are near, once each."""
        later, earlier = np.maximum(one, other), np.minimum(one, other)
        # A set that is much smaller cannot be near.
        small, large = np.minimum(sizes[later], sizes[earlier]), np.maximum(sizes[later], sizes[earlier])
        possible = small >= self.near * large - _EPSILON
        # numpy's unique takes three times as long as sorting.
        code = np.sort(later[possible].astype(np.int64) << 32 | earlier[possible])
        code = code[np.insert(code[1:] != code[:-1], 0, True)] if len(code) else code
        later, earlier = code >> 32, code & 0xFFFFFFFF
        if not len(code):
            return Pairs.joined([])
        shared = np.diff(rows[later].multiply(rows[earlier]).indptr)
        jaccard = shared / (sizes[later] + sizes[earlier] - shared)
        return Pairs(later, earlier, jaccard).where(jaccard >= self.near - _EPSILON)


class _Run(NamedTuple):
    """Keys in ascending order and the row that each belongs to."""

    keys: NDArray[np.uint64]
    owners: NDArray[np.int32]

    def moved(self, by: int) -> _Run:
        return _Run(self.keys, self.owners + np.int32(by))

    def only(self, keep: NDArray[np.bool_]) -> _Run:
        """The keys of the rows to keep, which are numbered anew."""
        kept = keep[self.owners]
        return _Run(self.keys[kept], (np.cumsum(keep, dtype=np.int32) - 1)[self.owners[kept]])

    def merged(self, other: _Run) -> _Run:
        keys = np.concatenate([self.keys, other.keys])
        order = np.argsort(keys, kind="stable")
        return _Run(keys[order], np.concatenate([self.owners, other.owners])[order])

    def matches(self, held: _Run) -> Iterator[Candidates]:
        """Rows of this run and rows of the other that have a key in common, in parts of bounded size."""
        first = np.searchsorted(held.keys, self.keys, side="left")
        hits = np.flatnonzero(held.keys.take(first, mode="clip") == self.keys) if len(held.keys) else first[:0]
        first, hit_keys = first[hits], self.keys[hits]
        counts = np.searchsorted(held.keys, hit_keys, side="right") - first
        return _expanded(self.owners[hits], held.owners, first, counts)

    def matches_within(self) -> Iterator[Candidates]:
        """Two rows of this run that have a key in common, in parts of bounded size."""
        first = np.searchsorted(self.keys, self.keys, side="left")
        return _expanded(self.owners, self.owners, first, np.arange(len(self.keys)) - first)


class Filed(NamedTuple):
    """Sets of words and the combinations that they are filed under, as the smaller and as the larger of two."""

    sets: csr_array
    run: _Run
    larger: _Run

    def candidates(self) -> int:
        """How many comparisons these sets make necessary among themselves, before any is known to be needless."""
        return sum(int(_repeats(self.run.keys, each.keys).sum()) for each in (self.run, self.larger))


def _repeats(keys: NDArray[np.uint64], held: NDArray[np.uint64]) -> NDArray[np.intp]:
    """How often each key occurs in others, which are in ascending order."""
    return np.searchsorted(held, keys, side="right") - np.searchsorted(held, keys, side="left")


def _with(runs: tuple[_Run, ...], new: _Run) -> tuple[_Run, ...]:
    """The runs with one more, merged like the digits of a binary counter: few are left, each key moved a few times."""
    held = [*runs, new]
    while len(held) > 1 and MOST_IN_RUN > len(held[-2].keys) < 2 * len(held[-1].keys):
        last = held.pop()
        held[-1] = held[-1].merged(last)
    return tuple(held)


def _first_larger(candidates: Iterator[Candidates], sizes: NDArray[np.int64]) -> Iterator[Candidates]:
    """Candidates whose first row is the larger set."""
    for one, other in candidates:
        right = sizes[one] > sizes[other]
        yield one[right], other[right]


def _expanded(
    askers: NDArray[np.int32], held: NDArray[np.int32], first: NDArray[np.intp], counts: NDArray[np.intp]
) -> Iterator[Candidates]:
    """Each asker beside held[first : first + count], in parts of about `AT_ONCE` pairs."""
    asking = np.flatnonzero(counts)
    askers, first, counts = askers[asking], first[asking], counts[asking]
    ends = np.cumsum(counts)
    start = 0
    while start < len(asking):
        done = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + AT_ONCE, side="right")))
        count = counts[start:stop]
        offset = np.arange(count.sum()) - np.repeat(ends[start:stop] - count - done, count)
        yield np.repeat(askers[start:stop], count), held[np.repeat(first[start:stop], count) + offset]
        start = stop


def _stacked(upper: csr_array, lower: csr_array) -> csr_array:
    """Both matrices one above the other; new words widen the upper one."""
    from scipy.sparse import csr_array

    width = max(upper.shape[1], lower.shape[1])
    starts = np.concatenate([upper.indptr, lower.indptr[1:] + upper.indptr[-1]])
    columns = np.concatenate([upper.indices, lower.indices])
    ones = np.ones(len(columns), np.int8)
    return csr_array((ones, columns, starts), shape=(upper.shape[0] + lower.shape[0], width))


def _filed(sets: csr_array, near: float) -> tuple[_Run, _Run]:
    """The combinations under which sets are filed, as hashes, with the row of each.

    Of two near sets the smaller one shares more of its words, and so a shorter prefix of it holds a shared combination.
    The first run has the combinations of that prefix, the second those that a set needs as the larger of two.
    """
    sizes = np.diff(sets.indptr)
    runs: tuple[list[_Run], list[_Run]] = ([], [])
    for size in np.unique(sizes).tolist():
        rows = np.flatnonzero(sizes == size)
        # Descending rank: the rarest words first.
        ranks = sets.indices[sets.indptr[rows][:, None] + np.arange(size)[::-1]].astype(np.uint64)
        for run, places in zip(runs, _places(size, near), strict=True):
            for chosen in places:
                hashed = _hashed(ranks, chosen)
                owners = np.repeat(rows.astype(np.int32), len(chosen))
                run.append(_Run(hashed.ravel(), owners))
    return _in_order(runs[0]), _in_order(runs[1])


def _hashed(ranks: NDArray[np.uint64], chosen: NDArray[np.intp]) -> NDArray[np.uint64]:
    """A hash of each combination of ranks, shape (sets, combinations); equal ones only cost a comparison."""
    hashed = np.full((len(ranks), len(chosen)), chosen.shape[1], dtype=np.uint64)
    for place in chosen.T:
        hashed = (hashed + ranks[:, place] + np.uint64(1)) * _MIX
        hashed ^= hashed >> np.uint64(29)
    return hashed


def _in_order(parts: Sequence[_Run]) -> _Run:
    keys = np.concatenate([np.zeros(0, np.uint64), *(part.keys for part in parts)])
    owners = np.concatenate([np.zeros(0, np.int32), *(part.owners for part in parts)])
    order = np.argsort(keys)
    return _Run(keys[order], owners[order])


@cache
def _places(size: int, near: float) -> tuple[tuple[NDArray[np.intp], ...], tuple[NDArray[np.intp], ...]]:
    """The combinations of places, rarest words first, for a set of this size: as the smaller and as the larger one.

    Each array has shape (combinations, length). Two near sets have a combination of the smaller one's length in common.
    """
    length = _length(size, near)
    own = _combinations(_smaller_prefix(size, near) + length, length)
    larger = []
    for other in sorted({_length(smaller, near) for smaller in range(_least_shared(size, near), size)}):
        every = _combinations(size - _least_shared(size, near) + other, other)
        is_own = (every < _smaller_prefix(size, near) + length).all(axis=1) & (other == length)
        larger.append(every[~is_own])
    return (own,), tuple(larger)


@cache
def _length(size: int, near: float) -> int:
    """How many words a combination has for sets of this size: as many as there are not too many combinations of."""
    for length in (3, 2):
        possible = length <= _least_shared(size, near)
        if possible and math.comb(_smaller_prefix(size, near) + length, length) <= MOST_COMBINATIONS:
            return length
    return 1


def _smaller_prefix(size: int, near: float) -> int:
    """Words of a set that a near one which is as large, or larger, need not share."""
    return size - math.ceil(2 * near / (1 + near) * size - _EPSILON)


def _least_shared(size: int, near: float) -> int:
    """Words that a set of this size shares at the least with a near one of any size."""
    return max(1, math.ceil(near * size - _EPSILON))


def _combinations(places: int, length: int) -> NDArray[np.intp]:
    return np.array(list(combinations(range(places), length)), dtype=np.intp)
