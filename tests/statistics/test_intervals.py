"""Intervals that cover what was planted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.statistics.intervals import (
    Interval,
    design_effect,
    effective_trials,
    interval_of_majority,
    interval_of_mean,
    interval_of_proportion,
    wilson,
)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (1, 3), (7, 20), (500, 1000), (20, 20)])
def test_wilson_equals_scipys_wilson_interval(k, n):
    theirs = stats.binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_of_nothing_knows_nothing_and_more_successes_than_trials_are_refused():
    assert wilson(0, 0) == (0, 1)
    with pytest.raises(ValueError, match="3 successes in 2"):
        wilson(3, 2)


@given(st.integers(1, 2000), st.floats(0, 1))
def test_the_number_of_trials_is_recovered_from_the_width_of_the_interval(n, share):
    k = round(share * n)
    assert effective_trials(k / n, wilson(k, n)) == pytest.approx(n, rel=1e-6)


def test_an_interval_of_no_width_or_of_everything_has_infinite_or_no_trials():
    assert effective_trials(0.5, Interval(0.5, 0.5)) == math.inf
    assert effective_trials(0.5, Interval(0, 1)) == 0


def test_without_near_duplicates_the_interval_is_wilsons():
    values = [True] * 7 + [False] * 13
    assert interval_of_proportion(values) == wilson(7, 20)
    assert interval_of_proportion(values, list(range(20))) == wilson(7, 20)


def test_copies_add_no_certainty():
    once = [i < 30 for i in range(50)]
    assert design_effect(once * 4, list(range(50)) * 4) == pytest.approx(4)
    fourfold = interval_of_proportion(once * 4, list(range(50)) * 4)
    assert fourfold.high - fourfold.low >= wilson(30, 50).high - wilson(30, 50).low


@pytest.mark.parametrize("value", [True, False])
def test_a_thousand_copies_of_one_item_leave_nearly_everything_open(value):
    low, high = interval_of_proportion([value] * 1000, [0] * 1000)
    assert high - low > 0.9


@pytest.mark.parametrize(("count", "p"), [(17, 0.8), (67, 0.5)])
def test_the_cluster_robust_interval_covers_where_the_plain_one_does_not(count, p):
    rng, runs, robust, plain = np.random.default_rng(0), 500, 0, 0
    of = np.repeat(np.arange(count), 3)
    for _ in range(runs):
        values = np.where(rng.random(3 * count) < 0.8, (rng.random(count) < p)[of], rng.random(3 * count) < p)
        interval = interval_of_proportion([bool(v) for v in values], list(of))
        robust += interval.low <= p <= interval.high
        naive = wilson(int(values.sum()), len(values))
        plain += naive.low <= p <= naive.high
    assert robust / runs > 0.93 > 0.88 > plain / runs


def test_the_interval_of_a_mean_equals_scipys_t_interval():
    values = [0.2, 0.9, 0.4, 0.6, 0.65]
    theirs = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert interval_of_mean(values) == pytest.approx(theirs)


def test_the_interval_of_a_mean_of_copies_is_that_of_the_originals():
    values = [0.2, 0.9, 0.4, 0.6, 0.65]
    assert interval_of_mean(values * 3, list(range(5)) * 3) == pytest.approx(interval_of_mean(values))
    assert interval_of_mean([0.5]) == (-math.inf, math.inf)


def posteriors(favour: np.ndarray, draws: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and deviation of each item's probability after its draws, as a sampled choice has them."""
    share = (favour + 1) / (draws + 2)
    return list(share), list(np.sqrt(share * (1 - share) / (draws + 3)))


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (4.8, 3.2), (3.6, 0.4), (0.35, 0.15)])
def test_the_share_of_items_above_one_half_is_covered_though_five_draws_an_item_blur_it(a, b):
    rng, truth, runs = np.random.default_rng(0), float(stats.beta(a, b).sf(0.5)), 40
    covered = plain = 0
    for _ in range(runs):
        draws = rng.binomial(5, 0.9, 200)
        favour = rng.binomial(draws, rng.beta(a, b, 200))
        low, high = interval_of_majority(*posteriors(favour, draws), range(200))
        covered += low <= truth <= high
        around = wilson(float((favour > draws / 2).sum() + 0.5 * (favour == draws / 2).sum()), 200)
        plain += low <= around.low and around.high <= high
    assert plain == runs, "never narrower than what the items alone leave open"
    assert wilson(covered, runs, 0.999).high >= 0.95


def test_wilson_alone_would_miss_it():
    rng, truth = np.random.default_rng(0), float(stats.beta(4.8, 3.2).sf(0.5))
    favour = rng.binomial(5, rng.beta(4.8, 3.2, 1000))
    assert wilson(int((favour > 2).sum()), 1000).high < truth
    assert interval_of_majority(*posteriors(favour, np.full(1000, 5)), range(1000)).high > truth


def test_the_interval_of_a_majority_narrows_with_the_draws_and_is_wilsons_where_nothing_is_drawn():
    rng = np.random.default_rng(1)
    p = rng.beta(2, 2, 300)
    widths = []
    for k in (3, 11, 101):
        low, high = interval_of_majority(*posteriors(rng.binomial(k, p), np.full(300, k)), range(300))
        widths.append(high - low)
    known = interval_of_majority(list(p), [0.0] * 300)
    assert known == wilson(int((p > 0.5).sum()), 300)
    assert widths[0] > 1.2 * widths[1] and widths[2] < 1.1 * (known.high - known.low)


def test_copies_of_an_item_count_once_for_a_majority_too():
    favour = np.repeat([5, 0, 4, 1], 25)
    shares, errors = posteriors(favour, np.full(100, 5))
    one = interval_of_majority(shares, errors, list(range(100)))
    copies = interval_of_majority(shares, errors, [i // 25 for i in range(100)])
    assert copies.low < one.low and copies.high > one.high


@pytest.mark.parametrize("favour", [[0] * 30, [5] * 30, [2] * 30, [3]])
def test_equal_or_single_draws_still_give_an_interval_within_bounds(favour):
    shares, errors = posteriors(np.array(favour), np.full(len(favour), 5))
    low, high = interval_of_majority(shares, errors, list(range(len(favour))))
    assert 0 <= low < high <= 1
