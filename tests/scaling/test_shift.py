"""What one change does to a model, paired over items, with planted changes."""

from __future__ import annotations

import math
import random

import pytest

from pipeline.scaling.shift import paired_interval, pairs, shift
from pipeline.schema import Answer, Point


def point(model: str, **fields: object) -> Point:
    values: dict[str, object] = {
        "model": model, "family": "F", "kind": "chat", "quantisation": None, "dtype": "bfloat16", "rendering": "chat",
        "template_hash": None, "parameters": 10**9, "training_tokens": None, "thinking": False, "n": 100, "score": 0.5,
        "score_low": 0.4, "score_high": 0.6, "mean_probability": 0.5, "mass": 0.9, "yes_rate": 0.5,
        "position_bias": None, "refusal_rate": None, "comprehension": None, "estimator": "loglikelihood",
    }  # fmt: skip
    return Point.model_validate({**values, **fields})


def answers(probabilities: list[float]) -> list[Answer]:
    return [
        Answer(id=str(i), p_matching=p, mass=1, log_odds=math.log(p / (1 - p)), matches=p > 0.5,
               estimator="loglikelihood", answer_form=" Yes")
        for i, p in enumerate(probabilities)
    ]  # fmt: skip


PLAIN, FEWER = point("local/x"), point("rounded/4/local/x", quantisation="int4")


def test_two_points_that_differ_in_quantisation_alone_are_a_pair_coarser_one_last() -> None:
    for order in ([PLAIN, FEWER], [FEWER, PLAIN]):
        (pair,) = pairs(order)
        assert (pair.before, pair.after, pair.change) == (PLAIN, FEWER, "unquantised to int4")
    eight = point("rounded/8/local/x", quantisation="Q4_K_M, int8")
    (pair,) = pairs([eight, point("local/x", quantisation="Q4_K_M")])
    assert pair.change == "Q4_K_M to Q4_K_M, int8"


def test_several_quantisations_are_each_compared_with_the_finest() -> None:
    names = ["Q4_K_M, int8", "Q4_K_M, int4", "Q4_K_M"]
    found = pairs([point(f"local/{name}", quantisation=name) for name in names])
    assert [pair.change for pair in found] == ["Q4_K_M to Q4_K_M, int8", "Q4_K_M to Q4_K_M, int4"]


@pytest.mark.parametrize(
    "other",
    [{"parameters": 2 * 10**9}, {"family": "G"}, {"kind": "base"}, {"dtype": "float32"}, {"estimator": "samples"},
     {"rendering": "base"}, {"axis": "steps", "axis_value": 3.0}, {"variant": "prompted"}],
)  # fmt: skip
def test_points_that_differ_in_anything_else_show_nothing_of_quantisation(other: dict[str, object]) -> None:
    assert pairs([PLAIN, point("hf/y", quantisation="int4", **other)]) == []


def test_checkpoints_of_one_model_are_no_quantisations_of_each_other() -> None:
    assert pairs([point("hf/a/b@step1"), point("hf/a/b@step2", quantisation="int4")]) == []


def test_a_variant_is_compared_with_its_plain_model_and_with_nothing_else() -> None:
    prompted = point("local/x", variant="prompted", baseline="local/x")
    tuned = point("local/z", variant="tuned", baseline="local/x", parameters=5)
    found = pairs([PLAIN, prompted, tuned, point("local/other")])
    assert [(pair.before.label, pair.after.label) for pair in found] == [
        ("local/x", "local/x (prompted)"),
        ("local/x", "local/z (tuned)"),
    ]
    assert pairs([prompted]) == []


def test_a_planted_shift_is_found_with_its_flips_and_its_divergence() -> None:
    before = answers([0.2] * 60 + [0.8] * 40)
    after = answers([0.2] * 45 + [0.8] * 15 + [0.8] * 35 + [0.2] * 5)
    (pair,) = pairs([PLAIN, FEWER])
    found = shift(pair, before, after, {})
    assert found is not None
    assert (found.n, found.points, found.flipped) == (100, pytest.approx(10), pytest.approx(0.2))
    assert 0 < found.low < 10 < found.high < 20
    assert found.probability_points == pytest.approx(6)
    assert found.kl == pytest.approx(0.2 * (0.6 * math.log(4)))
    assert found.kl_bound is None


def test_only_items_that_both_answered_count() -> None:
    (pair,) = pairs([PLAIN, FEWER])
    found = shift(pair, answers([0.2, 0.2, 0.2]), answers([0.9, 0.2])[:2], {})
    assert found is not None and found.n == 2
    assert shift(pair, answers([0.2]), [], {}) is None


def test_the_bound_of_the_best_of_k_stands_beside_its_divergence() -> None:
    best = point("local/x", variant="best of 16", baseline="local/x", best_of=16)
    (pair,) = pairs([PLAIN, best])
    found = shift(pair, answers([0.4] * 20), answers([0.9] * 20), {})
    assert found is not None and found.kl_bound is not None and 0 < found.kl < found.kl_bound


def test_few_items_that_stay_as_they_are_prove_nothing() -> None:
    ten, thousand = paired_interval([0.0] * 10, range(10)), paired_interval([0.0] * 1000, range(1000))
    assert ten.high > 0.15 and thousand.high < 0.005
    copies = paired_interval([0.0] * 1000, [0] * 1000)
    assert copies.high > 0.05


def test_the_interval_covers_the_true_change_in_about_95_of_100_runs() -> None:
    draw, covered, runs = random.Random(1), 0, 1_500
    for _ in range(runs):
        moved = [draw.choices((1, -1, 0), (0.12, 0.04, 0.84))[0] for _ in range(80)]
        low, high = paired_interval(moved, range(80))
        covered += low <= 0.08 <= high
    assert 0.93 <= covered / runs <= 0.975
