"""Power by simulation: it grows with what should help, and gives back the shares of the verdicts."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.scaling.design import Design
from pipeline.scaling.power import power

FIVE, SEVEN = np.logspace(8, 10, 5).tolist(), np.logspace(8, 10, 7).tolist()


def test_shares_add_up_to_one_and_the_same_seed_gives_the_same_power():
    one = power(10, FIVE, 200, runs=300)
    assert one.detected + one.false_direction + one.undecided + one.flat == pytest.approx(1) and one.n == 300
    assert one == power(10, FIVE, 200, runs=300) != power(10, FIVE, 200, runs=300, seed=1)


def test_more_items_sizes_and_families_and_less_scatter_find_more():
    base = power(5, FIVE, 200, runs=600).detected
    assert power(5, SEVEN, 200, runs=600).detected > base + 0.05
    assert power(5, FIVE, 2000, runs=600).detected > base + 0.05
    assert power(5, FIVE, 200, runs=600, families=3).detected > base + 0.05
    assert power(5, FIVE, 200, runs=600, between_sd=5.0).detected < base - 0.05


def test_a_fall_is_found_as_often_as_a_rise_and_a_u_only_from_six_sizes():
    assert power(-10, SEVEN, 200, runs=400).detected == pytest.approx(
        power(10, SEVEN, 200, runs=400).detected, abs=0.06
    )
    assert power(20, FIVE, 200, shape="U", runs=200).detected == 0
    assert power(-25, SEVEN, 200, shape="U", runs=200).detected > 0.9


def test_no_effect_is_never_detected_and_seldom_taken_for_one():
    none = power(0, SEVEN, 200, runs=1000)
    assert none.detected == 0 and none.false_direction < 0.07


def test_families_whose_slopes_differ_decide_less_often_than_families_alike():
    alike = power(6, FIVE, 500, families=3, runs=400).detected
    assert power(6, FIVE, 500, families=3, family_sd=8.0, runs=400).detected < alike


@pytest.mark.parametrize("wrong", [{"items": 0}, {"families": 0}, {"base": 1.0}, {"between_sd": -1}, {"runs": 0}])
def test_numbers_out_of_range_are_an_error(wrong):
    given = {"items": 100, **wrong}
    with pytest.raises(ValueError):
        power(5, FIVE, given.pop("items"), **given)


@pytest.mark.parametrize("sizes", [[0.0, 1e9], [float("nan"), 1e9], [], [-1e8, 1e9]])
def test_sizes_that_are_none_are_an_error(sizes):
    with pytest.raises(ValueError):
        Design.of(sizes)
