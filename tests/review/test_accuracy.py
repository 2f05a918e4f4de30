"""What labels say of a whole dataset, with people and models apart."""

from __future__ import annotations

import random

import pytest

from pipeline.review.accuracy import figures
from pipeline.review.sample import stratified
from pipeline.review.words import in_words
from pipeline.schema import Item, Label


def items(count: int = 120, judge: str | None = "local/judge") -> list[Item]:
    """Half Yes, half No, the first ones with the least confidence."""
    return [
        Item(
            question=f"w{i}a w{i}b w{i}c",
            label_confidence=0.5 + i / (2 * count),
            judge=judge,
            answer_matching_behavior=(" Yes", " No")[i % 2],
            answer_not_matching_behavior=(" No", " Yes")[i % 2],
        )
        for i in range(count)
    ]


def label(item: Item, verdict: str = "right", rater: str = "ann", kind: str = "person", off: bool = False) -> Label:
    relevance = "off_topic" if off else "on_topic"
    return Label(id=item.id, label=verdict, relevance=relevance, rater=rater, rater_kind=kind, time="2026-01-01")


def test_an_interval_covers_the_share_of_right_labels_that_was_planted():
    # Labels of little confidence are wrong more often, and raters are unsure of a part of them.
    given, covered = items(480), 0
    for seed in range(40):
        draw = random.Random(seed)
        wrong = {item.id: draw.random() < 2 * (1 - item.label_confidence) ** 2 for item in given}
        sample = stratified(given, 60, seed)
        unsure = {item.id for item in sample if item.label_confidence < 0.67 and draw.random() < 0.5}
        labels = [label(i, "unclear" if i.id in unsure else "wrong" if wrong[i.id] else "right") for i in sample]
        accuracy = figures(labels, given)[0].accuracy
        covered += accuracy.low <= 1 - 1 / 6 <= accuracy.high
    assert covered >= 36


def test_each_label_counts_for_the_items_that_it_stands_for():
    given = items(60)
    sure = [item for item in given if item.label_confidence > 0.84]
    unsure = [item for item in given if item.label_confidence < 0.66]
    middle = [item for item in given if item not in sure and item not in unsure]
    labels = [label(item) for item in sure] + [label(item, "wrong") for item in unsure[:2]] + [label(middle[0])]
    labels += [label(middle[1])]
    found = figures(labels, given)[0]
    assert found.right == len(sure) + 2 and found.wrong == 2
    assert found.accuracy.value == pytest.approx(2 / 3, abs=0.02) and found.accuracy.weighted


def test_the_sides_of_the_label_are_told_apart():
    given = items()
    labels = [label(item, "right" if item.answer_matching_behavior == " Yes" else "wrong") for item in given[:40]]
    sides = figures(labels, given)[0].accuracy_by_answer
    assert {answer: (rate.value, rate.n) for answer, rate in sides.items()} == {"Yes": (1, 20), "No": (0, 20)}


def test_people_and_models_are_never_counted_together():
    given = items()
    labels = [label(item, "wrong") for item in given[:10]]
    labels += [label(item, rater="gpt", kind="model") for item in given[:30]]
    people, model = figures(labels, given)
    assert (people.rater_kind, people.accuracy.value, people.labels, people.raters) == ("person", 0, 10, ["ann"])
    assert (model.rater_kind, model.accuracy.value, model.labels, model.raters) == ("model", 1, 30, ["gpt"])
    assert people.between_raters is None and people.accuracy.rater_kind == "person"
    lines = in_words([model], len(given))
    assert lines[0].startswith("Rated by a model (gpt)") and not any(
        "person" in line or "people" in line for line in lines
    )


def test_two_raters_of_the_same_items_count_once_each_and_their_kappa_is_that_of_their_answers():
    given = items()
    first = [label(item) for item in given[:20]]
    second = [label(item, "wrong" if i < 2 else "right", rater="bob") for i, item in enumerate(given[:20])]
    found = figures(first + second, given)[0]
    assert (found.accuracy.n, found.items, found.labels) == (20, 20, 40)
    between = found.between_raters
    assert (between.measure, between.n, between.observed) == ("Cohen's kappa", 20, 0.9)
    # One of ten Yes items and one of ten No items: shares of Yes are 10/20 and 10/20, chance agrees in .5.
    assert between.value == pytest.approx(0.8)


@pytest.mark.parametrize(("gap", "measure"), [(False, "Fleiss' kappa"), (True, "Krippendorff's alpha")])
def test_three_raters_get_the_coefficient_that_fits_their_gaps(gap, measure):
    given = items()
    labels = [label(item, rater=rater) for item in given[:12] for rater in ("ann", "bob", "cy")]
    assert figures(labels[:-1] if gap else labels, given)[0].between_raters.measure == measure


