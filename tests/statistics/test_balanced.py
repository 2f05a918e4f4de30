"""The interval of a weighted accuracy covers, allows for clusters, and stays within 0..1."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.statistics.balanced import interval_of_weighted_accuracy
from pipeline.statistics.intervals import wilson


def test_with_equal_weights_it_is_wilson_but_for_the_degrees_of_freedom() -> None:
    right = [1] * 70 + [0] * 30
    own = interval_of_weighted_accuracy(right, [1] * 100, range(100))
    plain = wilson(70, 100)
    assert own.low == pytest.approx(plain.low, abs=2e-3)
    assert own.high == pytest.approx(plain.high, abs=2e-3)


@pytest.mark.parametrize(("p", "weighted"), [(0.5, False), (0.6, True), (0.9, True)])
def test_it_covers_the_truth_in_about_nineteen_of_twenty_runs(p: float, weighted: bool) -> None:
    draw = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        n = 120
        # Clusters of up to four items whose members are right together.
        clusters = np.sort(draw.integers(60, size=n))
        right = (draw.random(60) < p)[clusters]
        weights = np.where(draw.random(n) < 0.3, 1.6, 0.4) if weighted else np.ones(n)
        low, high = interval_of_weighted_accuracy(right, weights, clusters)
        covered += low <= p <= high
    assert 0.92 <= covered / 400 <= 0.99


def test_copies_of_an_item_do_not_narrow_it() -> None:
    one = interval_of_weighted_accuracy([1, 0] * 20, [1] * 40, range(40))
    copied = interval_of_weighted_accuracy([1, 0] * 20 * 5, [1] * 200, [*range(40)] * 5)
    assert copied.high - copied.low >= one.high - one.low


def test_ties_count_half_and_extremes_stay_within_the_unit() -> None:
    assert interval_of_weighted_accuracy([1.0] * 30, [1] * 30, range(30)).high == 1.0
    assert interval_of_weighted_accuracy([0.0] * 30, [1] * 30, range(30)).low == 0.0
    low, high = interval_of_weighted_accuracy([0.5] * 30, [1] * 30, range(30))
    assert low < 0.5 < high
    assert interval_of_weighted_accuracy([], [], []) == (0.0, 1.0)
    assert interval_of_weighted_accuracy([1.0], [0.0], [0]) == (0.0, 1.0)
