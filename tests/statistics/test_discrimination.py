"""Scores that tell true from false."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import accuracy_score, roc_auc_score

from pipeline.statistics.discrimination import accuracy, auroc, best_threshold, interval_of_auroc


def test_auroc_and_accuracy_equal_scikit_learns_with_ties():
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 8, 200) / 8, rng.random(200) < 0.4
    assert auroc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
    assert accuracy(labels, scores, 0.5) == pytest.approx(accuracy_score(labels, scores >= 0.5))


def test_auroc_of_a_single_class_is_none():
    assert auroc([True, True], [0.1, 0.9]) is None


@pytest.mark.parametrize(("shift", "positives", "negatives"), [(0.0, 20, 20), (1.2, 40, 6), (2.2, 60, 15)])
def test_the_interval_of_an_area_covers_the_planted_one(shift, positives, negatives):
    rng, area, covered = np.random.default_rng(2), float(norm.cdf(shift / np.sqrt(2))), 0
    labels = [True] * positives + [False] * negatives
    for _ in range(300):
        scores = rng.normal(0, 1, positives + negatives) + shift * np.array(labels)
        low, high = interval_of_auroc(auroc(labels, scores), positives, negatives)
        covered += low <= area <= high
    assert covered / 300 >= 0.92


@pytest.mark.parametrize("area", [0.0, 0.3, 1.0])
def test_the_interval_of_an_area_holds_it_and_has_a_width(area):
    low, high = interval_of_auroc(area, 12, 5)
    assert 0 <= low <= area <= high <= 1 and 0.2 < high - low < 0.8
    with pytest.raises(ValueError, match="12 true and 0 false"):
        interval_of_auroc(area, 12, 0)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0])), min_size=1, max_size=30))
def test_no_threshold_beats_the_best_one(pairs):
    labels, scores = [label for label, _ in pairs], [score for _, score in pairs]
    best = best_threshold(labels, scores)
    assert best.accuracy == pytest.approx(accuracy(labels, scores, best.threshold))
    assert best.accuracy >= max(accuracy(labels, scores, t) for t in (-1, 0, 0.05, 0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 1, 2))