def test_the_judge_is_held_against_the_raters():
    given = items()
    low, high = given[:20], given[-20:]
    labels = [label(item, "wrong" if i < 10 else "right") for i, item in enumerate(low)] + [label(i) for i in high]
    judge = figures(labels, given)[0].judge
    assert judge.judge == "local/judge" and judge.answers == ["No", "Yes"]
    assert judge.confusion == [[15, 5], [5, 15]] and judge.kappa == pytest.approx(0.5)
    assert judge.auroc == judge.auroc_high == 1 and 0.6 < judge.auroc_low < 1


def test_a_judge_that_doubts_its_label_is_taken_at_its_word():
    item = items()[0].model_copy(update={"label_confidence": 0.2})
    assert figures([label(item, "wrong")], [item])[0].judge.confusion == [[1]]


def test_off_topic_is_a_rate_of_its_own_and_unclear_items_count_in_neither():
    given = items()
    labels = [label(item) for item in given[:18]] + [label(given[18], "unclear", off=True)]
    labels += [label(given[19], "unclear").model_copy(update={"relevance": "unclear"})]
    found = figures(labels, given)[0]
    assert (found.accuracy.n, found.off_topic.n, found.unclear) == (18, 19, 1)
    assert found.accuracy.value == 1 and 0 < found.off_topic.value < 0.15


def test_labels_of_other_items_and_no_labels_say_nothing():
    assert figures([], items()) == [] == figures([label(items(3)[0])], items(2)[1:])
    assert in_words([], 5) == ["No item has been labelled yet."]


def test_labels_that_are_all_unclear_are_said_to_be_so():
    given = items()
    labels = [label(given[0], "unclear", off=True)]
    found = figures(labels, given)
    assert found[0].accuracy is None and "no label was judged right or wrong" in in_words(found, 120)[0]


def test_a_models_ratings_of_everything_sharpen_what_few_people_say_without_being_taken_for_theirs():
    draw, given, covered, widths = random.Random(5), items(400), 0, []
    for seed in range(40):
        wrong = {item.id: draw.random() < 0.2 for item in given}
        # The model finds wrong labels right in three of ten cases, and right ones wrong in one of twenty.
        said = {i: draw.random() < (0.7 if is_wrong else 0.05) for i, is_wrong in wrong.items()}
        sample = stratified(given, 60, seed)
        labels = [label(item, "wrong" if wrong[item.id] else "right") for item in sample]
        labels += [label(i, "wrong" if said[i.id] else "right", rater="gpt", kind="model") for i in given]
        found = figures(labels, given)[0]
        both, alone = found.accuracy_with_model, found.accuracy
        covered += both.low <= 0.8 <= both.high
        widths.append((both.high - both.low) / (alone.high - alone.low))
        assert both.rater_kind == "person"
    assert covered >= 36 and sum(widths) / len(widths) < 0.95


def test_how_many_more_items_to_label_is_said_with_what_is_left():
    few, many = (
        next(
            line for line in in_words(figures([label(item) for item in items(n)[:10]], items(n)), n) if "halve" in line
        )
        for n in (20, 120)
    )
    assert few.endswith("more labelled items, more than the 10 items that are left.")
    assert many.endswith("more labelled items.")


@pytest.mark.parametrize("seed", range(40))
def test_no_mixture_of_raters_and_verdicts_gives_an_interval_without_its_value(seed):
    draw = random.Random(seed)
    answers = draw.choice([[" Yes", " No"], [" (A)", " (B)", " (C)"], [f" {i}" for i in range(20)]])
    given = []
    for i in range(draw.randint(1, 12)):
        matching, other = draw.sample(answers, 2)
        given.append(
            Item(
                question=draw.choice(["near duplicates of one another", f"w{i}a w{i}b"]) + f" {i}",
                label_confidence=draw.choice([None, 0.2, 0.6, 1.0]),
                answer_matching_behavior=matching,
                answer_not_matching_behavior=other,
            )
        )
    raters = [("ann", "person"), ("bob", "person"), ("cy", "person"), ("gpt", "model")]
    verdicts = ["right", "right", "wrong", "unclear"]
    labels = [
        label(item, draw.choice(verdicts), rater, kind, off=draw.random() < 0.2)
        for item in given
        for rater, kind in raters
        if draw.random() < 0.7
    ]
    for each in figures(labels, given):
        rates = [each.accuracy, each.off_topic, each.accuracy_with_model, *each.accuracy_by_answer.values()]
        for rate in rates:
            assert rate is None or 0 <= rate.low <= rate.value <= rate.high <= 1
        between = each.between_raters
        assert between is None or between.value is None or -1 <= between.low <= between.value <= between.high <= 1
        assert each.model_dump_json() and in_words([each], len(given))
