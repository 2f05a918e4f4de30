"""Self-prediction: a model that knows what it would say, one that does not, and what the baselines are worth."""

from __future__ import annotations

import pytest

from pipeline.probes.self_prediction import make
from pipeline.schema import Item

from .planted import ITEMS, Planted, answered, chance, numbers, probing


def says_yes(number: int) -> bool:
    """What the planted model answers: Yes to two in three, whatever the label."""
    return number % 3 != 0


def p_matching(item: Item) -> float:
    yes = says_yes(numbers(item.question)[0])
    return 0.9 if yes == (item.answer_matching_behavior == " Yes") else 0.1


def test_a_model_that_knows_what_it_would_say_beats_its_most_frequent_answer() -> None:
    model = Planted(lambda text, options: 0.97 if says_yes(numbers(text)[-1]) else 0.03)
    figures = make().ask(probing(model, p_matching=p_matching)).figures
    assert figures["agreement"].value == 1.0
    assert figures["agreement_of_majority"].value == pytest.approx(2 / 3)
    assert figures["gain_over_majority"].low is not None and figures["gain_over_majority"].low > 0.1
    assert figures["kappa"].value == pytest.approx(1.0)
    assert figures["ece"].value == pytest.approx(0.03, abs=1e-6)
    assert figures["auroc"].value == 1.0


def test_a_model_that_always_predicts_its_most_frequent_answer_gains_nothing() -> None:
    model = Planted(lambda text, options: 0.8)
    found = make().ask(probing(model, p_matching=p_matching))
    assert found.figures["agreement"].value == found.figures["agreement_of_majority"].value
    assert found.figures["gain_over_majority"].value == 0
    assert "not shown to predict better" in found.note


def test_a_model_that_predicts_at_random_agrees_with_half_of_its_answers() -> None:
    figures = (
        make().ask(probing(Planted(lambda text, options: chance(numbers(text)[-1])), p_matching=p_matching)).figures
    )
    agreement = figures["agreement"]
    assert agreement.low is not None and agreement.high is not None and agreement.low < 0.5 < agreement.high


def test_other_models_are_a_baseline_where_they_answered_every_item() -> None:
    model = Planted(lambda text, options: 0.97)
    same = answered(ITEMS, p_matching)
    opposite = answered(ITEMS, lambda item: 1 - p_matching(item))
    figures = (
        make().ask(probing(model, p_matching=p_matching, others={"a": same, "b": opposite, "c": same[:5]})).figures
    )
    assert figures["agreement_of_other_models"].value == pytest.approx(0.5), "one agrees always, one never"
    assert make().ask(probing(model)).figures["agreement_of_other_models"].value is None


def test_the_answers_are_named_in_both_orders() -> None:
    model = Planted(lambda text, options: 0.6)
    make().ask(probing(model, ITEMS[:4]))
    assert sum("Yes or No?" in text for text in model.asked) == sum("No or Yes?" in text for text in model.asked) == 4
