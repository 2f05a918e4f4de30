"""Axes other than size, with planted trends along them, and none."""

from __future__ import annotations

import pytest

from pipeline.scaling.axes import along, on_size
from pipeline.schema import Point
from pipeline.statistics.intervals import wilson
from pipeline.trends import AlongAxis


def point(model: str, score: float, **fields: object) -> Point:
    low, high = wilson(score * 500, 500)
    values: dict[str, object] = {
        "model": model, "family": "F", "kind": "chat", "quantisation": None, "dtype": None, "rendering": "chat",
        "template_hash": None, "parameters": 10**9, "training_tokens": None, "thinking": False, "n": 500,
        "score": score, "score_low": low, "score_high": high, "mean_probability": 0.5, "mass": 0.9, "yes_rate": 0.5,
        "position_bias": None, "refusal_rate": None, "comprehension": None, "estimator": "loglikelihood",
    }  # fmt: skip
    return Point.model_validate({**values, **fields})


def steps(scores: dict[float, float], **fields: object) -> list[Point]:
    return [
        point(f"hf/a/b@step{value:g}", score, axis="steps", axis_value=value, **fields)
        for value, score in scores.items()
    ]


RISING = {1e3: 0.30, 2e3: 0.37, 4e3: 0.43, 8e3: 0.51, 16e3: 0.57, 32e3: 0.66, 64e3: 0.71}


def only(points: list[Point]) -> AlongAxis:
    (found,) = along(points)
    return found


def test_a_trend_over_steps_is_found_on_their_logarithm() -> None:
    found = only(steps(RISING))
    assert found.trend is not None and found.trend.verdict == "rises"
    assert found.trend.slope_points_per_decade == pytest.approx(23, abs=1)
    assert found.order is not None and found.order.verdict == "rises"
    assert found.values == list(RISING) and "not independent" in found.note


def test_step_0_has_no_place_on_a_logarithm_and_takes_part_in_the_ranks_alone() -> None:
    found = only(steps({0.0: 0.9, **RISING}))
    assert found.trend is not None
    assert found.trend.slope_points_per_decade == pytest.approx(23, abs=1)
    assert found.left_out == [
        "hf/a/b@step0 lies at 0, which a logarithmic axis has no place for (in the test of the order it takes part)"
    ]
    assert found.order is not None and found.order.places == 8 and found.order.statistic < 1


def test_no_trend_is_found_where_none_is_planted() -> None:
    found = only(steps(dict(zip(RISING, (0.5, 0.52, 0.49, 0.5, 0.48, 0.51, 0.5), strict=True))))
    assert found.trend is not None and found.trend.verdict in ("undecided", "flat")
    assert found.order is not None and found.order.verdict == "undecided"


def test_a_point_on_another_axis_is_on_no_curve_of_sizes() -> None:
    sized = [point(f"hf/a/{i}", 0.5, parameters=10**i) for i in range(7, 12)]
    assert on_size([*sized, *steps(RISING)]) == sized


def test_checkpoints_of_two_sizes_are_two_curves() -> None:
    found = along([*steps(RISING), *steps({1e3: 0.5, 2e3: 0.5}, parameters=5 * 10**9)])
    assert sorted(len(each.models) for each in found) == [2, 7]


def test_api_models_in_order_are_tested_by_ranks_alone_and_three_can_show_nothing() -> None:
    found = only(
        [point(f"openai/{i}", 0.2 + 0.3 * i, parameters=None, axis="order", axis_value=i + 1.0) for i in range(3)]
    )
    assert found.trend is None and found.order is not None
    assert (found.order.verdict, found.order.statistic) == ("undecided", 1)
    assert found.order.smallest_p == pytest.approx(2 / 6)


def test_the_plain_model_is_the_best_of_one_reply_and_nothing_is_tested_there() -> None:
    best = [
        point("local/x", 0.5 + 0.1 * i, variant=f"best of {k}", baseline="local/x", best_of=k, axis="best_of",
              axis_value=k)
        for i, k in enumerate((4, 16), start=1)
    ]  # fmt: skip
    found = only([*best, point("local/x", 0.5), point("local/other", 0.9)])
    assert (found.values, found.scores) == ([1, 4, 16], [0.5, 0.6, 0.7])
    assert found.models[0] == "local/x"
    assert found.trend is None and found.order is None and "by construction" in found.note


def test_types_of_several_families_are_replicates_of_one_order() -> None:
    points = []
    for family in "FGH":
        points.append(point(f"hf/{family}", 0.3, family=family))
        for value, name, score in ((2.0, "prompted", 0.5), (3.0, "tuned", 0.8)):
            points.append(
                point(f"hf/{family}", score, family=family, variant=name, baseline=f"hf/{family}", axis="type",
                      axis_value=value)
            )  # fmt: skip
    found = only(points)
    assert len(found.models) == 9 and found.order is not None and found.order.places == 3
    assert found.order.verdict == "rises" and found.order.p_value < 0.01


def test_a_point_that_is_not_fit_for_a_test_is_left_out_of_the_ranks_with_its_reason() -> None:
    found = only([*steps({1e3: 0.2, 2e3: 0.3}), *steps({4e3: 0.4}, mass=0.1)])
    assert found.order is not None and found.order.places == 2
    assert found.left_out == ["hf/a/b@step4000 puts only 0.10 of its probability on the valid answers"]


def test_without_points_on_another_axis_there_is_nothing_to_say() -> None:
    assert along([point("hf/a", 0.5)]) == []
