"""Rounds ask for what lacks, in whole blocks, within every limit, and come to an end."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pipeline.generation.candidates import BLOCK
from pipeline.generation.demand import THRIFTY_ROUND, Demand
from pipeline.generation.recipe import Recipe

LABELS = (" Yes", " No")


def demand(is_thrifty: bool = False, **recipe: float) -> Demand:
    chosen = Recipe(**{"n": 40, "oversample": 1.0, "round": 64, "patience": 0, **recipe})  # type: ignore[arg-type]
    return Demand(chosen, LABELS, Counter(), is_thrifty or chosen.candidates is not None)


def run(wanting: Demand, yields: dict[str, float], counts: float = 1.0) -> list[dict[str, int]]:
    """Rounds in which these shares of a label pass, and that share of what passes counts."""
    rounds = []
    while wanted := wanting.next_round():
        rounds.append(wanted)
        assert isinstance(wanting.asked, Counter)
        wanting.asked.update(wanted)
        passed = {label: int(wanting.asked[label] * yields[label]) for label in LABELS}
        wanting.update(passed, {label: int(number * counts) for label, number in passed.items()})
        assert len(rounds) < 1_000
    return rounds


@given(
    st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.none() | st.integers(40, 300), st.sampled_from([0, 16, 64])
)
def test_every_run_ends_within_its_limits(yes: float, no: float, counts: float, most: int | None, size: int) -> None:
    wanting = demand(candidates=most, round=size, topic_patience=1.5)  # type: ignore[arg-type]
    rounds = run(wanting, {" Yes": yes, " No": no}, counts)
    total = sum(wanting.asked.values())
    assert total <= (most or 2 * 20 * 20)
    assert all(number <= (size or 10_000) for wanted in rounds for number in wanted.values())
    if most is None:
        assert all(wanting.passed[label] >= 20 or wanting.asked[label] == 400 for label in LABELS)
    elif any(map(wanting.lacks, LABELS)):
        assert total == most


def test_the_label_that_lacks_is_asked_alone_once_the_other_has_its_candidates() -> None:
    *_, last = run(demand(), {" Yes": 0.9, " No": 0.05})
    assert set(last) == {" No"}


def test_candidates_come_in_whole_blocks_up_to_the_ceiling() -> None:
    assert all(n % BLOCK == 0 for wanted in run(demand(), {" Yes": 0.4, " No": 0.2}) for n in wanted.values())


def test_where_calls_are_limited_rounds_are_small_and_nothing_is_written_for_choice_before_all_is_there() -> None:
    rounds = run(demand(is_thrifty=True, oversample=5.0), {" Yes": 0.9, " No": 0.1})
    assert max(number for wanted in rounds for number in wanted.values()) == THRIFTY_ROUND
    lacking = [wanted for wanted in rounds if " No" in wanted and " Yes" not in wanted]
    assert rounds.index(lacking[0]) == 1
    assert set(rounds[-1]) == {" Yes"}, "then the better ones are looked for"


def test_what_does_not_count_is_asked_for_again_half_as_often_at_the_most() -> None:
    rich, narrow = demand(topic_patience=1.5), demand(topic_patience=1.5)
    run(rich, dict.fromkeys(LABELS, 0.1))
    run(narrow, dict.fromkeys(LABELS, 0.1), counts=0.5)
    for label in LABELS:
        assert rich.asked[label] == rich.enough_after[label]
        assert narrow.enough_after[label] < narrow.asked[label] <= 1.5 * narrow.enough_after[label]


def test_where_candidates_cost_money_topics_ask_for_nothing_more() -> None:
    paid = Recipe(n=40).for_models("openai/x")
    assert paid.topic_patience == 1.0 and paid.spread == 0.0
    assert Recipe(n=40).for_models("local/x", "fake/y").topic_patience == 1.5
