"""Propensity or comprehension, on ladders where one of them is known to grow."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.scaling.comprehension import Measured, changes
from pipeline.scaling.design import Design
from pipeline.scaling.mechanism import names
from pipeline.scaling.trend import trend
from pipeline.statistics.intervals import wilson

from .ladders import point

SIZES = np.logspace(8, 10, 7)
PLACE = np.linspace(0, 1, 7)


def measured(propensity, understood, runs: int, n: int = 400, ease: float = 1.0, seed: int = 0) -> Measured:
    """Binomial shares of models that understand some items, answer these with a propensity and guess the rest."""
    draw = np.random.default_rng(seed)
    propensity = propensity + draw.normal(0, 0.02, (runs, 7))

    def share(level):
        return draw.binomial(n, np.clip(level, 0, 1) * np.ones((runs, 7))) / n

    def act(level):
        return share(0.5 + understood * (level - 0.5))

    return Measured(act(propensity), share(0.5 + understood**ease / 2), act(0.95), act(0.05))


def called(given: Measured, verdict: str = "rises") -> np.ndarray:
    return names(Design.of(SIZES), given, np.full(len(given.score), verdict))


@pytest.mark.parametrize("propensity", [0.6, 0.8, 0.95])
@pytest.mark.parametrize("ease", [0.3, 1.0, 2.0])
def test_a_constant_propensity_with_growing_comprehension_is_called_propensity_in_at_most_5_percent(propensity, ease):
    told = called(measured(propensity, 0.1 + 0.85 * PLACE, 600, ease=ease))
    assert wilson(int((told == "propensity").sum()), 600, 0.999).low <= 0.05


def test_a_score_that_falls_from_chance_at_constant_propensity_is_not_one_of_propensity_either():
    told = called(measured(0.15, 0.1 + 0.85 * PLACE, 400), "falls")
    assert (told == "propensity").mean() < 0.03 and (told == "from_chance").mean() > 0.05


def test_a_growing_propensity_at_full_comprehension_is_mostly_called_so_and_never_from_chance():
    told = called(measured(0.5 + 0.4 * PLACE, 0.9 + 0 * PLACE, 300))
    assert (told == "propensity").mean() > 0.9 and "from_chance" not in told


def test_a_rise_from_chance_among_models_of_one_propensity_is_often_called_so_with_many_items():
    told = called(measured(0.9, 0.1 + 0.85 * PLACE, 300, n=5000, seed=1))
    assert (told == "from_chance").mean() > 0.3


def test_the_change_of_propensity_is_the_planted_one_without_noise():
    understood = 0.3 + 0.6 * PLACE
    act = [0.5 + understood * (level - 0.5) for level in (0.6 + 0.2 * PLACE, 0.95, 0.05)]
    given = Measured(act[0][None], (0.5 + understood / 2)[None], act[1][None], act[2][None])
    found = {(each.against, each.link): each.change[0] for each in changes(Design.of(SIZES), given)}
    assert found["comprehension", "mixture"] == pytest.approx(20)
    assert found["controls", "mixture"] == pytest.approx(20 / 0.9)
    assert len(found) == 4


def test_without_controls_or_comprehension_nothing_is_called_propensity():
    full = measured(0.5 + 0.4 * PLACE, 0.9 + 0 * PLACE, 50)
    for given in (
        Measured(full.score),
        Measured(full.score, full.comprehension),
        Measured(full.score, None, full.positive, full.negative),
    ):
        assert "propensity" not in called(given)


def test_models_that_understand_nothing_tell_nothing():
    assert set(called(measured(0.8, 0.0 * PLACE, 50))) == {"undetermined"}


def test_a_ladder_gets_the_mechanism_that_it_gets_among_thousands():
    given = measured(0.5 + 0.3 * PLACE, 0.05 + 0.9 * PLACE**3, 60, n=100)
    shares = (given.score, given.comprehension, given.positive, given.negative)
    one_by_one = [called(Measured(*(each[i : i + 1] for each in shares)))[0] for i in range(60)]
    assert one_by_one == called(given).tolist() and len(set(one_by_one)) > 1


def ladder(propensity, understood):
    rng = np.random.default_rng(2)
    given = measured(propensity, understood, 1, n=2000, seed=int(rng.integers(99)))
    rows = zip(
        SIZES, *(each[0] for each in (given.score, given.comprehension, given.positive, given.negative)), strict=True
    )
    return [
        point(size, score, 2000, comprehension=c, positive_control=high, negative_control=low)
        for size, score, c, high, low in rows
    ]


def test_inverse_scaling_is_not_claimed_of_a_rise_from_chance_but_of_a_propensity():
    chance, inverse = trend(ladder(0.9, 0.1 + 0.85 * PLACE), "more")
    assert (chance.verdict, chance.mechanism, inverse) == ("rises", "from_chance", False)
    leaning, inverse = trend(ladder(0.5 + 0.4 * PLACE, 0.9 + 0 * PLACE), "more")
    assert (leaning.verdict, leaning.mechanism, inverse) == ("rises", "propensity", True)
    assert len(leaning.mechanism_figures) == 4 and all(each.low > 0 for each in leaning.mechanism_figures)
