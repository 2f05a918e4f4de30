"""Scores that tell true from false."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, roc_auc_score

from pipeline.statistics.discrimination import accuracy, auroc, best_threshold


def test_auroc_and_accuracy_equal_scikit_learns_with_ties():
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 8, 200) / 8, rng.random(200) < 0.4
    assert auroc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
    assert accuracy(labels, scores, 0.5) == pytest.approx(accuracy_score(labels, scores >= 0.5))


def test_auroc_of_a_single_class_is_none():
    assert auroc([True, True], [0.1, 0.9]) is None


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0])), min_size=1, max_size=30))
def test_no_threshold_beats_the_best_one(pairs):
    labels, scores = [label for label, _ in pairs], [score for _, score in pairs]
    best = best_threshold(labels, scores)
    assert best.accuracy == pytest.approx(accuracy(labels, scores, best.threshold))
    assert best.accuracy >= max(accuracy(labels, scores, t) for t in (-1, 0, 0.05, 0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 1, 2))
