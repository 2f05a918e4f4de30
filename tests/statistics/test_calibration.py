"""Calibrations that undo a planted distortion, and measures that see what was planted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from pipeline.statistics.calibration import (
    METHODS,
    SURE,
    Calibration,
    brier,
    calibration_error,
    chance_error,
    cut_for,
    estimated_prior,
    fit,
    probability,
    reliability,
    shifted,
)


def planted(n: int, slope: float = 1.0, zero: float = 0.0, seed: int = 0, prior: float = 0.5):
    """True log-odds of items, their truth, and a judge's log-odds that are true ones / slope + zero."""
    random = np.random.default_rng(seed)
    truth = random.random(n) < prior
    # Two normal kinds of items, 2 apart with variance 2: the log-odds at even shares is x itself.
    x = random.normal(np.where(truth, 1.0, -1.0), np.sqrt(2.0))
    return x, truth, x / slope + zero


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x)))


def test_platt_scaling_recovers_a_planted_slope_and_zero() -> None:
    _, truth, judged = planted(20_000, slope=2.5, zero=0.7)
    found = fit("platt", judged, truth)
    assert found.slope == pytest.approx(2.5, rel=0.05)
    assert found.zero == pytest.approx(0.7, abs=0.03)
    assert fit("temperature", judged - 0.7, truth).slope == pytest.approx(2.5, rel=0.05)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_fitted_judge_is_calibrated_on_new_items_and_was_not_before(method) -> None:
    _, truth, judged = planted(8_000, slope=3.0, zero=0.5)
    calibrate = fit(method, judged[:4_000], truth[:4_000])
    before, after = sigmoid(judged[4_000:]), sigmoid([calibrate(v) for v in judged[4_000:]])
    assert calibration_error(before, truth[4_000:]) > 0.1
    assert calibration_error(after, truth[4_000:]) < chance_error(after) + 0.02


@settings(deadline=None)
@given(st.lists(st.floats(-40, 40), min_size=2, max_size=30), st.sampled_from(METHODS))
def test_no_calibration_changes_the_order(values, method) -> None:
    truth = [i % 2 == 0 for i in range(len(values))]
    made = fit(method, values, truth)
    ordered = [made(v) for v in sorted(values)]
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(ordered))
    assert method == "none" or max(map(abs, ordered)) <= SURE


def test_a_judge_that_is_wrong_is_not_turned_over() -> None:
    _, truth, judged = planted(500)
    assert fit("platt", -judged, truth).slope == 0.01


def test_labels_of_one_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="needs both"):
        fit("platt", [1.0, 2.0], [True, True])
    assert fit("none", [1.0], [True]) == Calibration()


def test_a_judge_calibrated_at_even_shares_is_right_at_another_one() -> None:
    odds, truth, _ = planted(40_000, prior=0.8, seed=3)
    even = sigmoid(odds)
    known = sigmoid([shifted(v, 0.8) for v in odds])
    assert calibration_error(even, truth) > 0.08
    assert calibration_error(known, truth) < 0.01
    assert estimated_prior(odds) == pytest.approx(0.8, abs=0.02)
    assert estimated_prior(planted(40_000, prior=0.1)[0]) == pytest.approx(0.1, abs=0.02)


def test_the_brier_score_is_scikit_learns_and_its_parts_sum_to_it() -> None:
    odds, truth, _ = planted(5_000)
    p = np.round(sigmoid(odds), 1)
    parts = brier(p, truth, bins=500)
    assert parts.score == pytest.approx(brier_score_loss(truth, p))
    assert parts.score == pytest.approx(parts.reliability - parts.resolution + parts.uncertainty, abs=0.01)


def test_the_calibration_error_of_two_bins_is_that_worked_out_by_hand() -> None:
    # Of two items at .2 one is true, of two at .9 both: (|.5 - .2| + |1 - .9|) / 2.
    assert calibration_error([0.2, 0.2, 0.9, 0.9], [True, False, True, True], bins=2) == pytest.approx(0.2)
    assert [each.n for each in reliability([0.2, 0.2, 0.9, 0.9], [True, False, True, True], bins=2)] == [2, 2]
    assert calibration_error([], []) is None and chance_error([]) is None


def test_a_perfect_judge_shows_the_error_of_chance_and_it_shrinks_with_items() -> None:
    errors = []
    for seed in range(40):
        odds, truth, _ = planted(300, seed=seed)
        errors.append(calibration_error(sigmoid(odds), truth))
    expected = chance_error(sigmoid(planted(300)[0]))
    assert np.mean(errors) == pytest.approx(expected, rel=0.15)
    assert chance_error(sigmoid(planted(30_000)[0])) < expected / 5


def test_the_lowest_threshold_of_a_precision_is_found() -> None:
    labels, scores = [True, True, False, True, False], [0.9, 0.8, 0.7, 0.6, 0.5]
    cut = cut_for(0.75, labels, scores)
    assert cut is not None and (cut.threshold, cut.precision, cut.recall, cut.n) == (0.6, 0.75, 1.0, 4)
    assert cut_for(0.75, [False, True], [0.9, 0.1]) is None
    tied = cut_for(1.0, [True, False, True], [0.9, 0.5, 0.5])
    assert tied is not None and tied.threshold == 0.9


@given(st.floats(-700, 700))
def test_a_probability_is_within_bounds(value) -> None:
    assert 0 <= probability(value) <= 1
