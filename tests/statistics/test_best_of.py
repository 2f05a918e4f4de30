"""The best of k replies: against drawing them, and its divergence against the known bound."""

from __future__ import annotations

import math
import random

import pytest

from pipeline.statistics.best_of import kl_bound, kl_of_two, log_probabilities_of_best, mean_kl, slope_of_best


def best(p: float, k: int) -> float:
    return math.exp(log_probabilities_of_best(math.log(p / (1 - p)), k)[0])


@pytest.mark.parametrize(("p", "k"), [(0.2, 1), (0.2, 4), (0.5, 16), (0.03, 8)])
def test_the_best_of_k_is_what_drawing_k_replies_gives(p: float, k: int) -> None:
    draw = random.Random(0)
    found = sum(any(draw.random() < p for _ in range(k)) for _ in range(20_000)) / 20_000
    assert best(p, k) == pytest.approx(found, abs=0.012)


def test_one_reply_is_the_model_itself() -> None:
    for odds in (-30.0, -1.0, 0.0, 2.0, 30.0):
        first, second = log_probabilities_of_best(odds, 1)
        assert first - second == pytest.approx(odds) and math.exp(first) + math.exp(second) == pytest.approx(1)


def test_next_to_0_and_1_nothing_is_lost_to_rounding() -> None:
    rare, _ = log_probabilities_of_best(-50.0, 10)
    assert rare == pytest.approx(-50 + math.log(10))
    _, other = log_probabilities_of_best(50.0, 10)
    assert other == pytest.approx(-500)


@pytest.mark.parametrize("k", [2, 4, 16, 64])
def test_no_distribution_over_two_replies_reaches_the_bound(k: int) -> None:
    for p in (0.001, 0.05, 0.3, 0.5, 0.9, 0.999):
        assert 0 <= kl_of_two(best(p, k), p) < kl_bound(k)


def test_the_bound_is_0_for_one_reply_and_grows_with_k() -> None:
    values = [kl_bound(k) for k in (1, 2, 4, 16)]
    assert values[0] == 0 and values == sorted(values)
    assert kl_bound(16) == pytest.approx(math.log(16) - 15 / 16)


def test_divergence_is_0_between_equals_and_infinite_where_an_outcome_is_left_out() -> None:
    assert mean_kl([0.3, 1.0], [0.3, 1.0]) == 0
    assert kl_of_two(0.5, 0.0) == math.inf and kl_of_two(0.0, 0.5) == pytest.approx(math.log(2))


def test_an_error_is_multiplied_by_the_slope() -> None:
    step = (best(0.3001, 8) - best(0.2999, 8)) / 0.0002
    assert slope_of_best(0.3, 8) == pytest.approx(step, rel=1e-3)


def test_the_best_of_no_reply_is_refused() -> None:
    for function in (kl_bound, lambda k: log_probabilities_of_best(0.0, k)):
        with pytest.raises(ValueError):
            function(0)
