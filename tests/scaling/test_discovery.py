"""With few sizes no behaviour can be told from chance, and the sweep says so before anybody counts stars."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.scaling.design import Design
from pipeline.scaling.discovery import discovery, needed, q_values, smallest_p


def sizes(*counts: int) -> Design:
    return Design.of(*[[10.0 ** (8 + i / 3) for i in range(count)] for count in counts])


@pytest.mark.parametrize(
    ("counts", "least"),
    [((3,), 2 / 6), ((4,), 2 / 24), ((5,), 2 / 120), ((6,), 2 / 720), ((3, 3, 3), 2 / 216), ((2,), None), ((), None)],
)
def test_the_smallest_p_is_that_of_perfect_order(counts: tuple[int, ...], least: float | None) -> None:
    if not counts:
        return
    assert smallest_p(sizes(*counts)) == (least if least is None else pytest.approx(least))


def test_two_models_of_one_size_make_fewer_orders() -> None:
    assert smallest_p(Design.of([1e8, 1e8, 1e9, 1e10])) == pytest.approx(2 / 12)


def test_beyond_exact_orders_the_draws_bound_p() -> None:
    assert smallest_p(sizes(12)) == pytest.approx(2 / 100_001)


def test_with_five_sizes_fifty_of_150_behaviours_must_reach_the_smallest_p() -> None:
    assert needed([2 / 120] * 150) == 50
    found = discovery([2 / 120] * 49 + [0.9] * 101, [2 / 120] * 150)
    assert (found.needed, found.rejected) == (50, 0)
    assert "50 of the 150 must reach it before any is rejected" in found.said
    assert discovery([2 / 120] * 50 + [0.9] * 100, [2 / 120] * 150).rejected == 50


def test_seven_sizes_or_pooled_families_can_reject_and_three_sizes_never_can() -> None:
    assert needed([2 / 5040] * 150) == 2
    assert needed([2 / 216**2] * 150) == 1
    found = discovery([2 / 6] * 150, [2 / 6] * 150)
    assert found.needed is None and found.rejected == 0 and "this sweep cannot reject" in found.said


def test_behaviours_without_a_p_value_are_not_counted() -> None:
    found = discovery([None, 0.001, None], [None, 0.0004, 0.0004])
    assert (found.tested, found.rejected) == (1, 1)
    assert discovery([None], [None]).tested == 0 and "three sizes" in discovery([], []).said
    assert q_values([None, 0.2]) == [None, 0.2]


def test_q_values_are_those_of_the_papers_example() -> None:
    # Benjamini and Hochberg 1995, section 3.2: at .05 the first four of these fifteen are rejected.
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1.0,
    ]
    assert sum(q <= 0.05 for q in q_values(p) if q is not None) == 4


def test_false_discoveries_stay_within_the_level_where_a_third_of_the_trends_are_real() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        real = rng.random(60) < 1 / 3
        p = np.where(real, rng.beta(0.05, 1, 60), rng.random(60))
        rejected = np.array([q <= 0.05 for q in q_values(list(p)) if q is not None])
        shares.append((rejected & ~real).sum() / max(1, rejected.sum()))
    assert np.mean(shares) < 0.05
