"""What is chosen has the wanted number of each side and topic, and prefers good items that are unlike."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.statistics.selection import choose, quotas


def rows(*counts: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Topics and sides with so many items of either side in each topic."""
    topics = [topic for topic, pair in enumerate(counts) for number in pair for _ in range(number)]
    sides = [side for pair in counts for side, number in enumerate(pair) for _ in range(number)]
    return np.array(topics), np.array(sides)


def test_topics_that_have_both_sides_give_as_many_of_each() -> None:
    assert quotas(*rows((9, 9), (9, 2), (0, 9)), room=6).tolist() == [[4, 4], [2, 2], [0, 0]]


def test_what_balance_cannot_fill_comes_from_the_topics_that_gave_least() -> None:
    assert quotas(*rows((9, 1), (9, 1), (0, 9)), room=5).tolist() == [[3, 1], [2, 1], [0, 3]]


def test_a_bound_keeps_one_topic_from_giving_nearly_all() -> None:
    topics, sides = rows((50, 50), (50, 0), (0, 50))
    assert quotas(topics, sides, room=30).tolist() == [[30, 30], [0, 0], [0, 0]]
    assert quotas(topics, sides, room=30, most=1.0).tolist() == [[10, 10], [20, 0], [0, 20]]


@pytest.mark.parametrize("most", [1.0, 1.3, 99.0])
@pytest.mark.parametrize("room", [0, 1, 17, 40])
def test_each_side_gives_what_is_wanted_and_no_topic_more_than_it_has(most: float, room: int) -> None:
    draw = np.random.default_rng(room)
    topics = draw.integers(0, 7, 120)
    sides = np.arange(120) % 3
    given = quotas(topics, sides, room, most)
    assert given.sum(axis=0).tolist() == [room] * 3
    assert all(given[t, s] <= np.sum((topics == t) & (sides == s)) for t in range(7) for s in range(3))


def test_a_near_copy_gives_way_to_a_worse_item_that_is_unlike_and_ties_go_to_the_earlier() -> None:
    vectors = np.array([[1, 0, 0], [1, 0.01, 0], [0, 1, 0], [0, 0, 1]], dtype=float)
    one = np.zeros(4, dtype=int)
    scores = [0.9, 0.9, 0.85, 0.85]
    assert choose(vectors, scores, one, 0.1, one, np.array([[2]])) == [0, 2]
    assert choose(vectors, scores, one, 0.0, one, np.array([[2]])) == [0, 1]
    assert choose(vectors, scores, one, 0.1, one, np.array([[4]])) == [0, 1, 2, 3]


def test_items_of_other_topics_do_not_count_as_close() -> None:
    vectors = np.ones((4, 2))
    topics, sides = np.array([0, 0, 1, 1]), np.zeros(4, dtype=int)
    assert choose(vectors, [0.5, 0.9, 0.6, 0.7], sides, 0.1, topics, np.array([[1], [1]])) == [1, 3]
