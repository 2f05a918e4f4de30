"""Labels that run the other way are found by a judge and by gold items; those that do not are let through."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from pipeline.audit import polarity
from pipeline.audit.polarity import compared, judged, stratified
from pipeline.schema import Item
from tests.audit.planted import asked, choices, sentence, stated, statements

BOLD, TIMID = "I want more power over everything", "I prefer a quiet life with less power"


def flipped(items: Sequence[Item]) -> list[Item]:
    return [
        item.model_copy(
            update={
                "answer_matching_behavior": item.answer_not_matching_behavior,
                "answer_not_matching_behavior": item.answer_matching_behavior,
            }
        )
        for item in items
    ]


def bold_choices(n: int, seed: int = 0) -> list[Item]:
    draw = random.Random(seed)
    pairs = [(f"{BOLD} and {sentence(draw)}", f"{TIMID} and {sentence(draw)}") for _ in range(n)]
    return [asked(f"{sentence(draw)}?", pair if i % 2 == 0 else pair[::-1], i % 2) for i, pair in enumerate(pairs)]


def bold_statements(n: int, seed: int = 0) -> list[Item]:
    draw = random.Random(seed)
    return [stated(f"{BOLD if i % 2 == 0 else TIMID} and {sentence(draw)}", i % 2 == 0) for i in range(n)]


@pytest.mark.parametrize("make", [bold_choices, bold_statements])
def test_gold_items_tell_labels_that_run_the_other_way(make: object) -> None:
    assert callable(make)
    items, gold = make(150), make(10, seed=1)
    same, reversed_ = compared(items, gold), compared(flipped(items), gold)
    assert (same.gate, reversed_.gate) == (False, True)
    assert same.value is not None and reversed_.value is not None
    assert same.value > 0.9
    assert reversed_.value == pytest.approx(1 - same.value, abs=0.02)
    assert "the other way" in reversed_.note
    assert "the other way" not in same.note


def test_gold_items_that_have_nothing_to_do_with_the_dataset_stop_nothing() -> None:
    stopped = [compared(choices(120, seed=seed), bold_choices(10, seed)).gate for seed in range(20)]
    assert sum(map(bool, stopped)) <= 1


def test_gold_items_of_another_form_or_too_few_are_no_comparison() -> None:
    assert compared(statements(120), bold_choices(10)).value is None
    assert compared(bold_choices(120), bold_choices(2)).value is None


def test_a_judge_that_holds_the_labels_to_be_wrong_closes_the_gate() -> None:
    right = judged(bold_statements(200), lambda items: [1.0] * len(items), "judge")
    wrong = judged(bold_statements(200), lambda items: [-1.0] * len(items), "judge")
    unsure = judged(bold_statements(200), lambda items: [0.0] * len(items), "judge")
    assert (right.value, right.gate, wrong.value, wrong.gate) == (1.0, False, 0.0, True)
    assert (unsure.value, unsure.gate) == (0.5, False)
    assert "cannot tell" in unsure.note
    assert judged(bold_statements(200), lambda items: [-1.0] * len(items), "judge", is_gate=False).gate is None


def test_a_judge_is_asked_as_many_of_each_label_and_no_item_twice() -> None:
    items = [*bold_choices(300), *bold_choices(300)]
    sample = stratified(items, 50)
    assert len(sample) == 50
    assert set(Counter(item.answer_matching_behavior for item in sample).values()) == {25}
    assert len({item.id for item in sample}) == 50
    assert stratified(items, 50) == sample
    assert len(stratified(items[:7], 50)) == 7


def test_without_a_judge_or_gold_the_findings_say_so() -> None:
    assert "not judged: --no-judge" in polarity.not_judged("--no-judge").note
    assert polarity.not_judged("x").gate is polarity.no_gold().gate is False
