"""The bootstrap: it covers, takes the bias of noise off, and draws clusters whole."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.statistics.resampling import bootstrap


def test_the_interval_of_a_mean_covers_it_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for run in range(200):
        x = random.normal(1.0, 2.0, 80)
        ((low, high),) = bootstrap(lambda drawn, x=x: (float(x[drawn].mean()),), range(80), draws=200, seed=run)  # type: ignore[misc]
        covered += low <= 1.0 <= high
    assert 0.89 <= covered / 200 <= 0.98


def test_what_noise_alone_raises_is_taken_off() -> None:
    random = np.random.default_rng(1)
    x = random.normal(0.0, 1.0, 50)

    def size(drawn: np.ndarray) -> tuple[float]:
        return (abs(float(x[drawn].mean())),)

    ((low, high),) = bootstrap(size, range(50))
    assert low <= size(np.arange(50))[0] <= high
    assert low < 0.05, "a mean of noise may be nothing"


def test_items_of_a_cluster_come_and_go_together() -> None:
    x = np.repeat([0.0, 1.0] * 10, 5)
    alone = bootstrap(lambda drawn: (float(x[drawn].mean()),), range(100))[0]
    whole = bootstrap(lambda drawn: (float(x[drawn].mean()),), np.repeat(range(20), 5).tolist())[0]
    assert whole.high - whole.low > 1.8 * (alone.high - alone.low)


def test_the_same_seed_gives_the_same_interval_and_no_items_are_an_error() -> None:
    x = np.arange(20.0)
    one, two = (bootstrap(lambda drawn: (float(x[drawn].mean()),), range(20), seed=3) for _ in range(2))
    assert one == two
    with pytest.raises(ValueError):
        bootstrap(lambda drawn: (0.0,), [])
