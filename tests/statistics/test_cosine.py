"""Vectors that point almost the same way are all found within their group."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pipeline.statistics import cosine
from pipeline.statistics.cosine import CosineIndex


@pytest.fixture(params=[4096, 7])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosine, "BLOCK", request.param)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("cuts", [(), (1, 30, 30, 55)])
def test_pairs_are_those_of_the_matrix_of_all_cosines(cuts: tuple[int, ...]) -> None:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(80, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = draw.integers(0, 3, 80)
    every = vectors @ vectors.T
    expected = {(i, j) for i in range(80) for j in range(i) if groups[i] == groups[j] and every[i, j] >= 0.9}
    index, found = CosineIndex(0.9), set()
    for start, stop in itertools.pairwise((0, *cuts, 80)):
        pairs = index.pairs(vectors[start:stop], groups[start:stop])
        found |= set(zip(pairs.later.tolist(), pairs.earlier.tolist(), strict=True))
        index.add(vectors[start:stop], groups[start:stop])
    assert expected
    assert found == expected
    assert len(index) == 80


def test_a_bound_from_few_dimensions_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(1)
    centres = draw.normal(size=(40, 48))
    vectors = (centres[draw.integers(0, 40, 400)] + 0.25 * draw.normal(size=(400, 48))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    group = np.zeros(400, dtype=np.int64)
    plain = CosineIndex(0.93).pairs(vectors, group)
    monkeypatch.setattr(cosine, "HEAD", 6)
    monkeypatch.setattr(cosine, "WORTH_BOUNDING", 10)
    bounded = CosineIndex(0.93).pairs(vectors, group)
    assert 100 < len(plain.later) < 4000
    assert set(zip(plain.later, plain.earlier, strict=True)) == set(zip(bounded.later, bounded.earlier, strict=True))
    assert np.allclose(np.sort(plain.score), np.sort(bounded.score))


def test_a_fork_grows_alone() -> None:
    index = CosineIndex(0.9)
    one, group = np.eye(1, 4, dtype=np.float32), np.zeros(1, dtype=np.int64)
    fork = index.fork()
    fork.add(one, group)
    assert not len(index.pairs(one, group).later)
    assert fork.pairs(one, group).score.tolist() == [1.0]
    assert not len(fork.pairs(one, group + 1).later)
