"""Agreement beyond chance, against the examples of the papers that defined it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from sklearn.metrics import confusion_matrix as sklearn_confusion

from pipeline.statistics.agreement import cohen_kappa, confusion, fleiss_kappa, krippendorff_alpha

COHEN_1960 = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]
FLEISS_COHEN_EVERITT_1969 = [[106, 10, 4], [22, 28, 10], [2, 12, 6]]
# 30 patients, 6 psychiatrists, 5 diagnoses.
FLEISS_1971 = (
    "444444 222555 233335 555555 222444 113333 333355 113334 114444 555555 "
    "144444 124444 222333 144444 224445 333335 111455 111112 224444 133555 "
    "555555 244444 224555 114444 144445 222224 111155 224444 133333 555555 "
)


def ratings(table: list[list[int]]) -> tuple[list[int], list[int]]:
    """Two raters' ratings that a table counts."""
    pairs = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return [i for i, _ in pairs], [j for _, j in pairs]


def test_cohens_own_example_has_his_kappa():
    found = cohen_kappa(*ratings(COHEN_1960))
    assert found.value == pytest.approx(0.492, abs=5e-4) and found.observed == pytest.approx(0.70)


@pytest.mark.parametrize(("table", "error"), [(COHEN_1960, 0.0510), (FLEISS_COHEN_EVERITT_1969, 0.0537)])
def test_the_interval_is_as_wide_as_the_standard_error_of_fleiss_cohen_and_everitt_says(table, error):
    found = cohen_kappa(*ratings(table))
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.06)


@pytest.mark.parametrize("categories", [2, 3, 5])
def test_cohens_kappa_and_the_confusion_are_scikit_learns(categories):
    draw = np.random.default_rng(categories)
    first = draw.integers(0, categories, 150)
    second = np.where(draw.random(150) < 0.7, first, draw.integers(0, categories, 150))
    assert cohen_kappa(list(first), list(second)).value == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)
    a, b = [str(x) for x in first], [str(x) for x in second]
    table = confusion(a, b)
    assert table.counts == sklearn_confusion(a, b, labels=table.categories).tolist()


def test_the_psychiatrists_of_fleiss_1971_agree_with_kappa_430():
    assert fleiss_kappa([list(patient) for patient in FLEISS_1971.split()]).value == pytest.approx(0.430, abs=5e-4)


def test_fleiss_kappa_refuses_items_with_different_numbers_of_ratings():
    with pytest.raises(ValueError, match="same number of ratings"):
        fleiss_kappa([["a", "b"], ["a", "b", "b"]])


def test_alpha_of_four_observers_with_missing_values_is_krippendorffs_743():
    observers = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]
    found = krippendorff_alpha(list(zip(*observers, strict=True)))
    assert found.value == pytest.approx(0.743, abs=5e-4) and found.items == 11


@pytest.mark.parametrize(
    ("first", "second", "alpha"), [("aabbdcccedda", "babbbccceddd", 0.692), ("0100000010", "1110010000", 0.095)]
)
def test_alpha_of_two_observers_is_krippendorffs(first, second, alpha):
    assert krippendorff_alpha(list(zip(first, second, strict=True))).value == pytest.approx(alpha, abs=5e-4)


def test_perfect_agreement_on_few_items_is_no_proof_of_it():
    few, many = (cohen_kappa(["a", "b"] * n, ["a", "b"] * n) for n in (10, 100))
    assert few.value == many.value == many.high == 1
    assert few.low < 0.75 < many.low < 1


def test_where_all_gave_one_answer_there_is_no_kappa_but_the_share_is_one():
    found = cohen_kappa(["a"] * 9, ["a"] * 9)
    assert found.value is found.low is found.high is None and found.observed == 1


def test_one_item_or_none_fails_or_says_next_to_nothing():
    one = krippendorff_alpha([["a", "b"], ["a", None]])
    assert one.items == 1 and one.high - one.low > 0.7
    for raters in (lambda: cohen_kappa([], []), lambda: krippendorff_alpha([["a", None]])):
        with pytest.raises(ValueError):
            raters()


@pytest.mark.parametrize(("yes", "right", "n"), [(0.5, 0.98, 20), (0.5, 0.9, 50), (0.9, 0.9, 50)])
def test_the_interval_of_kappa_covers_the_planted_one(yes, right, n):
    draw = np.random.default_rng(3)
    joint = sum(
        share * np.outer([p, 1 - p], [p, 1 - p]) for share, p in ((yes, right), (1 - yes, 1 - right))
    )  # rows and columns: the answers of two raters who err independently
    chance = float(joint.sum(0) @ joint.sum(1))
    kappa = (float(np.trace(joint)) - chance) / (1 - chance)
    covered = 0
    for _ in range(300):
        truth = draw.random(n) < yes
        first, second = (np.where(draw.random(n) < right, truth, ~truth).tolist() for _ in range(2))
        found = cohen_kappa(first, second)
        covered += found.low is not None and found.low <= kappa <= found.high
    assert covered / 300 >= 0.92


def test_the_interval_of_alpha_covers_with_three_raters_and_gaps():
    draw, right, n, covered = np.random.default_rng(4), 0.9, 40, 0
    alpha = (right**2 + (1 - right) ** 2 - 0.5) / 0.5
    for _ in range(200):
        truth = draw.random(n) < 0.5
        given = [[bool(t) if draw.random() < right else not t for _ in range(3)] for t in truth]
        holes = [[None if draw.random() < 0.2 else rating for rating in item] for item in given]
        found = krippendorff_alpha(holes)
        covered += found.low <= alpha <= found.high
    assert covered / 200 >= 0.92
