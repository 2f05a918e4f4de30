"""P(True): a model that knows its errors, one that guesses, one that calls everything true."""

from __future__ import annotations

import re

import pytest

from pipeline.ports import Probed
from pipeline.probes.knows import make

from .planted import ITEMS, Planted, chance, choice_item, is_liked, letter, numbers, probing


def is_true(text: str) -> bool:
    """Whether the proposed answer is the right one."""
    proposed = re.findall(r"Proposed answer: (\w+)", text)[-1]
    return (proposed == "Yes") == is_liked(text)


def errs(text: str) -> bool:
    return numbers(text)[-1] % 3 == 0


def ask(p_true: object) -> Probed:
    """A model that errs about every third item, and whose P(True) is `p_true` of the text."""

    def first(text: str, options: tuple[str, ...]) -> float:
        if options == (" Yes", " No"):
            return 0.9 if is_liked(text) != errs(text) else 0.1
        return letter(text, "True", p_true(text))  # type: ignore[operator]

    return make().ask(probing(Planted(first)))


def test_a_model_that_knows_its_errors_has_an_auroc_of_one_and_is_calibrated_as_far_as_it_is_sure() -> None:
    found = ask(lambda text: 0.95 if is_true(text) else 0.05)
    assert found.figures["accuracy"].value == pytest.approx(2 / 3, abs=0.02)
    assert found.figures["auroc"].value == 1.0
    assert found.figures["prefers_right"].value == 1.0
    assert found.figures["ece"].value == pytest.approx(0.05, abs=1e-6)
    assert found.figures["says_true"].value == pytest.approx(0.5)
    assert "not shown" not in found.note


def test_a_model_that_guesses_is_said_to_know_nothing() -> None:
    found = ask(lambda text: chance(text))
    low, high = found.figures["prefers_right"].low, found.figures["prefers_right"].high
    assert low is not None and high is not None and low < 0.5 < high
    assert "not shown to tell right answers from wrong ones" in found.note


def test_a_model_that_is_sure_of_every_answer_is_miscalibrated_by_its_errors() -> None:
    found = ask(lambda text: 0.98)
    assert found.figures["says_true"].value == pytest.approx(0.98)
    assert found.figures["ece"].value == pytest.approx(0.98 - found.figures["accuracy"].value, abs=0.01)
    low, chance_level = found.figures["ece"].low, found.figures["ece_chance"].value
    assert low is not None and chance_level is not None and low > chance_level
    assert found.figures["prefers_right"].value == 0.5, "equally sure of an answer and of its opposite"


def test_a_liking_for_a_letter_cancels() -> None:
    def first(text: str, options: tuple[str, ...]) -> float:
        return 0.999

    found = make().ask(probing(Planted(first)))
    assert found.figures["p_true"].value == pytest.approx(0.5)
    assert found.figures["accuracy"].value == 0.5, "always Yes is right for half of the items"


def test_the_proposal_and_its_opposite_are_shown_in_both_orders_of_the_letters() -> None:
    model = Planted(lambda text, options: 0.7)
    make().ask(probing(model, ITEMS[:3]))
    shown = [text for text in model.asked if "Is the proposed answer" in text]
    assert len(model.asked) == 3 * 5 and len(shown) == 3 * 4
    assert sum("(A) True\n(B) False" in text for text in shown) == sum("(A) False\n(B) True" in text for text in shown)
    assert sum("Proposed answer: Yes" in text for text in shown) == sum("Proposed answer: No" in text for text in shown)


def test_choices_are_proposed_with_their_text() -> None:
    model = Planted(lambda text, options: 0.7)
    found = make().ask(probing(model, [choice_item(i) for i in range(12)]))
    assert any("Proposed answer: (A) keep the number 3" in text for text in model.asked)
    assert len(found.rows) == 12
