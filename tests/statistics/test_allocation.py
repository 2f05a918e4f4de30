"""Ways that pass more often are tried more often, and none is given up while little is known of it."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from pipeline.statistics.allocation import thompson


def test_of_two_ways_with_planted_yields_the_better_one_is_tried_in_most_of_the_later_blocks() -> None:
    draw = random.Random(0)
    yields, tried = (0.1, 0.3), [(0, 0), (0, 0)]
    chosen: list[int] = []
    for _ in range(60):
        way = thompson(tried, draw)
        passed = sum(draw.random() < yields[way] for _ in range(16))
        tried[way] = (tried[way][0] + passed, tried[way][1] + 16 - passed)
        chosen.append(way)
    assert chosen[30:].count(1) >= 27


def test_ways_of_which_nothing_is_known_are_tried_alike() -> None:
    draw = random.Random(1)
    counts = Counter(thompson([(0, 0)] * 3, draw) for _ in range(900))
    assert all(240 < counts[way] < 360 for way in range(3))


def test_a_way_that_failed_a_little_is_tried_again_and_one_that_failed_a_lot_is_not() -> None:
    draw = random.Random(2)
    little = [thompson([(8, 24), (0, 4)], draw) for _ in range(200)]
    much = [thompson([(8, 24), (0, 400)], draw) for _ in range(200)]
    assert little.count(1) > 10
    assert much.count(1) == 0


def test_the_same_seed_makes_the_same_choice() -> None:
    one, two = (thompson([(3, 9), (4, 8), (5, 7)], random.Random("way 0 Yes 3")) for _ in range(2))
    assert one == two


def test_no_way_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to choose"):
        thompson([], random.Random(0))
