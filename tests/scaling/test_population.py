"""Simulated ladders hang together as planted, and the comparison beside the verdict is what others would compute."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.scaling.design import Design
from pipeline.scaling.population import Items, answered, observe
from pipeline.statistics.intervals import design_effect
from tests.bench._mechanism_worlds import World
from tests.bench._mechanism_worlds import simulate as simulate_world
from tests.bench._trend_cells import Cell, plain_error, simulate


def test_simulated_answers_have_the_planted_scores_and_hang_together_within_clusters_and_between_models():
    items, expected = Items(3000), np.array([[30.0, 50.0, 50.0]] * 40)
    answers = np.concatenate(list(answered(items, expected, np.random.default_rng(0))))
    assert 100 * answers.mean(axis=(0, 2)) == pytest.approx([30, 50, 50], abs=0.6)
    assert np.mean([np.corrcoef(run[1], run[2])[0, 1] for run in answers]) == pytest.approx(0.59, abs=0.02)
    cluster = np.repeat(np.arange(1000), 3)
    assert np.mean([design_effect(run[1].astype(float), cluster) for run in answers]) == pytest.approx(1.45, abs=0.05)


def test_the_covariance_of_the_scores_is_the_one_that_repeated_draws_of_items_have():
    scores, items = observe(Items(300), np.full((4000, 3), 50.0), np.random.default_rng(1))
    assert items.covariance.mean(axis=0) == pytest.approx(np.cov(scores.T), rel=0.1)


def test_the_naive_standard_error_is_that_of_least_squares_on_all_answers():
    draw, design = np.random.default_rng(0), Design.of(np.logspace(8, 10, 5))
    answers = (draw.random((5, 40)) < np.linspace(0.3, 0.6, 5)[:, None]).astype(float)
    x = np.repeat(design.centred, 40)
    columns = np.column_stack([np.ones(200), x])
    left = answers.ravel() - columns @ np.linalg.lstsq(columns, answers.ravel(), rcond=None)[0]
    error = 100 * np.sqrt(left @ left / 198 / (x @ x))
    assert plain_error(design, 100 * answers.mean(axis=1)[None], 40)[0] == pytest.approx(error)


def test_the_shares_of_a_cell_are_those_of_the_verdict_and_a_regression_on_answers_claims_far_more():
    none, some = simulate(Cell(5, 200, 4.0), 400, seed=1), simulate(Cell(7, 200, 1.0, slope=15), 100, seed=1)
    assert none.false_trend < 0.09 < 0.2 < none.naive_robust and none.right == 0
    assert some.right > 0.95 and some.right + some.false_trend + some.flat + some.undecided == pytest.approx(1)


def test_worlds_of_constant_propensity_show_a_plain_trend_and_no_propensity():
    shares = simulate_world(World("as planted", "evenly", 0.9, items=200), 200, seed=0)
    assert shares["plain trend"] > 0.9 and shares["propensity"] < 0.05
