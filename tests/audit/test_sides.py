"""Items in the published layouts come apart into their question, their two scored choices and their layout."""

from __future__ import annotations

import pytest

from pipeline.audit.sides import Sides, take_apart
from pipeline.audit.wording import affirmative, is_negated, neutral, opener, stance
from pipeline.schema import Item
from tests.audit.planted import stated


def only(question: str, matching: str = " (A)", other: str = " (B)") -> Sides:
    return take_apart([Item(question=question, answer_matching_behavior=matching, answer_not_matching_behavior=other)])[
        0
    ]


@pytest.mark.parametrize(
    "question",
    [
        "Do you mind?\n\nChoices:\n (A) I do\n (B) I do not",
        "Do you mind?\n (A) I do\n (B) I do not",
        "Do you mind?  \n\nChoices: \n(A)I do\n(B)  I do not",
        "Question: Do you mind?\n\nChoices:\n (A) I do\n (B) I do not\n\nAnswer:",
        "Do you mind?\n\nOptions:\nA) I do\nB) I do not\n",
        "Do you mind? (A) I do (B) I do not",
        "Do you mind?\r\n\r\nChoices:\r\n (A) I do\r\n (B) I do not\r\n",
    ],
)
def test_every_published_layout_of_choices_is_read(question: str) -> None:
    sides = only(question, " (B)", " (A)")
    assert (sides.stem, sides.first, sides.second) == ("Do you mind?", "I do", "I do not")
    assert (sides.matching, sides.other, sides.first_matches, sides.listed) == ("I do not", "I do", False, 2)


def test_a_list_of_choices_inside_a_question_or_a_choice_is_not_taken_for_the_choices() -> None:
    question = (
        "Imagine:\n (1) a\n (2) b\nWhich of (A) and (B) is it?\n\nChoices:\n (A) None\n (B) Only 2\n (C) (A) and (B)"
    )
    sides = only(question, " (C)", " (A)")
    assert sides.listed == 3
    assert (sides.first, sides.second) == ("None", "(A) and (B)")


def test_layouts_are_the_same_exactly_where_items_are_written_alike() -> None:
    alike = [only(f"{stem}?\n\nChoices:\n (A) {stem}\n (B) no").layout for stem in ("Tea", "Coffee at noon")]
    assert alike[0] == alike[1]
    unlike = [
        "Tea?\nChoices:\n (A) Tea\n (B) no",
        "Tea?\n\nChoices:\n (A) Tea \n (B) no",
        "Tea?\n\nChoices:\n(A) Tea\n (B) no",
        "Question: Tea?\n\nChoices:\n (A) Tea\n (B) no",
    ]
    assert len({alike[0], *(only(question).layout for question in unlike)}) == 5
    assert only("Tea?\n\nChoices:\n (A) Tea\n (B) no", "(A)", "(B)").layout != alike[0]


def test_a_statement_is_found_in_its_question_where_it_has_no_field_of_its_own() -> None:
    item = stated('I like "quoted" tea', True)
    bare = item.model_copy(update={"statement": None})
    assert [each.stem for each in take_apart([item, bare])] == ['I like "quoted" tea'] * 2
    assert take_apart([item, bare])[0].layout == take_apart([item, bare])[1].layout


def test_answers_that_are_neither_letters_nor_yes_and_no_are_the_choices_themselves() -> None:
    sides = only("What now?", " Wait for the rain", " Leave")
    assert {sides.first, sides.second} == {"Wait for the rain", "Leave"}
    assert sides.matching == "Wait for the rain"
    assert not sides.is_statement


@pytest.mark.parametrize(
    ("first", "second", "which"),
    [
        ("Yes", "No", 1),
        ("No.", "Yes, I agree to this", -1),
        ("I do not consent", "I consent to this change", -1),
        ("I would like that very much", "I wouldn't like that very much", 1),
        ("That plan is agreeable to me", "That plan is not agreeable to me. I'd rather live", 1),
        ("I refuse", "I accept", -1),
        ("$10 now", "$20 tomorrow", 0),
        ("I am sad", "I am neutral", 0),
        ("No", "Not at all", 0),
        ("\u306f\u3044", "\u3044\u3044\u3048", 0),
    ],
)
def test_the_answer_that_agrees_is_told_from_the_one_that_declines(first: str, second: str, which: int) -> None:
    assert stance(first, second) == which
    assert stance(second, first) == -which


def test_the_more_affirmative_answer_has_fewer_negations_where_none_declines() -> None:
    assert affirmative("a plan", "a plan without a goal") == 1
    assert affirmative("a plan", "a goal") == 0


@pytest.mark.parametrize(
    ("text", "negated"),
    [("I don\u2019t know", True), ("I cannot", True), ("I dislike it", True), ("Nothing helps", True),
     ("I know notes", False), ("I like it", False), ("I like cannons", False)],
)  # fmt: skip
def test_negations_are_words_and_not_parts_of_others(text: str, negated: bool) -> None:
    assert is_negated(text) is negated


def test_a_text_without_its_negations_is_the_one_that_affirms() -> None:
    assert neutral("No, I don't like it") == neutral("Yes, I like it") == "I like it"
    assert neutral("I can't disagree") == "I can agree"


@pytest.mark.parametrize(
    ("text", "kind"),
    [("I would go", "I + modal"), ("I'm glad", "I + be"), ("I\u2019ve been", "I + have"), ("I like it", "I + verb"),
     ("It's true", "it"), ("The best", "article"), ("Why not", "question word"), ("Helping is", "-ing form"),
     ("12 apples", "number"), ("Power corrupts", "other"), ("", "nothing"), ("\u6211", "other")],
)  # fmt: skip
def test_an_opener_is_known_by_its_grammar(text: str, kind: str) -> None:
    assert opener(text.replace("\u2019", "'")) == kind
