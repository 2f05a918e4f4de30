"""From a sample to the whole: weights that undo the design, intervals that cover."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from pipeline.statistics.intervals import wilson
from pipeline.statistics.sampling import (
    Estimate,
    combined,
    inverse_inclusion,
    labels_to_halve,
    labels_to_halve_width,
    weighted_share,
)


def rate(successes: float, n: float) -> Estimate:
    return Estimate(successes / n, *wilson(successes, n))


def test_each_sampled_item_stands_for_its_share_of_its_stratum():
    population = {("Yes", 0): 30, ("Yes", 1): 10, ("No", 0): 60}
    sampled = [("Yes", 0), ("Yes", 0), ("Yes", 1), ("No", 0), ("No", 0), ("No", 0)]
    assert inverse_inclusion(sampled, population) == [15, 15, 10, 20, 20, 20]


def test_a_stratum_that_was_not_sampled_is_stood_for_by_its_nearest_kin():
    population = {("Yes", 0): 30, ("Yes", 1): 10, ("No", 0): 60}
    assert inverse_inclusion([("Yes", 0), ("No", 0)], population) == [40, 60]
    assert inverse_inclusion([("Yes", 0), ("Yes", 1)], population) == [50, 50]


def test_weights_undo_a_lopsided_sample():
    draw = np.random.default_rng(0)
    wrong = {("Yes", 0): 0.4, ("No", 0): 0.05}
    population = {("Yes", 0): 100, ("No", 0): 900}
    truth, found, covered = 0.085, [], 0
    for _ in range(400):
        # Half of the sample is from the tenth of the items that are mostly wrong.
        sampled = [("Yes", 0)] * 60 + [("No", 0)] * 60
        values = [float(draw.random() < wrong[stratum]) for stratum in sampled]
        estimate = weighted_share(values, inverse_inclusion(sampled, population))
        found.append(estimate.value)
        covered += estimate.low <= truth <= estimate.high
    assert np.mean(found) == pytest.approx(truth, abs=0.01) and covered / 400 >= 0.93


def test_equal_weights_give_wilsons_interval():
    assert weighted_share([1, 1, 0], [7, 7, 7]) == pytest.approx((2 / 3, *wilson(2, 3)))


def test_uneven_weights_and_copies_widen_the_interval():
    values = [float(i % 5 > 0) for i in range(50)]
    even = weighted_share(values)
    assert weighted_share(values, [1 + 4 * (i % 2) for i in range(50)]).width > even.width
    assert weighted_share(values * 2, None, list(range(50)) * 2).width >= even.width


def test_the_difference_of_two_rates_is_newcombes():
    # Newcombe 1998, method 10, example (a): 56/70 against 48/80 gives .0524 to .3339.
    found = combined(lambda a, b: a - b, [rate(56, 70), rate(48, 80)])
    assert found == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


@pytest.mark.parametrize(("right", "labels"), [(18, 20), (45, 50), (150, 200), (20, 20)])
def test_as_many_labels_as_are_said_halve_the_interval_of_a_rate(right, labels):
    now = rate(right, labels)
    n = labels + labels_to_halve(now, labels)
    assert rate(n * right / labels, n).width == pytest.approx(now.width / 2, rel=0.02)


def test_no_number_of_labels_halves_an_interval_that_the_items_leave_open():
    assert labels_to_halve_width(0.2, 0.1, 100) is None
    assert labels_to_halve_width(0.2, 0.0, 100) == 300
    more = labels_to_halve_width(0.2, 0.06, 100)
    assert math.sqrt(0.06**2 + (0.2**2 - 0.06**2) * 100 / (100 + more)) == pytest.approx(0.1, abs=1e-3)


def test_the_weights_of_a_sample_add_up_to_the_whole():
    population = Counter({("Yes", i): 7 + i for i in range(3)} | {("No", i): 11 for i in range(3)})
    sampled = [stratum for i, stratum in enumerate(population) for _ in range(1 + i % 3)]
    assert sum(inverse_inclusion(sampled, population)) == pytest.approx(sum(population.values()))
