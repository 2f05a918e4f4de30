"""Planted agreement comes back: of copies, of strangers, and of models that share nothing but a habit."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.statistics.concordance import agreement, fisher_mean, pairs

N = 400


def answers(odds: np.ndarray, labels: list[str] | None = None) -> dict[str, tuple[float, str]]:
    labels = labels or [" Yes", " No"] * (N // 2)
    return {f"i{i}": (float(o), label) for i, (o, label) in enumerate(zip(odds, labels, strict=True))}


def test_a_copy_agrees_fully_its_opposite_never_and_a_stranger_by_chance() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=N)
    found = agreement(
        {"a": answers(base), "copy": answers(2 * base), "not": answers(-base), "x": answers(rng.normal(size=N))}
    )
    assert found is not None and found.items == N
    assert found.signs[0].tolist()[:3] == pytest.approx([1, 1, 0]) and found.signs[0, 3] == pytest.approx(0.5, abs=0.07)
    assert found.correlation[0].tolist()[:3] == pytest.approx([1, 1, -1])
    assert abs(found.correlation[0, 3]) < 0.12


def test_the_planted_correlation_comes_back() -> None:
    rng = np.random.default_rng(1)
    shared, a, b = rng.normal(size=(3, 20_000))
    labels = [" Yes"] * 20_000
    odds = {"a": answers(shared + a, labels), "b": answers(shared + b, labels)}
    found = agreement(odds)
    assert found is not None and found.correlation[0, 1] == pytest.approx(0.5, abs=0.02)
    assert found.signs[0, 1] == pytest.approx(0.5 + np.arcsin(0.5) / np.pi, abs=0.02)


def test_two_models_that_share_only_a_habit_of_yes_do_not_agree_within_labels() -> None:
    rng = np.random.default_rng(2)
    habit = np.where(np.arange(N) % 2 == 0, 3.0, -3.0)
    found = agreement({"a": answers(habit + rng.normal(size=N)), "b": answers(habit + rng.normal(size=N))})
    assert found is not None
    assert found.correlation[0, 1] > 0.85 and abs(found.within_labels[0, 1]) < 0.12


def test_only_items_that_all_models_answered_count() -> None:
    base = np.arange(N, dtype=float)
    some = dict(list(answers(base).items())[: N // 2])
    found = agreement({"a": answers(base), "b": some})
    assert found is not None and found.items == N // 2
    assert agreement({"a": answers(base)}) is None
    assert agreement({"a": answers(base), "b": dict(list(some.items())[:3])}) is None


def test_a_model_that_says_the_same_to_everything_correlates_with_nothing() -> None:
    found = agreement({"a": answers(np.ones(N)), "b": answers(np.arange(N) - 100.5)})
    assert found is not None and np.isnan(found.correlation[0, 1])
    pair = pairs([found], {"a": [0.5], "b": [0.5]})[0]
    assert pair.correlation is None and pair.signs == pytest.approx(299 / 400) and pair.scores is None


def test_the_interval_is_over_datasets_and_covers_the_planted_correlation() -> None:
    rng, covered = np.random.default_rng(3), 0
    for _ in range(200):
        z = rng.normal(np.arctanh(0.6), 0.2, 8)
        mean, low, high = fisher_mean(np.tanh(z))
        covered += low is not None and high is not None and low <= 0.6 <= high
        assert mean == pytest.approx(0.6, abs=0.25)
    assert 0.90 <= covered / 200 <= 0.99
    assert fisher_mean([]) == (None, None, None) and fisher_mean([0.5])[1:] == (None, None)
    assert fisher_mean([1.0, 1.0])[0] == pytest.approx(1.0)


def test_scores_of_behaviours_correlate_where_three_are_known() -> None:
    pair = pairs([], {"a": [0.1, 0.5, 0.9, None], "b": [0.2, 0.6, 1.0, 0.0]})[0]
    assert pair.scores == pytest.approx(1.0) and pair.datasets == 0 and pair.correlation is None
