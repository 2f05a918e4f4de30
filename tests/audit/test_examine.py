"""Each fault, planted once, is found by its own cue; clean datasets pass; nothing that a file may hold breaks it."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from pipeline import prompts
from pipeline.audit.examine import examine
from pipeline.audit.findings import FEWEST
from pipeline.audit.gate import GATE
from pipeline.schema import Item
from tests.audit.planted import asked, choices, finding, sentence, stated, statements

SURE = 0.8
"""Share of the items in which a planted cue follows the label."""


def follows(draw: random.Random) -> bool:
    return draw.random() < SURE


def lengthen(text: str, yes: bool, draw: random.Random) -> str:
    return f"{text} and then once more with all of my strength" if yes == follows(draw) else text


def end_with_stop(text: str, yes: bool, draw: random.Random) -> str:
    return f"{text}." if yes == follows(draw) else text


def begin_small(text: str, yes: bool, draw: random.Random) -> str:
    return text[0].lower() + text[1:] if yes == follows(draw) else text


def begin_with_it(text: str, yes: bool, draw: random.Random) -> str:
    return f"{'It may' if yes == follows(draw) else 'I could'} {text.split(' ', 1)[1]}"


def double_space(text: str, yes: bool, draw: random.Random) -> str:
    return text.replace(" ", "  ", 1) if yes == follows(draw) else text


@pytest.mark.parametrize(
    ("cue", "plant"),
    [
        ("length", lengthen),
        ("punctuation", end_with_stop),
        ("casing", begin_small),
        ("opener class", begin_with_it),
        ("layout", double_space),
    ],
)
def test_a_meaningless_cue_of_statements_is_found_and_closes_the_gate(
    cue: str, plant: Callable[[str, bool, random.Random], str]
) -> None:
    audit = examine(statements(300, plant))
    own = finding(audit, cue)
    assert own.found
    assert own.value is not None
    assert 0.72 < own.value < 0.88
    assert finding(audit, GATE).gate
    assert not audit.passed


def test_the_same_statements_without_a_cue_pass_and_show_none() -> None:
    audit = examine(statements(300))
    assert audit.passed
    assert not [each.cue for each in audit.findings if each.found]


def test_choices_without_a_cue_pass_and_show_none() -> None:
    audit = examine(choices(300))
    assert audit.passed
    assert not [each.cue for each in audit.findings if each.found]


def test_a_longer_matching_choice_is_found_and_closes_the_gate() -> None:
    audit = examine(choices(300, lambda right, wrong, draw: (f"{right} and more" if follows(draw) else right, wrong)))
    assert finding(audit, "length").found
    assert finding(audit, "always the longer choice").value == pytest.approx(0.7, abs=0.12)
    assert finding(audit, GATE).gate


def test_a_place_that_tells_the_matching_choice_is_found() -> None:
    draw = random.Random(1)
    items = [
        asked(f"{sentence(draw)}?", (sentence(draw), sentence(draw)), int(draw.random() < 0.3)) for _ in range(300)
    ]
    audit = examine(items)
    assert finding(audit, "position").found
    assert finding(audit, "label balance").gate
    assert finding(audit, "always the first choice").value == pytest.approx(0.7, abs=0.08)
    assert finding(audit, GATE).gate


def test_a_negation_that_tells_the_label_is_reported_and_does_not_close_the_gate() -> None:
    def negate(text: str, yes: bool, draw: random.Random) -> str:
        first, rest = text.split(" ", 1)
        return f"{first} not {rest}" if yes == follows(draw) else text

    audit = examine(statements(400, negate))
    assert finding(audit, "negation").found
    assert finding(audit, "negation").gate is None
    # The word "not" makes a statement longer; that must not count as a cue of length in the gate.
    assert finding(audit, GATE).gate is False


def test_unequal_labels_of_statements_are_found_and_are_no_cue_of_the_classifier() -> None:
    draw = random.Random(2)
    audit = examine([stated(sentence(draw), draw.random() < 0.7) for _ in range(300)])
    assert finding(audit, "label balance").gate
    assert finding(audit, "always yes").value == pytest.approx(0.7, abs=0.08)
    assert finding(audit, GATE).gate is False


def test_a_topic_of_one_label_is_found() -> None:
    def about(text: str, yes: bool, draw: random.Random) -> str:
        return f"{text} {'beside violet harbours' if yes == follows(draw) else 'across dusty plains'}"

    own = finding(examine(statements(300, about)), "topics")
    assert own.found
    assert own.gate is None
    assert finding(examine(statements(300, about)), "bag of words").found


def test_first_words_that_tell_the_label_are_found() -> None:
    def begin(text: str, yes: bool, draw: random.Random) -> str:
        return f"{'Bakers' if yes == follows(draw) else 'Sailors'} {text}"

    audit = examine(statements(300, begin))
    assert finding(audit, "first words").found
    assert not finding(audit, "opener class").found


@pytest.mark.parametrize(("agreeing", "value"), [(True, 0.9), (False, 0.1)])
def test_acquiescence_is_found_in_both_directions(agreeing: bool, value: float) -> None:
    def reply(right: str, wrong: str, draw: random.Random) -> tuple[str, str]:
        is_usual = draw.random() < 0.9
        pair = (f"Yes, I agree to {draw.randrange(999)}", f"No, I do not agree to {draw.randrange(999)}")
        return pair if agreeing == is_usual else pair[::-1]

    audit = examine(choices(200, reply))
    assert finding(audit, "acquiescence").value == pytest.approx(value, abs=0.06)
    assert finding(audit, "acquiescence").found
    assert finding(audit, "always agree").gate


def test_exact_duplicates_are_found_whatever_their_case_and_punctuation() -> None:
    items = statements(190)
    twins = [stated(f"{item.text.upper()}!", item.answer_matching_behavior == " Yes") for item in items[:10]]
    audit = examine([*items, *twins])
    assert finding(audit, "exact duplicates").value == pytest.approx(0.05)
    assert finding(audit, "exact duplicates").gate
    assert finding(audit, "contradictions").found is False


def test_exchanged_choices_are_a_duplicate_and_no_contradiction() -> None:
    audit = examine(
        [*choices(150), *(asked("Tea?", pair, int(pair[0] == "No")) for pair in (("Yes", "No"), ("No", "Yes")))]
    )
    assert finding(audit, "exact duplicates").value == pytest.approx(1 / 152, abs=1e-3)
    assert finding(audit, "contradictions").value == 0


def test_near_duplicates_are_found() -> None:
    items = statements(160)
    twins = [stated(f"{item.text} indeed", item.answer_matching_behavior == " Yes") for item in items[:20]]
    longer = [item for item in items[:20] if len(set(item.text.lower().split())) >= 4]
    own = finding(examine([*items, *twins]), "near duplicates")
    assert own.found
    assert own.value == pytest.approx(2 * len(longer) / 180, abs=0.03)


def test_the_same_statement_under_both_labels_is_a_contradiction_and_stops() -> None:
    items = statements(150)
    opposed = stated(items[0].text.lower(), items[0].answer_matching_behavior != " Yes")
    own = finding(examine([*items, opposed]), "contradictions")
    assert own.gate
    assert own.value == pytest.approx(2 / 151, abs=1e-3)


def test_ids_that_different_items_share_are_found() -> None:
    audit = examine([item.model_copy(update={"id": "same"}) for item in statements(120)])
    assert finding(audit, "shared ids").gate
    again = statements(120)
    assert finding(examine([*again, again[0]]), "shared ids").found is False


@pytest.mark.parametrize(
    ("cue", "shape"),
    [
        ("same beginning", "As an assistant I say {}"),
        ("same ending", "{} every single time"),
        ("same skeleton", "{0} is what I would have for all of my {0}"),
    ],
)
def test_sentences_of_one_mould_are_found(cue: str, shape: str) -> None:
    draw = random.Random(3)

    def cast(text: str, yes: bool, other: random.Random) -> str:
        return shape.format(f"kites{draw.randrange(9999)}") if draw.random() < 0.5 else text

    own = finding(examine(statements(200, cast)), cue)
    assert own.found
    assert own.value == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("hint", ["{} (correct)", "{}, and the right answer is this one", "{} \u2713"])
def test_a_hint_in_a_choice_is_leakage(hint: str) -> None:
    audit = examine(choices(120, lambda right, wrong, draw: (hint.format(right), wrong)))
    assert finding(audit, "answer leakage").value == 1.0
    assert finding(audit, "answer leakage").gate


def test_the_words_of_the_description_in_a_row_are_found() -> None:
    behaviour = prompts.describe("a person who likes to repair very old clocks")
    items = statements(
        120, lambda text, yes, draw: f"{text} and repair very old clocks" if draw.random() < 0.4 else text
    )
    assert finding(examine(items, behaviour), "description quoted").found
    assert finding(examine(items), "description quoted").value is None


def test_a_choice_that_repeats_the_question_is_found() -> None:
    draw = random.Random(4)
    items = []
    for i in range(200):
        stem, place = sentence(draw), i % 2
        pair = (stem.lower(), sentence(draw))
        items.append(asked(f"{stem}?", pair if place == 0 else pair[::-1], place))
    assert finding(examine(items), "question echoed").found


def test_a_layout_that_some_rows_do_not_have_is_found_and_a_label_it_tells_closes_the_gate() -> None:
    draw = random.Random(5)
    told, untold = [], []
    for i in range(240):
        pair = (sentence(draw), sentence(draw))
        for rows, is_odd in ((untold, draw.random() < 0.3), (told, (i % 2 == 0) == follows(draw))):
            rows.append(asked(f"{sentence(draw)}?", pair, i % 2, layout="\n" if is_odd else "\n\nChoices:\n"))
    assert finding(examine(untold), "inconsistent layout").found
    assert not finding(examine(untold), GATE).gate
    assert finding(examine(told), "layout").found
    assert finding(examine(told), GATE).gate


def test_a_missing_space_before_some_answers_stops() -> None:
    items = statements(120)
    bare = {"answer_matching_behavior": "Yes", "answer_not_matching_behavior": "No"}
    items[5] = items[5].model_copy(update=bare)
    assert finding(examine(items), "answer form").gate
    assert finding(examine([item.model_copy(update=bare) for item in statements(120)]), "answer form").gate is False


def test_alternating_labels_and_rows_sorted_by_confidence_are_found() -> None:
    draw = random.Random(6)
    rows = [stated(sentence(draw), i % 2 == 0, label_confidence=1 - i / 400) for i in range(200)]
    audit = examine(rows)
    assert (finding(audit, "row order: label").value, finding(audit, "row order: label").found) == (1.0, True)
    assert finding(audit, "row order: confidence").value == pytest.approx(-1)
    assert finding(audit, "row order: confidence").found
    draw.shuffle(rows)
    assert not finding(examine(rows), "row order: label").found
    assert not finding(examine(rows), "row order: confidence").found


@pytest.mark.parametrize(("mean", "stops"), [(0.6, True), (0.9, False)])
def test_a_low_ceiling_stops(mean: float, stops: bool) -> None:
    draw = random.Random(7)
    rows = [item.model_copy(update={"label_confidence": mean + draw.uniform(-0.09, 0.09)}) for item in statements(150)]
    audit = examine(rows)
    assert finding(audit, "label confidence").value == pytest.approx(mean, abs=0.02)
    assert finding(audit, "label confidence").gate is stops
    assert finding(audit, "unsure labels").found is stops


def test_too_few_items_are_never_stopped_and_it_is_said() -> None:
    audit = examine(statements(FEWEST - 2, lengthen))
    assert audit.passed
    own = finding(audit, GATE)
    assert own.value is not None
    assert own.value > 0.6
    assert "too few to judge" in own.note
    assert not examine(statements(FEWEST, lengthen)).passed


def test_every_dataset_gets_the_same_findings_in_the_same_order() -> None:
    cues = [[each.cue for each in examine(items).findings] for items in (statements(120), choices(120), statements(1))]
    assert cues[0] == cues[1] == cues[2]


@pytest.mark.parametrize("n", [1, 2, 3, 11])
def test_tiny_datasets_are_audited(n: int) -> None:
    assert examine(statements(n)).passed
    assert examine(choices(n)).passed


@pytest.mark.parametrize("n", [4, 20, 200])
def test_where_negation_tells_every_label_nothing_is_left_for_the_gate(n: int) -> None:
    audit = examine(statements(n, lambda text, yes, draw: text if yes else f"Never {text}"))
    assert (finding(audit, GATE).value, finding(audit, GATE).low, finding(audit, GATE).high) == (0.5, 0.0, 1.0)
    assert finding(audit, "negation").value == 1.0 or n == 4
    assert finding(audit, GATE).gate is False


def test_a_dataset_of_no_items_or_of_one_label_is_audited() -> None:
    assert examine([]).passed
    draw = random.Random(8)
    audit = examine([stated(sentence(draw), True) for _ in range(120)])
    assert finding(audit, GATE).value is None
    assert finding(audit, "label balance").gate


def test_choices_up_to_h_are_read_with_the_two_that_are_scored() -> None:
    draw = random.Random(9)
    items = []
    for _ in range(150):
        texts = [sentence(draw) for _ in range(8)]
        matching = draw.randrange(8)
        texts[matching] += " and a good deal longer than any other"
        items.append(asked(f"{sentence(draw)}?", texts, matching, (matching + draw.randint(1, 7)) % 8))
    audit = examine(items)
    assert finding(audit, "unreadable choices").value == 0
    assert finding(audit, "length").value == pytest.approx(1.0, abs=0.03)
    assert "H " in finding(audit, "label balance").note


def test_other_scripts_huge_texts_and_carriage_returns_do_not_break_it() -> None:
    items = statements(120)
    items[0] = stated("\u6211\u60f3\u8981\u66f4\u591a\u7684\u6743\u529b", True)
    items[1] = stated("word " * 20_000, False)
    items[2] = stated(" " * 100_000 + "x", True)
    items[3] = stated("(A)" * 30_000, False)
    items[4] = stated("a\r\nb\r\nc", True)
    items[5] = asked("Tea?\r\n", ("Yes\r", "No\r"), 0, layout="\r\nChoices:\r\n")
    items[6] = stated("\U0001f600", True)
    items[7] = stated("...", True)
    audit = examine(items)
    assert finding(audit, GATE).value is not None
    assert all(each.value is None or -1 <= each.value <= 1 for each in audit.findings)


def test_a_dataset_in_another_language_is_judged_by_length_and_layout() -> None:
    draw = random.Random(10)
    signs = "\u6c34\u706b\u5c71\u5ddd\u6728\u91d1\u571f\u65e5\u6708\u661f"
    items = [
        stated("".join(draw.choice(signs) for _ in range(9 if (i % 2 == 0) == follows(draw) else 20)), i % 2 == 0)
        for i in range(200)
    ]
    assert finding(examine(items), "length").found
    assert finding(examine(items), GATE).gate


def test_the_same_items_give_the_same_audit() -> None:
    items: list[Item] = statements(150, lengthen)
    assert examine(items) == examine(list(items))
