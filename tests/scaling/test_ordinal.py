"""Rank tests along an order without distances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pipeline.scaling.ordinal import ordered
from pipeline.statistics.intervals import wilson


def test_p_and_tau_agree_with_scipy_where_each_place_has_one_model():
    scores = [0.4, 0.6, 0.5, 0.7, 0.8, 0.75]
    found, theirs = ordered(range(6), scores), stats.kendalltau(range(6), scores, method="exact")
    assert (found.statistic, found.p_value) == (pytest.approx(theirs.statistic), pytest.approx(theirs.pvalue))


def test_three_places_can_never_decide_and_that_is_said_with_the_p_they_could_reach():
    found = ordered([0, 1, 2], [0.2, 0.5, 0.9])
    assert found.verdict == "undecided" and found.smallest_p == pytest.approx(2 / 6) and ".333" in found.needs


def test_replicated_types_in_order_decide_with_two_each():
    found = ordered([0, 0, 1, 1, 2, 2], [0.4, 0.45, 0.5, 0.55, 0.6, 0.7])
    assert found.verdict == "rises" and found.p_value == found.smallest_p == pytest.approx(2 * 2**3 / 720)
    assert ordered([0, 0, 1, 1, 2, 2], [0.7, 0.6, 0.55, 0.5, 0.45, 0.4]).verdict == "falls"


def test_perfect_order_of_tiny_differences_is_no_trend():
    assert ordered(range(6), [0.5 + 0.001 * i for i in range(6)]).verdict == "undecided"


def test_scores_that_are_all_the_same_have_p_one():
    assert ordered(range(6), [0.5] * 6).p_value == 1


def test_models_without_an_order_are_given_one_in_at_most_5_percent():
    draw = np.random.default_rng(0)
    false = sum(ordered([0, 0, 1, 1, 2, 2], draw.random(6)).verdict != "undecided" for _ in range(400))
    assert wilson(false, 400, 0.999).low <= 0.05


def test_more_than_eight_models_are_permuted_at_random():
    assert ordered(range(10), np.linspace(0.2, 0.9, 10)).p_value == pytest.approx(1 / 100_001)


@pytest.mark.parametrize("scores", [[0.1, float("nan")], [0.1, 1.5], [0.1]])
def test_scores_that_are_none_are_an_error(scores):
    with pytest.raises(ValueError):
        ordered([0, 1], scores)
