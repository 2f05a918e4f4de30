"""A drift that all behaviours share is found in the mean, and taken out of each."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.scaling.common import common_trend, design_of, grid, residual_trends, two_sided_p
from pipeline.scaling.design import Design
from pipeline.scaling.discovery import smallest_p
from pipeline.schema import Point
from tests.report.test_report import point

SIZES = [10.0 ** (8 + i / 3) for i in range(7)]


def behaviour(
    slope: float, noise: np.random.Generator | None = None, family: str = "A", drift: float = 0.0
) -> list[Point]:
    """Scores in 0..1 on a line of so many points a decade."""
    scatter = noise.normal(0, 0.01, len(SIZES)) if noise else np.zeros(len(SIZES))
    x = np.log10(SIZES) - 9
    return [
        point(size, float(0.5 + (slope + drift) * place / 100 + e), family)
        for size, place, e in zip(SIZES, x, scatter, strict=True)
    ]


def test_a_drift_that_all_share_is_the_common_trend_and_no_residual_one() -> None:
    rng = np.random.default_rng(1)
    found = grid([behaviour(slope, rng, drift=6.0) for slope in [0.0] * 9 + [12.0]])
    common, residuals = common_trend(found), residual_trends(found)
    assert common.line is not None and common.line.slope == pytest.approx(6.0 + 1.2, abs=1)
    assert common.line.p_value is not None and common.line.p_value < 0.01
    assert residuals[9].slope == pytest.approx(12 - 1.2, abs=1.5)
    assert all(abs(residuals[i].slope + 1.2) < 1.5 for i in range(9))
    assert sum(residual.slope for residual in residuals.values()) == pytest.approx(0, abs=1e-9)


def test_the_t_interval_of_a_residual_trend_covers_the_planted_one() -> None:
    rng, covered = np.random.default_rng(2), 0
    for _ in range(200):
        residual = residual_trends(grid([behaviour(s, rng, drift=3) for s in (8.0, -4.0, -4.0, 0.0)]))[0]
        assert residual.low is not None and residual.high is not None
        covered += residual.low <= 8.0 <= residual.high
    assert 0.90 <= covered / 200 <= 0.99


def test_each_family_has_an_intercept_of_its_own() -> None:
    high = [p.model_copy(update={"score": p.score + 0.3}) for p in behaviour(5.0, family="B")]
    found = common_trend(grid([[*behaviour(5.0), *high]]))
    assert found.line is not None and found.line.slope == pytest.approx(5.0)


def test_models_that_few_behaviours_have_and_behaviours_that_lack_a_model_do_not_count() -> None:
    whole = [behaviour(1.0) for _ in range(9)]
    odd = point(1e12, 0.9, "A")
    found = grid([*whole, [*behaviour(2.0), odd], behaviour(3.0)[:-1]])
    assert len(found.points) == 7 and found.rows == tuple(range(10))


def test_a_point_without_mass_is_no_answer_and_one_that_always_says_yes_is() -> None:
    silent = [p.model_copy(update={"mass": 0.1}) for p in behaviour(0.0)]
    habit = [p.model_copy(update={"yes_rate": 1.0}) for p in behaviour(0.0)]
    assert grid([behaviour(0.0), behaviour(0.0), silent, habit]).rows == (0, 1, 3)


def test_without_two_sizes_of_a_family_there_are_means_and_no_line() -> None:
    found = common_trend(
        grid([[point(1e8, 0.4, "A"), point(1e9, 0.6, "B")], [point(1e8, 0.6, "A"), point(1e9, 0.8, "B")]])
    )
    assert [each.mean for each in found.models] == pytest.approx([0.5, 0.7]) and found.line is None
    assert all(each.low is not None and each.low < each.mean for each in found.models)
    empty = common_trend(grid([]))
    assert empty.behaviours == 0 and empty.models == [] and residual_trends(grid([])) == {}


def test_of_a_family_that_was_measured_in_two_ways_the_curve_with_the_most_sizes_counts() -> None:
    other = [p.model_copy(update={"quantisation": "Q4", "score": 0.9}) for p in behaviour(0.0)[:3]]
    found = design_of([*behaviour(0.0), *other, point(1e9, 0.5, "single")])
    assert found is not None and len(found[1]) == 7
    assert all(p.quantisation is None and math.isclose(p.score, 0.5) for p in found[1])


def test_no_p_is_below_the_smallest_that_is_said_whatever_the_sizes_and_both_directions_reach_it() -> None:
    rng = np.random.default_rng(4)
    for counts in ((3,), (4,), (3, 3)):
        design = Design.of(*[np.sort(10 ** rng.uniform(8, 11, count)) for count in counts])
        least = smallest_p(design)
        found = two_sided_p(design, rng.normal(size=(400, len(design.x))))
        assert least is not None and found.min() >= least - 1e-12
        both = two_sided_p(design, np.stack([design.centred**3, -(design.centred**3)]))
        assert both == pytest.approx([least, least])


def test_without_a_trend_a_p_of_at_most_one_in_ten_is_as_rare_as_that() -> None:
    rng = np.random.default_rng(5)
    design = Design.of([1e8, 2e8, 1e9, 1.2e9, 7e9, 1e11])
    share = np.mean(two_sided_p(design, rng.normal(size=(2000, 6))) <= 0.1)
    assert 0.08 < share < 0.12
