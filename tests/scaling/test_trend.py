"""The verdict on planted answers: families with a known slope, with none, and with too little to say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pipeline.scaling.curves import curves
from pipeline.scaling.trend import inverse_scaling, trend
from pipeline.statistics.intervals import interval_of_proportion

from .ladders import family, point


def test_slope_and_interval_agree_with_scipy():
    points = [point(size, s) for size, s in zip((1e8, 3e8, 1e9, 3e9, 1e10), (0.4, 0.52, 0.5, 0.61, 0.66), strict=True)]
    ours, line = (
        trend(points)[0],
        stats.linregress(np.log10([p.parameters for p in points]), [100 * p.score for p in points]),
    )
    assert ours.slope_points_per_decade == pytest.approx(line.slope)
    assert ours.slope_high - ours.slope_low == pytest.approx(2 * stats.t.ppf(0.975, 3) * line.stderr)
    assert ours.change == pytest.approx(2 * line.slope) and ours.span_decades == pytest.approx(2)


def test_nine_points_say_that_their_orders_were_drawn_at_random():
    assert "100,000 random orders" in trend(family(9, 10.0, 500, 0.0, np.random.default_rng(0)))[0].interval_method


def test_fewer_than_five_sizes_are_undecided_and_say_which_family_has_how_many():
    points = [
        point(135e6, 0.5, family="SmolLM2"),
        point(494e6, 0.6, family="Qwen2.5-Coder"),
        point(1.54e9, 0.9, family="Qwen2.5-Coder"),
    ]
    result, inverse = trend(points, "more")
    assert (result.verdict, inverse, result.n_families) == ("undecided", None, 2)
    assert result.needs.startswith(
        "five sizes of one family, or three each of three families; the largest family here, "
    )
    assert "Qwen2.5-Coder, has 2; a change of 10 points a decade is found by five sizes" in result.needs
    assert result.slope_points_per_decade == pytest.approx(30 / math.log10(1540 / 494))
    assert (result.slope_low, result.slope_high, result.p_value, result.interval_method) == (None, None, None, None)


def test_points_measured_in_another_way_are_not_joined_and_needs_says_so():
    points = [point(s, 0.5, quantisation="q4" if i % 2 else None) for i, s in enumerate((1e8, 2e8, 4e8, 8e8, 1e9))]
    result, _ = trend(points)
    assert result.verdict == "undecided"
    assert "Pythia, has 3" in result.needs and "differ in quantisation" in result.needs


def test_template_hashes_do_not_keep_sizes_apart():
    assert len(curves([point(1e8, template_hash="a"), point(1e9, template_hash="b")])) == 1


@pytest.mark.parametrize(
    "spoilt", [{"mass": 0.1}, {"yes_rate": 1.0}, {"score": float("nan")}, {"family": None}, {"parameters": None}]
)
def test_a_point_that_measures_nothing_is_left_out_with_its_reason(spoilt):
    points = [*family(5, 10.0, 1000, 0.0, np.random.default_rng(0))[:4], point(**{"parameters": 1e10, **spoilt})]
    result, _ = trend(points)
    assert result.verdict == "undecided" and "has 4" in result.needs and f"Left out: {points[-1].model}" in result.needs


@pytest.mark.parametrize(
    "points",
    [
        [],
        [point()],
        [point(1e9, 0.4), point(1e9, 0.8)],
        [point(None)] * 6,
        [point(10**i, i % 2, 10) for i in range(7, 12)],
        [point(10**i, 0.0, 10) for i in range(7, 12)],
        [point(10**i, 0.5, 10, mass=0.0) for i in range(7, 12)],
    ],
)
def test_too_little_input_is_undecided_and_says_what_is_needed(points):
    result, inverse = trend(points, "more")
    assert result.verdict == "undecided" and result.needs and inverse is None


@pytest.mark.parametrize(("n", "clusters"), [(10, list(range(10))), (1000, [0] * 1000)])
def test_ten_items_or_copies_of_one_item_make_no_trend_however_many_models(n, clusters):
    points = []
    for i in range(10):
        low, high = interval_of_proportion([i > 4] * n, clusters)
        points.append(point(10 ** (7 + i / 3), float(i > 4), n, score_low=low, score_high=high))
    result, _ = trend(points)
    assert result.verdict == "undecided" and "fewer than 20 different items" in result.needs


def test_two_families_with_opposite_trends_are_undecided():
    rng = np.random.default_rng(1)
    up = family(6, 12.0, 1000, 0.0, rng)
    down = [p.model_copy(update={"family": "OPT"}) for p in family(6, -12.0, 1000, 0.0, rng)]
    assert trend(up)[0].verdict == "rises"
    result, _ = trend([*up, *down])
    assert result.verdict == "undecided" and "OPT" in result.needs


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"estimator": "samples"}, "estimator: loglikelihood, samples"),
        ({"rendering": "chat"}, "rendering: base, chat"),
        ({"estimator": "loglikelihood+top_logprobs"}, "estimator: loglikelihood, loglikelihood+top_logprobs"),
    ],
)
def test_points_of_one_family_measured_in_two_ways_are_fitted_apart_and_that_is_said(changes, words):
    rng = np.random.default_rng(2)
    exact = family(6, 15.0, 1000, 0.0, rng)
    other = [p.model_copy(update={"score": 0.9, **changes}) for p in family(2, 0.0, 1000, 0.0, rng)]
    result, _ = trend([*exact, *other])
    assert result.slope_points_per_decade == trend(exact)[0].slope_points_per_decade
    (said,) = [text for text in result.assumptions if "more than one way" in text]
    assert words in said and "neither joined nor fitted together" in said
    assert any(text.startswith("The verdict is that of Pythia with") for text in result.assumptions)
    assert not any("more than one way" in text for text in trend(exact)[0].assumptions)


def test_a_sampled_curve_says_what_its_score_is():
    points = [
        p.model_copy(update={"estimator": "samples"}) for p in family(6, 15.0, 1000, 0.0, np.random.default_rng(0))
    ]
    assert any("majority of its few draws" in text for text in trend(points)[0].assumptions)
    assert not any("draws" in text for text in trend([point(1e9)])[0].assumptions)


def test_only_the_undesired_direction_makes_a_trend_inverse_scaling():
    assert inverse_scaling("rises", "more") is True and inverse_scaling("rises", "less") is False
    assert inverse_scaling("falls", "less") is True and inverse_scaling("flat", "more") is False
    assert inverse_scaling("rises", "neither") is None and inverse_scaling("undecided", "more") is None


def test_a_decided_trend_needs_nothing_and_never_claims_a_mechanism():
    result, inverse = trend(family(6, 15.0, 1000, 0.0, np.random.default_rng(0)), "more")
    assert (result.verdict, result.needs, result.mechanism, inverse) == ("rises", None, "undetermined", True)


def test_points_exactly_on_a_line_still_have_an_interval_of_some_width():
    result, _ = trend([point(10**i, 0.1 * (i - 5), 100) for i in range(7, 12)])
    assert result.slope_low < result.slope_points_per_decade < result.slope_high
    assert "the models lie on a line" in result.interval_method
