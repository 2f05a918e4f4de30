"""What gives the label away without meaning is left out of the surplus; planted here by length."""

from __future__ import annotations

import random

from pipeline.formats.yes_no import question
from pipeline.generation.matching import REASON, choose_unrevealing, is_revealing
from pipeline.schema import Item, RejectedItem
from pipeline.screen import Screened

WORDS = "river stone cloud table garden window paper candle mirror bottle ladder pencil basket engine".split()  # noqa: SIM905


def item(number: int, label: str, words: int, stream: random.Random) -> Item:
    statement = f"{' '.join(stream.choices(WORDS, k=words))} {number}"
    return Item(
        question=question(statement),
        statement=statement,
        answer_matching_behavior=label,
        answer_not_matching_behavior=" No" if label == " Yes" else " Yes",
    )


def planted(n: int, longer: float, seed: int = 0) -> list[Item]:
    """Of each label n items of 6 to 12 words; a share `longer` of those with Yes has 8 more."""
    stream = random.Random(seed)
    items = []
    for i in range(n):
        extra = 8 if stream.random() < longer else 0
        items.append(item(2 * i, " Yes", stream.randint(6, 12) + extra, stream))
        items.append(item(2 * i + 1, " No", stream.randint(6, 12), stream))
    return items


def first(room: int):
    """As many of each label, the first ones; the others are turned down."""

    def choose(items):
        sides = [[each for each in items if each.answer_matching_behavior == label] for label in (" Yes", " No")]
        kept = [each for side in sides for each in side[:room]]
        beyond = [RejectedItem(**each.model_dump(), reason="room") for side in sides for each in side[room:]]
        return Screened(tuple(kept), tuple(beyond), ())

    return choose


def test_surplus_items_that_give_their_label_away_go_until_the_rest_does_not() -> None:
    items = planted(200, longer=0.45)
    assert is_revealing(first(100)(items).kept)
    chosen, out = choose_unrevealing(items, 100, first(100))
    assert not is_revealing(chosen.kept)
    assert len(chosen.kept) == 200 and len(chosen.rejected) + len(out) == 200
    assert {each.reason for each in out} == {REASON}
    lengths = [len(each.text.split()) for each in out if each.answer_matching_behavior == " Yes"]
    assert sum(length > 13 for length in lengths) > 0.7 * len(lengths)


def test_without_a_surplus_nothing_goes() -> None:
    items = planted(100, longer=0.45)
    chosen, out = choose_unrevealing(items, 100, first(100))
    assert {each.id for each in chosen.kept} == {each.id for each in items} and out == []


def test_what_gives_nothing_away_stays_as_it_is_and_few_items_are_not_judged() -> None:
    clean = planted(150, longer=0.0)
    assert choose_unrevealing(clean, 100, first(100)) == (first(100)(clean), [])
    few = planted(40, longer=1.0)
    assert not is_revealing(few)
