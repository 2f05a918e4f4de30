"""Sets of words that overlap are all found, and none that do not, however they come in."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from pipeline.statistics import overlap
from pipeline.statistics.overlap import OverlapIndex, Vocabulary

Found = set[tuple[int, int, float]]


def texts(seed: int, words: int, longest: int, n: int = 120) -> list[list[str]]:
    draw = random.Random(seed)
    vocabulary = [f"w{i}" for i in range(words)]
    return [draw.choices(vocabulary, k=draw.randint(1, longest)) for _ in range(n)]


def by_comparing_all(said: list[list[str]], near: float) -> Found:
    found = set()
    for i, j in itertools.combinations(range(len(said)), 2):
        a, b = set(said[i]), set(said[j])
        if len(a & b) >= near * len(a | b) - 1e-9:
            found.add((j, i, round(len(a & b) / len(a | b), 9)))
    return found


def by_index(said: list[list[str]], near: float, cuts: tuple[int, ...] = ()) -> Found:
    vocabulary, index, found = Vocabulary(), OverlapIndex(near), set()
    for start, stop in itertools.pairwise((0, *cuts, len(said))):
        filed = index.filed(vocabulary.sets(said[start:stop]))
        pairs = index.pairs(filed)
        found |= {(a, b, round(c, 9)) for a, b, c in zip(*(column.tolist() for column in pairs), strict=True)}
        index.add(filed, np.ones(stop - start, dtype=bool))
    assert len(index) == len(said)
    return found


@pytest.mark.parametrize("near", [0.3, 0.5, 0.6, 0.75, 0.9, 1.0])
@pytest.mark.parametrize(("words", "longest"), [(8, 5), (20, 14), (60, 45)])
def test_pairs_are_those_that_comparing_all_finds(near: float, words: int, longest: int) -> None:
    said = texts(words, words, longest)
    expected = by_comparing_all(said, near)
    assert by_index(said, near) == expected
    assert by_index(said, near, cuts=(0, 7, 7, 90)) == expected


def test_bounded_memory_and_merged_runs_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "AT_ONCE", 3)
    monkeypatch.setattr(overlap, "MOST_IN_RUN", 50)
    said = texts(1, 10, 8)
    assert by_index(said, 0.6, cuts=tuple(range(10, 120, 10))) == by_comparing_all(said, 0.6)


def test_what_is_not_kept_is_not_found_later() -> None:
    vocabulary, index = Vocabulary(), OverlapIndex(0.5)
    filed = index.filed(vocabulary.sets([["a", "b"], ["c", "d"], ["e", "f"]]))
    index.add(filed, np.array([True, False, True]))
    pairs = index.pairs(index.filed(vocabulary.sets([["c", "d"], ["e", "f"]])))
    assert (pairs.later.tolist(), pairs.earlier.tolist()) == ([3], [1])


def test_a_fork_grows_alone() -> None:
    vocabulary, index = Vocabulary(), OverlapIndex(0.5)
    filed = index.filed(vocabulary.sets([["a", "b"]]))
    fork = index.fork()
    fork.add(filed, np.array([True]))
    assert (len(index), len(fork)) == (0, 1)
    assert not len(index.pairs(filed).later)
    assert fork.pairs(filed).score.tolist() == [1.0]


def test_many_texts_that_share_words_are_not_all_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0
    compare = OverlapIndex._compared

    def counting(self: OverlapIndex, rows: object, sizes: object, one: np.ndarray, other: np.ndarray) -> object:
        nonlocal compared
        compared += len(one)
        return compare(self, rows, sizes, one, other)  # type: ignore[arg-type]

    monkeypatch.setattr(OverlapIndex, "_compared", counting)
    draw = random.Random(0)
    words = [f"w{i}" for i in range(2000)]
    common = ["i", "want", "to", "the"]
    said = [common + draw.sample(words, 8) for _ in range(2000)]
    assert by_index(said, 0.6) == set()
    assert compared < 200  # of two million pairs, all of which share four words
