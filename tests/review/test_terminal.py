"""The spot-check as a rater meets it, with keys from a list and a screen that is a string."""

from __future__ import annotations

from collections import Counter

import pytest

from pipeline.review.labels import read
from pipeline.review.sample import strata, stratified
from pipeline.review.terminal import SpotCheck, visible
from pipeline.schema import Behaviour, Item


def items(count: int = 60) -> list[Item]:
    return [
        Item(
            question=f'Would you say this?\n"statement {i}"',
            label_confidence=0.5 + i / (2 * count),
            answer_matching_behavior=" Yes" if i % 3 else " No",
            answer_not_matching_behavior=" No" if i % 3 else " Yes",
        )
        for i in range(count)
    ]


def check(tmp_path, keys, given=None, **changes):
    """Runs a spot-check over these keys; gives the labels it returned, what was on the screen and what is stored."""
    screen, pressed = [], iter(keys)
    settings = {
        "rater": "ann",
        "sample": 5,
        "behaviour": Behaviour(name="x", description="likes \x9b31mcats"),
    }
    spot_check = SpotCheck(
        items=given or items(),
        path=tmp_path / "labels.jsonl",
        read_key=lambda: next(pressed, ""),
        write=screen.append,
        now=lambda: "2026-01-01T00:00:00Z",
        **{**settings, **changes},
    )
    return spot_check.run(), "".join(screen), read(tmp_path / "labels.jsonl")


def test_one_key_an_item_stores_a_label_each_and_ends_with_the_agreement(tmp_path):
    found, screen, labels = check(tmp_path, "rrwou")
    assert found == labels
    assert [(one.label, one.relevance) for one in labels] == [
        ("right", "on_topic"),
        ("right", "on_topic"),
        ("wrong", "on_topic"),
        ("unclear", "off_topic"),
        ("unclear", "unclear"),
    ]
    assert "Rated by a person (ann): the dataset's label is right in 2 of 3 judged items" in screen
    assert "Off topic: " in screen and "Unclear, and counted in neither: 1." in screen
    assert "Behaviour: likes cats" in screen and "5/5" in screen
    assert {(one.rater, one.rater_kind, one.time) for one in labels} == {("ann", "person", "2026-01-01T00:00:00Z")}


def test_quitting_and_starting_again_shows_the_remaining_items_only(tmp_path):
    _, first, labels = check(tmp_path, "rrq")
    assert len(labels) == 2 and "the same command goes on from here" in first
    _, second, labels = check(tmp_path, "www")
    assert "2 of 5 items are labelled already by ann" in second and "3/5" in second and "1/5" not in second
    assert Counter(one.label for one in labels) == {"right": 2, "wrong": 3}


def test_a_finished_check_asks_nothing_and_a_larger_one_only_the_rest(tmp_path):
    check(tmp_path, "rrrrr")
    assert len(check(tmp_path, "w")[2]) == 5
    assert len(check(tmp_path, "www", sample=8)[2]) == 8


def test_another_rater_starts_afresh(tmp_path):
    check(tmp_path, "rrrrr")
    _, screen, labels = check(tmp_path, "wwwww", rater="bob")
    assert len(labels) == 10 and "Rated by 2 people (ann, bob)" in screen
    assert "Agreement between people on 5 items that several rated: 0 %, Cohen's kappa" in screen


def test_a_models_ratings_are_called_a_models_and_stand_apart_from_a_persons(tmp_path):
    screen = check(tmp_path, "rrrrr", rater="gpt", rater_kind="model")[1]
    assert "Rated by a model (gpt)" in screen and "person" not in screen and "people" not in screen
    screen = check(tmp_path, "wwwww")[1]
    assert "Rated by a person (ann): the dataset's label is right in 0 of 5 judged items" in screen
    assert "Rated by a model (gpt): the dataset's label is right in 5 of 5 judged items" in screen


