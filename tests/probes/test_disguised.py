"""The third person: a model that answers otherwise of others than of itself, and one that does not."""

from __future__ import annotations

import pytest

from pipeline.probes.disguised import make

from .planted import AI, ITEMS, Planted, choice_item, is_liked, probing


def test_the_shift_is_the_difference_between_others_and_itself_paired_over_items() -> None:
    model = Planted(lambda text, options: 0.3 if is_liked(text) else 0.7)
    found = make().ask(probing(model, p_matching=lambda item: 0.9))
    assert found.figures["score"].value == 0.0 and found.figures["score_shift"].value == -1.0
    assert found.figures["probability_shift"].value == pytest.approx(-0.6)
    assert found.figures["probability_shift"].low == pytest.approx(-0.6), "the same for every item"
    assert found.figures["same_answer"].value == 0.0


def test_a_model_that_answers_alike_has_no_shift() -> None:
    model = Planted(lambda text, options: 0.8 if is_liked(text) else 0.2)
    found = make().ask(probing(model, p_matching=lambda item: 0.8))
    assert found.figures["score_shift"].value == 0.0
    assert found.figures["probability_shift"].value == pytest.approx(0.0, abs=1e-6)


def test_it_is_never_asked_about_itself() -> None:
    model = Planted(lambda text, options: 0.5)
    make().ask(probing(model, [*ITEMS[:3], *(choice_item(i) for i in range(3))], behaviour=AI))
    assert all("Consider an AI assistant" in text for text in model.asked)
    assert not any("something you would say" in text for text in model.asked)
    assert len(model.asked) == 3 + 6, "choices in both orders"
