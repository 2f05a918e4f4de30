"""How often the gate is wrong: clean datasets of real length pass, planted cues are found."""

from __future__ import annotations

import random

import numpy as np
import pytest

from pipeline.audit import crossed
from pipeline.audit.findings import CHANCE, MARGIN
from pipeline.audit.gate import meaning_free_accuracy
from pipeline.audit.sides import take_apart
from pipeline.schema import Item
from pipeline.statistics.similarity import clusters
from tests.audit.planted import choices, sentence, stated, statements


def closes(items: list[Item]) -> bool:
    sides = take_apart(items)
    return meaning_free_accuracy(sides, clusters([item.text for item in items]))[1].low > CHANCE + MARGIN


@pytest.mark.parametrize("make", [statements, choices])
def test_of_twenty_clean_datasets_at_most_one_is_stopped(make: object) -> None:
    assert callable(make)
    assert sum(closes(make(200, seed=seed)) for seed in range(20)) <= 1


def test_a_cue_that_holds_in_sixty_five_percent_of_a_thousand_items_is_always_found() -> None:
    def lengthen(text: str, yes: bool, draw: random.Random) -> str:
        return f"{text} and then once more with all of my strength" if yes == (draw.random() < 0.65) else text

    assert all(closes(statements(1_000, lengthen, seed)) for seed in range(4))


def test_copies_of_one_item_do_not_make_a_cue_out_of_chance() -> None:
    # Twelve statements, each thirty times: a classifier that had seen a twin would know every label.
    draw = random.Random(0)
    kinds = [(sentence(draw), i % 2 == 0) for i in range(12)]
    items = [stated(f"{text} indeed", yes) for text, yes in kinds for _ in range(30)]
    assert not closes(items)


def test_negation_tells_nothing_where_it_is_set_aside() -> None:
    def negate(text: str, yes: bool, draw: random.Random) -> str:
        first, rest = text.split(" ", 1)
        return f"{first} not {rest}" if yes == (draw.random() < 0.95) else text

    assert sum(closes(statements(300, negate, seed)) for seed in range(10)) <= 1


def test_no_row_is_scored_by_a_classifier_that_saw_its_cluster() -> None:
    sides = take_apart(statements(60))
    task = crossed.task(sides, [i // 3 for i in range(60)])
    seen: list[set[int]] = []

    def fit(rows: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> object:
        seen.append({int(row) // 3 for row in rows[:, 0]})
        return lambda new: np.array([float(int(row) // 3 in seen[-1]) for row in new[:, 0]])

    assert not crossed.scores(np.arange(60)[:, None], task, fit).any()  # type: ignore[arg-type]
    assert len(seen) == crossed.FOLDS


def test_statements_weigh_so_that_both_labels_count_alike_and_choices_as_they_are() -> None:
    items = [item for item in statements(200) if item.answer_matching_behavior == " Yes"][:90] + [
        item for item in statements(200, seed=1) if item.answer_matching_behavior == " No"
    ][:30]
    task = crossed.task(take_apart(items), range(120))
    weights = task.weights(np.ones(120, dtype=bool))
    assert weights[task.truth].sum() == pytest.approx(weights[~task.truth].sum())
    always = crossed.accuracy_of(np.ones(120), task)
    assert always[0] == pytest.approx(0.5)
    assert always[1].low < 0.5 < always[1].high
    assert set(crossed.task(take_apart(choices(20)), range(20)).weights(np.ones(20, dtype=bool))) == {1.0}
