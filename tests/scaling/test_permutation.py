"""The permutation tests against plain enumeration, and their level on scores without a trend."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pipeline.scaling.curvature import contrast, curvature_rejects
from pipeline.scaling.design import Design
from pipeline.scaling.permutation import DRAWS, is_exact, permutation_p, rejects
from pipeline.statistics.intervals import wilson


def one(contrast, scores, counts=None) -> float:
    return float(permutation_p(np.array(contrast, float), np.array([scores], float), counts or (len(scores),))[0])


def test_p_equals_a_plain_enumeration():
    x, y = np.array([0.0, 0.4, 1.1, 1.5, 2.0]), [3.0, 1.0, 4.0, 4.0, 5.0]

    def slope(values):
        return abs(np.polyfit(x, values, 1)[0])

    plain = np.mean([slope(order) >= slope(y) - 1e-9 for order in itertools.permutations(y)])
    assert one(x - x.mean(), y) == pytest.approx(plain)


def test_p_of_two_families_equals_a_plain_enumeration_within_each():
    design, y = Design.of([1, 10, 100], [2, 30, 90]), np.array([1.0, 2.0, 4.0, 7.0, 6.0, 9.0])
    every = [[*a, *b] for a in itertools.permutations(y[:3]) for b in itertools.permutations(y[3:])]
    plain = np.mean([abs(design.centred @ order) >= abs(design.centred @ y) - 1e-9 for order in every])
    assert one(design.centred, y, (3, 3)) == pytest.approx(plain)


def test_perfect_order_has_the_smallest_possible_p_and_no_variation_has_p_one():
    assert one([-2, -1, 0, 1, 2], [1, 2, 3, 4, 5]) == pytest.approx(2 / 120)
    assert one([-2, -1, 0, 1, 2], [7.1] * 5) == 1


def test_nine_points_are_permuted_at_random_and_the_same_way_each_time():
    x, y = np.arange(9) - 4, [1, 3, 2, 5, 4, 6, 8, 7, 9]
    assert not is_exact((9,)) and is_exact((8,)) and is_exact((5, 5)) and not is_exact((6, 5))
    assert one(x, y) == one(x, y) >= 1 / (1 + DRAWS)


@pytest.mark.parametrize("sizes", [6, 8, 9])
def test_the_short_cut_for_many_runs_decides_as_the_full_p_does(sizes):
    scores = np.random.default_rng(sizes).normal(0, 1, (120, sizes)) + np.linspace(0, 2, sizes)
    design = Design.of(np.logspace(8, 10, sizes))
    for level in (0.003, 0.025, 0.05):
        full = permutation_p(design.centred, scores, design.counts) <= level
        assert (rejects(design.centred, scores, design.counts, level) == full).all()


def test_curvature_rejects_at_most_its_level_without_any_trend_and_does_not_see_a_line():
    design = Design.of(np.logspace(8, 10, 7))
    noise = np.random.default_rng(1).normal(0, 3, (3000, 7))
    assert wilson(int(curvature_rejects(design, noise, 0.025).sum()), 3000, 0.999).low <= 0.025
    assert contrast(design) @ design.x == pytest.approx(0, abs=1e-12)
    assert (
        curvature_rejects(design, noise + 40 * design.x, 0.025).sum() <= curvature_rejects(design, noise, 0.025).sum()
    )
