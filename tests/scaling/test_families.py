"""Several families: which decide, what they say together, and what the choice of items explains."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.scaling.breakpoint import two_lines
from pipeline.scaling.curves import curves, left_out, place
from pipeline.scaling.design import Design
from pipeline.scaling.families import SharedItems, chosen, in_general, ladder
from pipeline.scaling.item_error import ItemErrors, of_answers
from pipeline.scaling.slope import can_reach, slopes
from pipeline.scaling.these_models import bootstrap
from pipeline.scaling.trend import trend
from pipeline.statistics.intervals import t_quantile

from .ladders import family, observed, point


def families(
    slopes_by_name: dict[str, float], k: int, n: int = 1000, sd: float = 0.5, seed: int = 0, level: float = 0.0
):
    rng, points = np.random.default_rng(seed), []
    for i, (name, slope) in enumerate(slopes_by_name.items()):
        sizes = np.logspace(8, 10, k)
        true = 0.5 + level * i + (slope * (np.log10(sizes) - 9) + rng.normal(0, sd, k)) / 100
        points += observed(sizes, true, n, rng, family=name)
    return points


def test_three_families_of_three_sizes_decide_together_what_none_can_alone():
    result, _ = trend(families({"A": 12, "B": 12, "C": 12}, 3, level=0.1))
    assert result.verdict == "rises" and result.p_these_families == result.p_value == pytest.approx(2 / 216)
    assert [each.verdict for each in result.families] == ["undecided"] * 3 and result.confirmed is False
    assert "parallel lines for 3 families" in result.interval_method


def test_two_families_of_three_sizes_cannot_decide_and_the_figures_are_of_one():
    result, _ = trend(families({"A": 12, "B": 12}, 3))
    assert result.verdict == "undecided" and result.p_these_families is None
    assert not can_reach(Design.of([1, 2, 3], [1, 2, 3])) and can_reach(Design.of([1, 2, 3, 4], [1, 2, 3]))


def test_a_level_of_its_own_for_each_family_does_not_move_the_slope():
    near, far = (trend(families({"A": 8, "B": 8}, 5, level=level))[0] for level in (0.0, 0.2))
    assert far.slope_points_per_decade == pytest.approx(near.slope_points_per_decade, abs=1.5)


def test_confirmed_takes_two_families_that_each_decide_the_same_way():
    two = trend(families({"A": 14, "B": 14}, 6))[0]
    assert (two.verdict, two.confirmed) == ("rises", True)
    assert trend(families({"A": 14}, 6))[0].confirmed is False
    assert trend(families({"A": 0.0}, 3))[0].confirmed is None


def test_a_family_that_goes_the_other_way_takes_the_verdict_away_and_is_named():
    result, _ = trend(families({"A": 14, "B": 14, "C": -14}, 4))
    assert result.verdict == "undecided" and "C" in result.needs


def test_families_in_general_are_a_t_interval_of_their_slopes_from_three_on():
    result, _ = trend(families({"A": 6, "B": 9, "C": 15}, 5))
    found = np.array([each.slope for each in result.families])
    half = t_quantile(2) * found.std(ddof=1) / np.sqrt(3)
    assert result.slope_families_low == pytest.approx(found.mean() - half)
    assert result.slope_families_high == pytest.approx(found.mean() + half)
    assert in_general(result.families[:2]) is None


def test_one_family_has_one_curve_in_the_verdict_however_it_was_measured():
    points = families({"A": 10}, 6)
    other = [p.model_copy(update={"rendering": "chat", "model": p.model + "c"}) for p in families({"A": 10}, 4, seed=1)]
    assert [(c.family, len(c.points)) for c in chosen(curves([*other, *points]))] == [("A", 6)]
    assert trend([*points, *other])[0].families[1].in_verdict is False


def test_a_variant_is_a_curve_of_its_own():
    plain, told = families({"A": 10}, 3), families({"A": 10}, 3, seed=3)
    told = [p.model_copy(update={"variant": "told", "model": p.model + "t"}) for p in told]
    assert len(curves([*plain, *told])) == 2


def test_what_a_variant_does_neither_makes_nor_takes_away_the_verdict_on_the_models_themselves():
    rising = families({"A": 14}, 6)
    falling = [
        p.model_copy(update={"variant": "told", "model": p.model + "t"}) for p in families({"A": -14}, 7, seed=3)
    ]
    result, _ = trend([*rising, *falling])
    assert result.verdict == "rises" and result.slope_points_per_decade == trend(rising)[0].slope_points_per_decade
    assert [(each.variant, each.verdict) for each in result.families] == [(None, "rises"), ("told", "falls")]
    assert trend(falling)[0].verdict == "falls"


def test_compute_lays_families_out_by_parameters_times_tokens_and_leaves_out_where_tokens_are_unknown():
    points = [p.model_copy(update={"training_tokens": 300e9}) for p in families({"A": 12}, 5)]
    one = point(2e9, family="A", model="unknown")
    result, _ = trend([*points, one], axis="compute")
    assert place(points[0], "compute") == pytest.approx(6 * points[0].parameters * 300e9)
    assert result.axis == "compute" and result.slope_points_per_decade == pytest.approx(
        trend(points)[0].slope_points_per_decade
    )
    assert "training tokens" in left_out(one, "compute") and left_out(one) is None


def test_along_an_axis_of_its_own_variants_of_one_model_are_one_curve():
    steps, rng = (100, 250, 500, 1000, 4000), np.random.default_rng(0)
    points = observed(np.full(5, 7e9), np.linspace(0.4, 0.8, 5), 2000, rng)
    points = [
        p.model_copy(update={"axis_value": float(s), "variant": f"step {s}"})
        for p, s in zip(points, steps, strict=True)
    ]
    result, _ = trend(points, axis="axis_value")
    assert result.verdict == "rises" and result.span_decades == pytest.approx(np.log10(40))


def answers(k: int, n: int, seed: int, alike: float) -> tuple[list, SharedItems]:
    """Points with the answers behind them; a share of the items is answered alike by all models."""
    rng, sizes = np.random.default_rng(seed), np.logspace(8, 10, k)
    common, own = rng.random(n), rng.random((k, n))
    given = np.where(rng.random(n) < alike, common, own) < 0.5
    points = [point(s, row.mean(), n) for s, row in zip(sizes, given, strict=True)]
    by_model = {p.label: {str(i): float(a) for i, a in enumerate(row)} for p, row in zip(points, given, strict=True)}
    return points, SharedItems(by_model, {str(i): i // 3 for i in range(n)})


def test_items_that_all_models_share_explain_less_of_the_slope_than_their_intervals_do():
    points, shared = answers(7, 900, 0, alike=0.9)
    alone, together = ladder(chosen(curves(points))), ladder(chosen(curves(points)), shared)
    assert alone.matrix is None and together.matrix is not None
    errors = [slopes(each.design, each.scores, each.items).item_error[0] for each in (alone, together)]
    assert errors[1] < 0.6 * errors[0]


def test_these_models_only_is_an_interval_from_items_that_all_models_have():
    points, shared = answers(6, 600, 1, alike=0.5)
    result, _ = trend(points, shared=shared)
    assert result.these_models_low < result.slope_points_per_decade < result.these_models_high
    assert trend(points)[0].these_models_low is None
    few = SharedItems(
        {key: dict(list(given.items())[i * 90 :]) for i, (key, given) in enumerate(shared.answers.items())}, {}
    )
    assert trend(points, shared=few)[0].these_models_low is None


def test_the_bootstrap_of_clusters_is_as_wide_as_the_linearised_error_says():
    rng = np.random.default_rng(0)
    given, clusters = (rng.random((5, 600)) < 0.5).astype(float), np.repeat(np.arange(200), 3)
    given = given[:, clusters * 3]
    weights = np.array([-2.0, -1, 0, 1, 2]) / 10
    low, high = bootstrap(given, clusters, weights)
    assert (high - low) / (2 * 1.96) == pytest.approx(of_answers(given, clusters.tolist()).of(weights)[0], rel=0.06)


def test_models_that_answer_25_items_alike_are_not_proof_of_a_flat_trend():
    row = np.tile(np.arange(25) % 2, (9, 1)).astype(float)
    items = of_answers(row, list(range(25)))
    weights = Design.of(np.logspace(8, 10, 9)).centred / Design.of(np.logspace(8, 10, 9)).spread
    assert items.of(weights)[0] == pytest.approx(0, abs=1e-9) and items.cautious(weights)[0] > 2
    assert ItemErrors(errors=np.ones((1, 9))).cautious(weights)[0] == ItemErrors(errors=np.ones((1, 9))).of(weights)[0]


def test_two_lines_meet_where_they_were_planted():
    x = np.linspace(8, 10, 9)
    found = two_lines(x, np.where(x < 9.25, 50 - 10 * (x - 9.25), 50 + 20 * (x - 9.25)), np.zeros(9, dtype=int))
    assert (found.at, found.before, found.after) == (
        pytest.approx(9.25, abs=0.02),
        pytest.approx(-10, abs=0.3),
        pytest.approx(20, abs=0.3),
    )
    assert two_lines(x[:4], x[:4], np.zeros(4, dtype=int)) is None


def test_a_turn_is_told_with_its_vertex_and_two_lines_to_draw():
    rng, sizes = np.random.default_rng(0), np.logspace(8, 10, 7)
    points = observed(sizes, 0.4 + 0.25 * (np.log10(sizes) - 9) ** 2, 2000, rng)
    result, inverse = trend(points, "more")
    assert result.verdict == "U" and inverse is None
    assert 5e8 < result.curvature.vertex_parameters < 2e9 and result.curvature.p_value <= result.curvature.level
    assert (
        result.curvature.slope_before < 0 < result.curvature.slope_after
        and result.level + result.curvature.level == pytest.approx(0.05)
    )
    assert trend(family(5, 0.0, 100, 1.0, rng))[0].curvature is None
