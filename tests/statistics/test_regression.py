"""Least squares with clustered errors."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.statistics.regression import least_squares


def test_planted_coefficients_are_covered_about_as_often_as_the_interval_says() -> None:
    random, covered = np.random.default_rng(0), 0
    for _ in range(300):
        x = random.normal(size=60)
        y = 0.4 + 0.2 * x + random.normal(size=60) * (0.5 + np.abs(x))
        found = least_squares(y, [np.ones(60), x], range(60))
        assert found is not None
        covered += found[1].low <= 0.2 <= found[1].high
    assert 0.90 <= covered / 300 <= 0.98, "though the scatter grows with x"


def test_copies_of_an_item_do_not_narrow_the_interval() -> None:
    random = np.random.default_rng(1)
    x, y = random.normal(size=30), random.normal(size=30)
    once = least_squares(y, [np.ones(30), x], range(30))
    thrice = least_squares(np.tile(y, 3), [np.ones(90), np.tile(x, 3)], np.tile(range(30), 3).tolist())
    assert once is not None and thrice is not None
    assert thrice[0].value == pytest.approx(once[0].value)
    assert thrice[0].high - thrice[0].low == pytest.approx(once[0].high - once[0].low, rel=0.05)


def test_columns_that_say_the_same_fix_nothing() -> None:
    x = np.arange(10.0)
    assert least_squares(x, [np.ones(10), np.ones(10)], range(10)) is None
    assert least_squares(x, [np.ones(10), x], [0] * 10) is None
