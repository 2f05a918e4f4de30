"""The verdict on planted answers: families with a known slope, with none, and with too little to say."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from pipeline.scaling.curves import curves
from pipeline.scaling.trend import DRAWS, fit, inverse_scaling, permutation_p, trend
from pipeline.schema import Point
from pipeline.statistics.intervals import interval_of_proportion, wilson


def point(parameters: float | None = 1e9, score: float = 0.5, n: int = 200, **changes) -> Point:
    low, high = wilson(round(score * n), n) if math.isfinite(score) else (0.0, 1.0)
    fields = {
        **{"model": f"hf/org/m-{parameters}", "family": "Pythia", "kind": "base", "rendering": "base"},
        **{"quantisation": None, "dtype": "bfloat16", "template_hash": "x", "training_tokens": None, "thinking": False},
        **{"parameters": None if parameters is None else int(parameters), "estimator": "loglikelihood", "mass": 0.9},
        **{"n": n, "score": score, "score_low": low, "score_high": high, "mean_probability": score, "yes_rate": 0.5},
        **{"position_bias": None, "refusal_rate": None, "comprehension": None},
    }
    return Point(**{**fields, **changes})


def family(k: int, slope: float, n: int, sd: float, rng: np.random.Generator) -> list[Point]:
    """k sizes over two decades; `slope` and the between-model `sd` in points.

    The models answer the same n items: four in five are as hard for one as for the other, the rest are noise.
    """
    sizes = np.logspace(8, 10, k)
    true = 0.5 + (slope * (np.log10(sizes) - 9) + rng.normal(0, sd, k)) / 100
    shared, own, common = rng.random(n), rng.random((k, n)), rng.random(n) < 0.8
    shares = (np.where(common, shared, own) < true[:, None]).mean(axis=1)
    return [point(parameters, share, n) for parameters, share in zip(sizes, shares, strict=True)]


def verdicts(runs: int, *args: float, seed: int = 0, **kwargs: float) -> list[str]:
    rng = np.random.default_rng(seed)
    return [trend(family(*args, rng=rng, **kwargs))[0].verdict for _ in range(runs)]


@pytest.mark.parametrize(("k", "n", "sd"), [(5, 50, 0), (5, 200, 4), (6, 1000, 2), (7, 200, 1)])
def test_a_family_without_a_trend_is_given_one_in_at_most_5_percent(k, n, sd):
    runs = 300
    false = sum(v in ("rises", "falls") for v in verdicts(runs, k, 0.0, n, sd, seed=k))
    assert wilson(false, runs, 0.999).low <= 0.05


def test_ten_points_a_decade_are_mostly_found_and_with_the_right_sign():
    up, down = verdicts(150, 6, 10.0, 200, 2.0), verdicts(150, 6, -10.0, 200, 2.0)
    assert up.count("rises") > 0.75 * 150 and "falls" not in up
    assert down.count("falls") > 0.75 * 150 and "rises" not in down


def test_five_points_a_decade_are_never_called_flat_in_more_than_5_percent():
    false = verdicts(200, 7, 5.0, 1000, 1.0).count("flat")
    assert wilson(false, 200, 0.999).low <= 0.05


def test_a_truly_flat_family_is_called_flat_with_nine_sizes_and_a_thousand_items():
    assert verdicts(40, 9, 0.0, 1000, 0.5).count("flat") > 0.6 * 40


def test_the_interval_of_the_slope_covers_the_planted_slope():
    rng = np.random.default_rng(3)
    found = [trend(family(5, 4.0, 200, 3.0, rng))[0] for _ in range(600)]
    covered = sum(t.slope_low <= 4.0 <= t.slope_high for t in found)
    assert wilson(covered, 600, 0.999).low < 0.95 < wilson(covered, 600, 0.999).high


def test_slope_and_interval_agree_with_scipy():
    points = [point(size, s) for size, s in zip((1e8, 3e8, 1e9, 3e9, 1e10), (0.4, 0.52, 0.5, 0.61, 0.66), strict=True)]
    ours, line = (
        trend(points)[0],
        stats.linregress(np.log10([p.parameters for p in points]), [100 * p.score for p in points]),
    )
    assert ours.slope_points_per_decade == pytest.approx(line.slope)
    assert ours.slope_high - ours.slope_low == pytest.approx(2 * stats.t.ppf(0.975, 3) * line.stderr)
    assert ours.change == pytest.approx(2 * line.slope) and ours.span_decades == pytest.approx(2)


def test_permutation_p_equals_a_plain_enumeration():
    x, y = [0.0, 0.4, 1.1, 1.5, 2.0], [3.0, 1.0, 4.0, 4.0, 5.0]

    def slope(values):
        return abs(np.polyfit(x, values, 1)[0])

    plain = np.mean([slope(order) >= slope(y) - 1e-9 for order in itertools.permutations(y)])
    assert permutation_p(x, y) == pytest.approx(plain)


def test_perfect_order_has_the_smallest_possible_p_and_no_variation_has_p_one():
    assert permutation_p([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]) == pytest.approx(2 / 120)
    assert permutation_p([1, 2, 3, 4, 5], [7.1] * 5) == 1


def test_nine_points_are_permuted_at_random_and_the_same_way_each_time():
    x, y = list(range(9)), [1, 3, 2, 5, 4, 6, 8, 7, 9]
    assert permutation_p(x, y) == permutation_p(x, y) >= 1 / (1 + DRAWS)
    nine = family(9, 10.0, 500, 0.0, np.random.default_rng(0))
    assert "100,000 random orders" in trend(nine)[0].interval_method


def test_fewer_than_five_sizes_are_undecided_and_say_which_family_has_how_many():
    points = [
        point(135e6, 0.5, family="SmolLM2"),
        point(494e6, 0.6, family="Qwen2.5-Coder"),
        point(1.54e9, 0.9, family="Qwen2.5-Coder"),
    ]
    result, inverse = trend(points, "more")
    assert (result.verdict, inverse, result.n_families) == ("undecided", None, 2)
    assert result.needs == "five sizes of one family; the largest family here, Qwen2.5-Coder, has 2"
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
    line = fit(curves([point(10**i, 0.1 * (i - 5), 100) for i in range(7, 12)])[0])
    low, high = line.slope_interval()
    assert low < line.slope < high
