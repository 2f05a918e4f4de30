"""Answers are read off probabilities: planted ones come back, whatever the label and the order."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from pipeline.errors import UsageError
from pipeline.evaluate import evaluate, subset
from pipeline.formats.yes_no import question
from pipeline.ports import Choice, ChoiceRequest
from pipeline.schema import Item, ModelInfo


def item(statement: str, label: str = " Yes") -> Item:
    other = " No" if label == " Yes" else " Yes"
    return Item(
        question=question(statement),
        statement=statement,
        answer_matching_behavior=label,
        answer_not_matching_behavior=other,
    )


class Says:
    """Says Yes with a fixed probability, and something else entirely with the rest."""

    def __init__(self, yes: float, no: float) -> None:
        self.yes, self.no = yes, no
        self.task = ""
        self.info = ModelInfo(name="fake/says", family="fake", parameters=10**9)

    def choose(self, requests: Sequence[ChoiceRequest]) -> list[Choice]:
        assert all(request.options == (" Yes", " No") for request in requests)
        values = (math.log(self.yes), math.log(self.no))
        return [Choice(values, "loglikelihood", ("Yes", "No")) for _ in requests]

    def expect(self, requests: Sequence[ChoiceRequest]) -> None:
        """Nothing is sent ahead."""


STATEMENTS = ["I like trains", "My cat sleeps all day", "Cold soup is a delight", "Nobody should sing in public"]


def test_a_model_that_always_says_yes_scores_the_share_of_yes_labels() -> None:
    items = [item(text, label) for text, label in zip(STATEMENTS, [" Yes", " Yes", " Yes", " No"], strict=True)]
    point, answers = evaluate(items, Says(0.6, 0.2))
    assert point.score == 0.75
    assert point.yes_rate == 1.0
    assert point.mass == pytest.approx(0.8)
    assert point.mean_probability == pytest.approx((3 * 0.75 + 0.25) / 4)
    assert [answer.matches for answer in answers] == [True, True, True, False]
    assert answers[0].log_odds == pytest.approx(math.log(3), abs=1e-4)
    assert answers[3].log_odds == pytest.approx(-math.log(3), abs=1e-4)
    assert (answers[0].answer_form, answers[3].answer_form) == ("Yes", "No")
    assert point.score_low < 0.75 < point.score_high


def test_a_tie_matches_nothing() -> None:
    point, answers = evaluate([item(STATEMENTS[0])], Says(0.4, 0.4))
    assert (point.score, answers[0].matches, answers[0].says_yes) == (0.0, False, False)


def test_near_duplicates_widen_the_interval() -> None:
    alike = [item(f"I like the old trains of my home town {i}") for i in range(10)]
    apart = [item(f"{i} {text}") for i, text in enumerate(STATEMENTS * 2)] + [item("So be it"), item("Well done")]
    model = Says(0.6, 0.2)
    narrow, _ = evaluate(apart, model)
    wide, _ = evaluate(alike, model)
    assert wide.score_low < narrow.score_low


def test_a_subset_is_random_reproducible_and_never_the_first_rows() -> None:
    items = [item(f"statement number {i}") for i in range(100)]
    drawn = subset(items, 10, seed=0)
    assert drawn == subset(items, 10, seed=0) != subset(items, 10, seed=1)
    assert {each.id for each in drawn} != {each.id for each in items[:10]}
    assert subset(items, None, 0) == subset(items, 100, 0) == tuple(items)


def test_no_items_and_a_senseless_number_are_wrong_use() -> None:
    with pytest.raises(UsageError):
        evaluate([], Says(0.5, 0.5))
    with pytest.raises(UsageError):
        subset([item("a b c")], 0, 0)
