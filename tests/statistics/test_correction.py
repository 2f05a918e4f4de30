"""Corrected rates: the literature's worked examples, the authors' own package, and planted truths."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.statistics.correction import (
    Rate,
    prediction_powered_mean,
    prediction_powered_share,
    rogan_gladen,
    rogan_gladen_score,
)
from pipeline.statistics.intervals import t_quantile, wilson
from pipeline.statistics.sampling import Estimate


@pytest.mark.parametrize(
    ("positive", "sensitivity", "specificity", "low", "high"),
    [
        (Rate(4060 / 11284, 11284), Rate(178 / 179, 179), Rate(358 / 359, 359), 0.349, 0.372),
        (Rate(51 / 2971, 2971), Rate(32 / 33, 33), Rate(1, 20), 0, 0.053),
        (Rate(0.06, 11862), Rate(0.80, 10), Rate(1, 12), 0, 0.147),
        (Rate(259 / 509, 509), Rate(84 / 127, 127), Rate(96 / 109, 109), 0.58, 0.87),
        (Rate(51 / 509, 509), Rate(23 / 41, 41), Rate(187 / 195, 195), 0.037, 0.195),
    ],
)
def test_the_intervals_of_lang_and_reiczigels_examples_are_theirs(positive, sensitivity, specificity, low, high):
    digits = 3 if low != 0.58 else 2
    found = rogan_gladen(positive, sensitivity, specificity)
    assert (round(found.low, digits), round(found.high, digits)) == (low, high)


def test_a_test_no_better_than_chance_corrects_nothing():
    assert rogan_gladen(Rate(0.5, 100), Rate(0.5, 50), Rate(0.5, 50)) is None
    assert rogan_gladen_score((Rate(0.5, 100),) * 2, (Rate(0.5, 50),) * 2, 0.5) is None


def planted(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """400 labels and predictions without chance, such as the figures of `ppi_py` below were made of."""
    i = np.arange(400)
    predicted = ((i * 7) % 10 < 6) * 1.0 if kind == "binary" else ((i * 3) % 17) / 17
    shifted = np.clip(predicted + (((i * 5) % 7) - 3) / 10, 0, 1)
    return (np.where((i * 13) % 11 == 0, 1 - predicted, predicted) if kind == "binary" else shifted), predicted


@pytest.mark.parametrize(
    ("kind", "n", "tuning", "value", "half"),
    [
        ("binary", 50, 1.0, 0.58, 0.101422),
        ("binary", 50, 0.0, 0.58, 0.136805),
        ("real", 50, None, 0.468245, 0.055682),
        ("real", 200, None, 0.472216, 0.035695),
        ("real", 200, 1.0, 0.471735, 0.047074),
        ("binary", 200, None, 0.585, 0.056188),
    ],
)
def test_the_prediction_powered_mean_is_that_of_its_authors_package(kind, n, tuning, value, half):
    # ppi-python 0.2.3, alpha .05; it takes the normal quantile and divides by n, where this takes t and n - 1.
    y, f = planted(kind)
    found = prediction_powered_mean(y[:n], f[:n], f[n:], tuning=tuning)
    wider = t_quantile(n - 1) / 1.959964 * np.sqrt(n / (n - 1))
    assert found.value == pytest.approx(value, abs=1e-5)
    assert half < found.width / 2 <= half * wider * (1 + 1e-5)


def test_copies_of_labelled_items_are_not_taken_for_more_labels():
    y, f = planted("real")
    once = prediction_powered_mean(y[:40], f[:40], f[40:])
    clusters = [*range(40), *range(40), *range(100, 460)]
    twice = prediction_powered_mean([*y[:40], *y[:40]], [*f[:40], *f[:40]], f[40:], clusters=clusters)
    assert twice.width == pytest.approx(once.width, rel=0.03)


def test_one_label_bounds_no_mean_and_bounds_a_share_next_to_nothing():
    assert prediction_powered_mean([1.0], [1.0], [0.0, 1.0]).high == np.inf
    share = prediction_powered_share([1.0], [1.0], Estimate(0.6, 0.5, 0.7))
    assert share.low < 0.2 and share.high > 0.9
    assert prediction_powered_share([], [], Estimate(0.6, 0.5, 0.7)) is None


def test_with_every_label_right_the_corrected_score_is_the_score_and_ties_stay_a_half():
    score = Estimate(0.7, *wilson(70, 100))
    f = [1.0] * 12 + [0.0] * 4 + [0.5] * 4
    found = prediction_powered_share(f, f, score, ties=0.2)
    assert found.value == pytest.approx(0.7) and found.low < score.low and score.high < found.high


def test_a_subject_that_always_answers_truly_has_a_corrected_score_of_one():
    exact = 10**9
    found = rogan_gladen_score((Rate(0.9, exact), Rate(0.8, exact)), (Rate(0.1, exact), Rate(0.2, exact)), 0.5)
    assert found.value == pytest.approx(1)


def test_with_equal_sides_the_score_is_corrected_by_the_plain_formula():
    n, right = 10**9, 0.9
    both = rogan_gladen_score((Rate(0.74, n),) * 2, (Rate(1 - right, n),) * 2, 0.5)
    plain = rogan_gladen(Rate(0.74, n), Rate(right, n), Rate(right, n))
    assert both.value == pytest.approx(plain.value, abs=1e-6) == pytest.approx((0.74 + right - 1) / (2 * right - 1))


def simulated(draw, n, score, blind, items=600):
    """A subject of a known score on items of which one label in ten is wrong; n of them labelled."""
    side, error = np.arange(items) % 2, draw.random(items) < 0.1
    truly = draw.random(items) < (score if blind else np.where(error, score - 0.3, score + 0.3 / 9))
    y, f = truly * 1.0, np.where(error, ~truly, truly) * 1.0
    labelled = np.concatenate([draw.choice(np.flatnonzero(side == s), n // 2, replace=False) for s in (0, 1)])
    everywhere = Estimate(f.mean(), *wilson(f.sum(), items))
    powered = prediction_powered_share(list(y[labelled]), list(f[labelled]), everywhere)
    sides = [(side == s, labelled[side[labelled] == s]) for s in (0, 1)]
    solved = rogan_gladen_score(
        tuple(Rate(f[every].mean(), every.sum()) for every, _ in sides),
        tuple(Rate(error[some].mean(), len(some)) for _, some in sides),
        0.5,
    )
    return powered, solved, wilson(y[labelled].sum(), n)


@pytest.mark.parametrize(("n", "score"), [(50, 0.7), (50, 0.93), (200, 0.7)])
def test_the_corrected_interval_covers_the_planted_score_and_is_no_wider_than_the_labels_alone(n, score):
    draw = np.random.default_rng(n)
    runs = [simulated(draw, n, score, blind=True) for _ in range(300)]
    for found in ([run[0] for run in runs], [run[1] for run in runs]):
        assert 0.92 <= np.mean([one.low <= score <= one.high for one in found]) <= 0.995
        assert np.mean([one.value for one in found]) == pytest.approx(score, abs=0.015)
    alone = np.mean([only.high - only.low for _, _, only in runs])
    assert np.mean([one.high - one.low for one, _, _ in runs]) < alone


def test_where_wrong_labels_sit_on_hard_items_only_prediction_powered_inference_holds():
    draw, score = np.random.default_rng(1), 0.7
    runs = [simulated(draw, 200, score, blind=False) for _ in range(200)]
    assert np.mean([one.low <= score <= one.high for one, _, _ in runs]) >= 0.92
    assert np.mean([one.low <= score <= one.high for _, one, _ in runs]) < 0.8


def test_the_worked_example_of_the_documentation_comes_out_as_it_is_told():
    predicted = [1.0] * 34 + [0.0] * 6
    labelled = [1.0] * 32 + [0.0] * 2 + [1.0] * 2 + [0.0] * 4
    powered = prediction_powered_share(labelled, predicted, Estimate(0.84, *wilson(168, 200)))
    solved = rogan_gladen_score((Rate(0.90, 100), Rate(0.78, 100)), (Rate(3 / 20, 20), Rate(1 / 20, 20)), 0.5)
    assert powered[:3] == pytest.approx((0.844, 0.722, 0.918), abs=5e-4)
    assert solved == pytest.approx((0.915, 0.828, 1), abs=5e-4)
