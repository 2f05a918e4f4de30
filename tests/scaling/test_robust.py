"""What takes a verdict away: refusals, invalid answers, other wordings; and input that measures nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.scaling.trend import trend

from .ladders import family, point

RISING = family(6, 12.0, 1000, 0.0, np.random.default_rng(0))
TRENDS = ("rises", "falls", "U", "inverted U")


def changed(points, **by_index):
    return [p.model_copy(update={name: value(i, p) for name, value in by_index.items()}) for i, p in enumerate(points)]


def test_a_verdict_that_stands_at_both_bounds_stands():
    points = changed(RISING, score_worst=lambda i, p: p.score - 0.02, score_best=lambda i, p: min(1.0, p.score + 0.02))
    result, _ = trend(points)
    assert result.verdict == "rises" and result.bounds == {"worst": "rises", "best": "rises"}


def test_refusals_that_could_be_the_whole_rise_make_it_undecided_with_the_reason():
    points = changed(RISING, score_worst=lambda i, p: p.score, score_best=lambda i, p: RISING[-1].score)
    result, inverse = trend(points, "more")
    assert (result.verdict, inverse) == ("undecided", None) and result.bounds["worst"] == "rises"
    assert "refusals and invalid answers" in result.needs and "best case" in result.needs


def test_bounds_that_only_some_points_have_are_not_used():
    points = changed(RISING, score_worst=lambda i, p: 0.1 if i else None, score_best=lambda i, p: 0.9)
    assert trend(points)[0].bounds == {} and trend(points)[0].verdict == "rises"


def test_wordings_that_agree_leave_the_verdict_and_their_slopes_are_told():
    points = changed(RISING, wordings=lambda i, p: {"statement": p.score, "agree": p.score - 0.1})
    result, _ = trend(points)
    assert result.verdict == "rises" and result.wordings_agree is True
    assert result.wordings["agree"] == pytest.approx(result.wordings["statement"])
    assert result.wordings["statement"] == pytest.approx(result.slope_points_per_decade)


def test_a_trend_that_the_other_wordings_do_not_have_is_undecided_and_says_so():
    points = changed(RISING, wordings=lambda i, p: {"statement": p.score, "agree": 0.5, "reversed": 1 - p.score})
    result, _ = trend(points)
    assert result.verdict == "undecided" and result.wordings_agree is False and "wordings" in result.needs


def test_a_wording_that_one_model_was_not_asked_is_left_aside():
    points = changed(RISING, wordings=lambda i, p: {"statement": p.score, **({"agree": 0.5} if i else {})})
    assert trend(points)[0].verdict == "rises" and trend(points)[0].wordings == {}


@pytest.mark.parametrize(
    "spoilt",
    [
        {"score_low": 0.9, "score_high": 0.1},
        {"score_low": math.nan},
        {"mass": math.nan},
        {"score": math.inf},
        {"score": 1.5},
        {"n": 0},
        {"score_high": math.inf},
    ],
)
def test_a_point_with_impossible_figures_is_left_out_with_its_reason(spoilt):
    result, _ = trend([*RISING[:4], RISING[4].model_copy(update=spoilt)])
    assert result.verdict == "undecided" and f"Left out: {RISING[4].model}" in result.needs


def test_an_end_near_its_ceiling_is_noted_and_controls_are_the_ends_only_where_they_move_the_model():
    def noted(**controls):
        points = changed(RISING, **{name: lambda i, p, v=value: v for name, value in controls.items()})
        return [text for text in trend(points)[0].assumptions if "within 3 points of its ceiling" in text]

    top = RISING[-1].score + 0.02
    assert len(noted(positive_control=top, negative_control=0.1)) == 1
    assert not noted(positive_control=top, negative_control=top - 0.1) and not noted()


def test_the_exchangeable_scatter_is_named_among_the_assumptions():
    assert any("exchangeable" in text for text in trend(RISING)[0].assumptions)


def test_an_undecided_trend_says_what_would_decide_it_in_sizes_items_or_families():
    result, _ = trend(family(5, 4.0, 200, 3.0, np.random.default_rng(4)))
    assert result.verdict == "undecided" and "80 % of ladders" in result.needs
    assert any(word in result.needs for word in ("items", "sizes", "families", "decades"))


scores = st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0, math.nan, math.inf, -1.0])
points = st.lists(
    st.tuples(
        st.sampled_from([None, 0, 1, 10**8, 3 * 10**8, 10**9, 10**10]),
        scores,
        st.sampled_from([1, 10, 25, 1000]),
        st.sampled_from(["A", "B", None]),
        st.sampled_from(["samples", "loglikelihood"]),
        st.tuples(st.floats(0, 0.2), st.floats(0, 0.2)) | st.just((math.nan, 0.1)),
    ),
    max_size=9,
)


@given(points)
@settings(max_examples=60, deadline=None)
def test_no_input_whatever_breaks_the_trend_and_too_few_sizes_never_decide_it(rows):
    given_points = []
    for i, (size, score, n, name, estimator, (below, above)) in enumerate(rows):
        ends = {"score_low": max(0.0, score - below) if score == score else 0.1, "score_high": min(1.0, score + above)}
        fields = {"model": f"m{i}", "family": name, "estimator": estimator, "score": score, **ends}
        given_points.append(point(1e9, 0.5, n).model_copy(update={**fields, "parameters": size}))
    result, inverse = trend(given_points, "more")
    assert result.verdict in (*TRENDS, "flat", "undecided") and (result.verdict == "undecided") == (
        result.needs is not None
    )
    if len({p.parameters for p in given_points if p.parameters}) < 3:
        assert result.verdict == "undecided" and inverse is None
    for value in (result.slope_points_per_decade, result.p_value, result.slope_low, result.change):
        assert value is None or math.isfinite(value)


def test_all_answers_the_same_at_every_size_are_no_trend():
    rising = trend([point(10**i, 0.62, 30) for i in range(7, 13)])[0]
    assert rising.verdict in ("undecided", "flat") and rising.p_value == 1