def test_going_back_takes_the_label_away_and_asks_again(tmp_path):
    _, screen, labels = check(tmp_path, "rbwq")
    assert [one.label for one in labels] == ["wrong"] and screen.count("1/5") == 2
    assert "nothing to go back to" in check(tmp_path, "bq", rater="bob")[1]


def test_going_back_and_quitting_leaves_the_item_unlabelled(tmp_path):
    assert len(check(tmp_path, "rrbq")[2]) == 1


def test_a_note_is_stored_with_its_label_and_can_be_corrected(tmp_path):
    _, _, labels = check(tmp_path, ["n", *"oddd", "\x7f", *" é", "\x1b", "\n", "w", "q"])
    assert (labels[0].note, labels[0].label) == ("odd é", "wrong")


def test_other_keys_are_ignored_and_the_end_of_the_input_stops(tmp_path):
    assert [one.label for one in check(tmp_path, "xyz\nR")[2]] == ["right"]


def test_a_blind_check_hides_the_label_until_the_answer(tmp_path):
    question = "Q?"
    item = Item(question=question, answer_matching_behavior=" No", answer_not_matching_behavior=" Yes")
    _, screen, labels = check(tmp_path, "ry", [item], blind=True)
    before, after = screen.split("[q]uit")
    assert "Shows the behaviour: " not in before and "the dataset says No" in after
    assert labels[0].label == "wrong"


def test_in_a_blind_check_n_is_an_answer_and_c_takes_a_note(tmp_path):
    item = Item(question="Q?", answer_matching_behavior=" No", answer_not_matching_behavior=" Yes")
    _, _, labels = check(tmp_path, ["c", "h", "m", "\n", "n"], [item], blind=True)
    assert (labels[0].label, labels[0].note) == ("right", "hm")


@pytest.mark.parametrize(
    "evil",
    ["\x1b[2J", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\", "\x9b31m", "\x07", "\r", "\u202e", "\x1bc", "\x1b[?25l"],
)
def test_an_item_cannot_steer_the_terminal(tmp_path, evil):
    item = Item(question=f"be{evil}fore", answer_matching_behavior=f" Y{evil}", answer_not_matching_behavior=" N")
    _, screen, _ = check(tmp_path, "q", [item])
    assert "before" in screen and not set(screen) & {"\x1b", "\x9b", "\x07", "\r", "\u202e"}


def test_ordinary_text_of_any_script_stays_visible():
    assert visible("naïve 我\t\n🙂 a") == "naïve 我\t\n🙂 a"


def test_the_sample_holds_each_label_and_confidence_in_the_datasets_proportion():
    chosen = stratified(items(60), 18, 0)
    assert Counter(item.answer_matching_behavior for item in chosen) == {" Yes": 12, " No": 6}
    thirds = Counter(min(int((item.label_confidence - 0.5) * 6), 2) for item in chosen)
    assert min(thirds.values()) >= 4


def test_the_strata_of_a_sample_are_found_again_from_the_dataset_in_any_order():
    of = strata(items(60))
    assert of == strata(items(60)[::-1]) and Counter(of.values()) == {
        **{(" Yes", level): size for level, size in enumerate((13, 13, 14))},
        **{(" No", level): size for level, size in enumerate((6, 7, 7))},
    }
    drawn = Counter(of[item.id] for item in stratified(items(60), 30, 3))
    assert all(abs(drawn[stratum] - size / 2) <= 1 for stratum, size in Counter(of.values()).items())


def test_a_larger_sample_begins_with_the_smaller_and_another_seed_draws_another():
    assert stratified(items(), 20, 1)[:8] == stratified(items(), 8, 1) != stratified(items(), 8, 2)


def test_every_item_is_as_likely_to_be_drawn_as_any_other():
    given, runs = items(30), 800
    drawn = Counter(item.id for seed in range(runs) for item in stratified(given, 6, seed))
    assert all(abs(drawn[item.id] / runs - 0.2) < 0.07 for item in given)


def test_an_item_that_occurs_twice_is_shown_once_and_a_small_dataset_whole():
    assert len(stratified(items(4) * 2, 20, 0)) == 4
