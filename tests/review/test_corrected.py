"""Scores against true labels, from answers and labels as they stand in files."""

from __future__ import annotations

import random

import pytest

from pipeline.review.corrected import corrections
from pipeline.review.sample import stratified
from pipeline.schema import Answer, Item, Label, Point
from pipeline.statistics.intervals import wilson


def items(count: int, draw: random.Random) -> list[Item]:
    """As many Yes as No items with a made-up confidence each."""
    return [
        Item(
            question=f"w{i}a w{i}b w{i}c",
            label_confidence=round(draw.uniform(0.5, 1), 3),
            answer_matching_behavior=(" Yes", " No")[i % 2],
            answer_not_matching_behavior=(" No", " Yes")[i % 2],
        )
        for i in range(count)
    ]


def answer(item: Item, matches: bool, tie: bool = False) -> Answer:
    return Answer(
        id=item.id,
        p_matching=0.5 if tie else 0.9 if matches else 0.1,
        mass=1,
        log_odds=0 if tie else 2 if matches else -2,
        matches=matches and not tie,
        estimator="samples" if tie else "loglikelihood",
        answer_form=" Yes",
        standard_error=0.1 if tie else None,
    )


def point(answers: list[Answer]) -> Point:
    score = sum(one.score for one in answers) / len(answers)
    low, high = wilson(score * len(answers), len(answers))
    unknown = dict.fromkeys(("family", "quantisation", "dtype", "template_hash", "parameters", "training_tokens"))
    unknown |= dict.fromkeys(("yes_rate", "position_bias", "refusal_rate", "comprehension"))
    return Point(
        **unknown,
        **{"model": "fake/m", "kind": "chat", "rendering": "chat", "thinking": False, "n": len(answers)},
        **{"score": score, "score_low": low, "score_high": high, "mean_probability": score, "mass": 1.0},
        estimator="loglikelihood",
    )


def label(item: Item, verdict: str, kind: str = "person") -> Label:
    where = "unclear" if verdict == "unclear" else "on_topic"
    return Label(id=item.id, label=verdict, relevance=where, rater=kind, rater_kind=kind, time="2026-01-01")


def planted(seed: int, n: int, score: float = 0.95, wrong: float = 0.1, count: int = 400):
    """A subject of a known score against the true labels of items of which one in ten is labelled wrongly."""
    draw = random.Random(seed)
    given = items(count, draw)
    error = {item.id: draw.random() < wrong for item in given}
    answers = [answer(item, (draw.random() < score) != error[item.id]) for item in given]
    labels = [label(item, "wrong" if error[item.id] else "right") for item in stratified(given, n, seed)]
    return point(answers), answers, labels, given


def test_the_corrected_interval_covers_the_planted_score_where_the_plain_one_does_not():
    covered = plain = 0
    for seed in range(40):
        seen, answers, labels, given = planted(seed, 100)
        first = corrections(seen, answers, labels, given)[0]
        covered += first.low <= 0.95 <= first.high
        plain += seen.score_low <= 0.95 <= seen.score_high
        assert first.method == "ppi" and first.n == 100
    assert covered >= 36 and plain <= 4


def test_both_methods_are_told_and_ppi_comes_first():
    found = corrections(*planted(0, 100))
    assert [(one.method, one.unclear) for one in found] == [("ppi", "left out"), ("rogan-gladen", "left out")]
    assert found[1].score == pytest.approx(0.95, abs=0.06)


def test_unclear_items_are_told_both_ways():
    seen, answers, labels, given = planted(1, 100)
    labels = [one.model_copy(update={"label": "unclear"}) if i % 5 == 0 else one for i, one in enumerate(labels)]
    by_way = {one.unclear: one for one in corrections(seen, answers, labels, given) if one.method == "ppi"}
    assert (by_way["left out"].n, by_way["half"].n) == (80, 100)
    assert by_way["half"].score < by_way["left out"].score - 0.05


def test_people_correct_before_models_and_each_under_its_own_name():
    seen, answers, labels, given = planted(2, 100)
    models = [one.model_copy(update={"rater": "gpt", "rater_kind": "model", "label": "right"}) for one in labels]
    found = corrections(seen, answers, models + labels[:50], given)
    assert [one.rater_kind for one in found] == ["person", "person", "model", "model"] and found[0].n == 50
    assert {one.rater_kind for one in corrections(seen, answers, models, given)} == {"model"}


def test_labels_of_items_that_the_model_did_not_answer_leave_only_the_formula():
    _, answers, labels, given = planted(3, 60)
    labelled = {one.id for one in labels}
    some = [one for one in answers if one.id not in labelled]
    found = corrections(point(some), some, labels, given)
    assert [one.method for one in found] == ["rogan-gladen"] and found[0].n == 60


def test_with_more_than_two_published_answers_the_formula_takes_one_error_rate():
    draw = random.Random(4)
    given = [
        Item(question=f"{i}", answer_matching_behavior=f" ({'ABC'[i % 3]})", answer_not_matching_behavior=" (D)")
        for i in range(300)
    ]
    error = {item.id: draw.random() < 0.1 for item in given}
    answers = [answer(item, not error[item.id]) for item in given]
    labels = [label(item, "wrong" if error[item.id] else "right") for item in stratified(given, 100, 0)]
    found = {one.method: one for one in corrections(point(answers), answers, labels, given)}
    assert found["rogan-gladen"].score == pytest.approx(1, abs=0.05) and found["ppi"].score > 0.97


def test_draws_that_tie_count_half_whatever_the_label():
    draw = random.Random(5)
    given = items(100, draw)
    answers = [answer(item, True, tie=i % 2 == 0) for i, item in enumerate(given)]
    labels = [label(item, "right") for item in stratified(given, 40, 0)]
    assert corrections(point(answers), answers, labels, given)[0].score == pytest.approx(0.75)


def test_without_labels_or_with_none_but_unclear_ones_nothing_is_left_out_and_made_up():
    seen, answers, labels, given = planted(6, 20)
    assert corrections(seen, answers, [], given) == []
    unclear = [one.model_copy(update={"label": "unclear"}) for one in labels]
    assert {one.unclear for one in corrections(seen, answers, unclear, given)} == {"half"}


def test_labels_stay_of_use_where_the_answers_are_gone():
    seen, _, labels, given = planted(7, 20)
    assert corrections(seen, [], labels, given) == []


def test_as_many_more_labels_as_are_said_halve_the_interval():
    before, more = [], []
    for seed in range(6):
        found = corrections(*planted(seed, 60, score=0.8, wrong=0.2, count=2000))[0]
        before.append(found.high - found.low)
        more.append(found.labels_to_halve)
    n = 60 + round(sum(more) / len(more))
    after = [corrections(*planted(seed, n, score=0.8, wrong=0.2, count=2000))[0] for seed in range(6)]
    ratio = sum(one.high - one.low for one in after) / sum(before)
    assert 0.46 < ratio < 0.54
