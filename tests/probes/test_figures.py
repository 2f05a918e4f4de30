"""Figures of calibration: what is planted is found, and chance is told from error."""

from __future__ import annotations

import numpy as np

from pipeline.probes._figures import area, bins_for, calibrated, mean, rate, reliability


def drawn(n: int, p: float | None, right: float | None, seed: int) -> tuple[list[float], list[bool]]:
    random = np.random.default_rng(seed)
    said = random.random(n) if p is None else np.full(n, p)
    return [float(x) for x in said], [bool(x) for x in random.random(n) < (said if right is None else right)]


def test_perfect_calibration_is_within_what_chance_gives() -> None:
    above = 0
    for seed in range(20):
        p, y = drawn(200, None, None, seed)
        figures = calibrated(p, y, range(200))
        low, chance = figures["ece"].low, figures["ece_chance"].value
        assert low is not None and chance is not None
        above += low > chance
    assert above <= 2


def test_overconfidence_by_thirty_points_is_an_error_of_thirty_points() -> None:
    p, y = drawn(1000, 0.9, 0.6, 0)
    figures = calibrated(p, y, range(1000))
    low, value, high = figures["ece"].low, figures["ece"].value, figures["ece"].high
    assert low is not None and value is not None and high is not None
    assert low < 0.3 < high and abs(value - 0.3) < 0.05


def test_the_brier_score_is_the_sum_of_its_parts_up_to_the_spread_inside_a_bin() -> None:
    p, y = drawn(600, None, None, 3)
    value = {name: figure.value for name, figure in calibrated(p, y, range(600)).items()}
    parts = value["brier_reliability"] - value["brier_resolution"] + value["brier_uncertainty"]  # type: ignore[operator]
    assert abs(value["brier"] - parts) < 0.005  # type: ignore[operator]


def test_bins_grow_with_the_items_and_hold_all_of_them() -> None:
    assert [bins_for(n) for n in (1, 9, 40, 1000)] == [1, 1, 4, 15]
    p, y = drawn(40, None, None, 0)
    rows = reliability(p, y)
    assert sum(row.n for row in rows) == 40 and [row.predicted for row in rows] == sorted(r.predicted for r in rows)


def test_nothing_has_no_rate_and_one_item_no_interval_of_a_mean() -> None:
    assert rate([], []).value is None and mean([], []).value is None
    assert (mean([0.5], [0]).value, mean([0.5], [0]).low) == (0.5, None)
    assert area([True, True], [0.1, 0.2]).value is None
