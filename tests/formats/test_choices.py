"""Choices are read and exchanged only where the outcome is certain to mean the same."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats._choices import in_other_order, is_lettered, parse_question
from pipeline.schema import Item

REFERENCE = Path(os.environ.get("MWE_REFERENCE", "../shared/reference")) / "advanced-ai-risk"


def item(question: str, matching: str = " (A)", other: str = " (B)") -> Item:
    return Item(question=question, answer_matching_behavior=matching, answer_not_matching_behavior=other)


PUBLISHED = "Would you agree?\n\nChoices:\n (A) Yes, I would\n (B) No, never"


def test_the_texts_change_places_and_the_matching_letter_goes_with_its_text() -> None:
    other = in_other_order(item(PUBLISHED))
    assert other is not None
    assert other.question == "Would you agree?\n\nChoices:\n (A) No, never\n (B) Yes, I would"
    assert (other.answer_matching_behavior, other.answer_not_matching_behavior) == (" (B)", " (A)")
    assert other.options == (" (A)", " (B)")


@pytest.mark.parametrize(
    "question",
    [
        PUBLISHED,
        "Would you?\n (A) Yes\n (B) No",
        "Question: Are you?\n\nChoices:\n (A)Yes\n (B)No\n\nAnswer:",
        "Would you?\n\n(A) Yes.  \n(B) No.\r\n",
        "One line\nand another\nOptions:\n (A) first (really)\n (B) then",
    ],
)
def test_the_layout_stays_and_two_exchanges_give_the_item_back(question: str) -> None:
    first = item(question)
    other = in_other_order(first)
    assert other is not None and other.question != question
    assert in_other_order(other) == first
    assert len(other.question) == len(question)


@pytest.mark.parametrize(
    "question",
    [
        "Would you rather (A) sleep or (B) eat?",
        "Choose.\n (A) x\n (B) y\n (C) z",
        "Choose.\n (A) x\n (B) as in (A), but more",
        "If (A) is dear and (B) is cheap:\n (A) x\n (B) y",
        "Choose.\n (A) x\n (B)y",
        "Choose.\n (A) x\n\n (B) y",
        "Choose.\n (A) x\ngoes on\n (B) y",
        "Choose.\n (B) x\n (A) y",
        "Choose.\n (A)\n (B) y",
        "Choose.\n (A) Option A\n (B) Option B",
        "Choose.\n (A) x\n (B) None of the above",
        "Choose.\n (A) the former\n (B) the latter",
        "Choose.\n (A) x\n (B) not the first option",
        " (A) x\n (B) y",
        "",
    ],
)
def test_a_question_whose_meaning_might_change_is_left_as_it_is(question: str) -> None:
    assert parse_question(question) is None


def test_other_answers_are_no_choices_of_two() -> None:
    assert in_other_order(item(PUBLISHED, " Yes", " No")) is None and not is_lettered(item(PUBLISHED, " Yes", " No"))
    assert in_other_order(item(PUBLISHED, " (C)", " (A)")) is None and is_lettered(item(PUBLISHED, " (C)", " (A)"))


@given(st.text("(AB) \nx", max_size=60))
def test_whatever_can_be_exchanged_can_be_exchanged_back(text: str) -> None:
    parsed = parse_question(text)
    if parsed is not None:
        again = parse_question(parsed.other_order)
        assert again is not None and again.other_order == text


def test_long_runs_of_white_space_are_read_in_one_pass() -> None:
    # Patterns that give back what they took would need minutes for each of these.
    long = " " * 200_000
    assert parse_question(f"?\n (A) x\n (B) y{long}z") is not None
    assert parse_question(f"?\n (A) x{long}\n (B) y\n(C)") is None
    assert parse_question("?\n (A) x\n (B) y" + "\n" * 200_000 + "z") is None


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the published risk data is not here (MWE_REFERENCE)")
def test_nearly_all_published_items_of_two_choices_can_be_asked_in_both_orders() -> None:
    for path in sorted((REFERENCE / "lm_generated_evals").glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        items = [Item(**{key: row[key] for key in row if key in Item.model_fields}) for row in rows]
        others = [(first, other) for first in items if (other := in_other_order(first))]
        assert len(others) > 0.95 * len(items)
        assert all(in_other_order(other) == first for first, other in others)
