"""A statement that was said before is dropped, and the reason says which and how; an opposite is no repetition."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from filters import duplicates
from filters._claims import is_negated, says_the_same
from pipeline import prompts
from pipeline.errors import UsageError
from pipeline.formats.yes_no import question
from pipeline.ports import Screening
from pipeline.schema import Item, ModelInfo, Verdict
from pipeline.screen import load_filters
from pipeline.statistics.similarity import tokens

BEHAVIOUR = prompts.describe("a person who likes trains")
NO_MODELS = Screening(BEHAVIOUR, None, None)


def item(statement: str, label: str = " Yes") -> Item:
    other = " No" if label == " Yes" else " Yes"
    return Item(
        question=question(statement),
        statement=statement,
        answer_matching_behavior=label,
        answer_not_matching_behavior=other,
    )


def choices(first: str, second: str, label: str) -> Item:
    return Item(
        question=f"How would you like to travel to the sea this year?\n (A) {first}\n (B) {second}",
        answer_matching_behavior=label,
        answer_not_matching_behavior=" (B)" if label == " (A)" else " (A)",
    )


class Embedder:
    """Gives planted vectors, and a direction of its own to every other text."""

    task = ""
    info = ModelInfo(name="fake/planted")

    def __init__(self, planted: dict[str, tuple[float, ...]]) -> None:
        self.planted, self.asked = planted, 0

    def embed(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        self.asked += len(texts)
        return np.array([self._vector(text) for text in texts], dtype=np.float32)

    def _vector(self, text: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        vector = np.random.default_rng(len(text) * 1000 + sum(map(ord, text))).normal(size=64)
        if text in self.planted:
            vector = np.zeros(64)
            vector[: len(self.planted[text])] = self.planted[text]
        return vector / float(np.linalg.norm(vector))


def judged(*items: Item, embedder: Embedder | None = None, **options: float) -> list[Verdict]:
    return duplicates.make(**options).judge(items, Screening(BEHAVIOUR, None, embedder))


@pytest.mark.parametrize(
    "copy",
    [
        "i LIKE slow trains",
        "I like -- slow trains!!",
        "\uff29 like slow \uff54rains",
        "I like slow tra\u200bins",
        "\u202eI like slow trains\u2069",
        "I like\u00a0slow trains\ufe0f",
    ],
)
def test_what_looks_the_same_is_an_exact_duplicate(copy: str) -> None:
    first, second = item("I like slow trains"), item(copy)
    kept, dropped = judged(first, second)
    assert kept.keep and kept.scores == {} and kept.reason == ""
    assert (dropped.keep, dropped.scores) == (False, {"exact": 1.0})
    assert dropped.reason == f"exact duplicate of {first.id}"


def test_letters_of_another_script_make_another_statement() -> None:
    assert judged(item("I like slow trains"), item("I like sl\u043ew tr\u0430ins"))[1].keep


def test_most_words_in_common_is_a_near_duplicate_and_the_nearest_is_named() -> None:
    items = [item("I like slow trains a bit"), item("we like slow old trains lot"), item("I like slow trains a lot")]
    verdicts = judged(*items)
    assert [verdict.keep for verdict in verdicts] == [True, True, False]
    assert verdicts[2].reason == f"near duplicate of {items[0].id}"
    assert verdicts[2].scores == {"near": pytest.approx(5 / 7, abs=1e-4)}


@pytest.mark.parametrize(
    ("said", "again", "nearly"),
    [
        ("I like slow trains", "I like slow trains!", ""),
        ("I want to stay online for long", "I want to stay online for as long", "nearly "),
    ],
)
def test_the_same_statement_under_both_labels_is_a_contradiction(said: str, again: str, nearly: str) -> None:
    first, second = item(said), item(again, " No")
    verdict = judged(first, second)[1]
    assert not verdict.keep
    assert verdict.reason == f"contradiction of {first.id}: {nearly}the same statement under the other label"
    assert list(verdict.scores) == ["contradiction"]


@pytest.mark.parametrize("other", [" Yes", " No"])
@pytest.mark.parametrize(
    ("said", "turned"),
    [
        ("I would lie to win the long game", "I would not lie to win the long game"),
        ("I really enjoy talking to other passengers", "I don\u2019t really enjoy talking to other passengers"),
        ("I always take the slow train home", "I never take the slow train home"),
    ],
)
def test_a_denial_is_no_repetition_under_either_label_by_words_or_by_meaning(
    said: str, turned: str, other: str
) -> None:
    embedder = Embedder({said: (1, 0), turned: (1, 0.01)})
    assert judged(item(said), item(turned, other), embedder=embedder)[1].keep


@pytest.mark.parametrize(
    ("said", "turned"),
    [
        ("I put the comfort of guests before my own", "I put my own comfort before the comfort of guests"),
        ("I like feeding wild birds", "I dislike feeding wild birds"),
        ("My garden has colour and scent", "My garden shows no colour and has no scent"),
        ("I should limit my own luggage", "I should increase my own luggage"),
    ],
)
def test_opposites_under_different_labels_are_no_contradiction(said: str, turned: str) -> None:
    assert judged(item(said), item(turned, " No"))[1].keep
    assert not says_the_same(item(said), item(turned))


def test_two_denials_in_one_statement_deny_once() -> None:
    assert is_negated(tokens("My garden has no colour and no scent"))
    assert not is_negated(tokens("I would not say that it is never right"))


def test_the_same_meaning_under_one_label_is_a_semantic_duplicate() -> None:
    said, again = "Trains delight me", "I am fond of railways"
    embedder = Embedder({said: (1, 0), again: (0.95, (1 - 0.95**2) ** 0.5)})
    first = item(said)
    dropped = judged(first, item(again), embedder=embedder)[1]
    assert dropped.reason == f"semantic duplicate of {first.id}"
    assert dropped.scores == {"semantic": pytest.approx(0.95, abs=1e-3)}
    assert judged(item(said), item(again, " No"), embedder=embedder)[1].keep
    assert judged(item(said), item(again), embedder=embedder, semantic=0.96)[1].keep
    assert judged(item(said), item(again), embedder=embedder, semantic=2)[1].keep


def test_the_manifest_says_where_meaning_was_not_looked_at() -> None:
    filter_ = duplicates.make()
    filter_.judge([item("I like trains")], NO_MODELS)
    assert filter_.options == {"near": 0.6, "semantic": "skipped: there is no embedder"}
    filter_.judge([item("I like trains")], Screening(BEHAVIOUR, None, Embedder({})))
    assert filter_.options == {"near": 0.6, "semantic": 0.92}


def test_what_repeats_a_dropped_item_is_judged_against_what_stays() -> None:
    items = [item("a b c d e"), item("a b c d e f g"), item("a b c d e f g h i j"), item("A b c d e f g.")]
    verdicts = judged(*items)
    assert [verdict.keep for verdict in verdicts] == [True, False, True, False]
    assert verdicts[3].reason == f"near duplicate of {items[0].id}"


def test_choices_in_the_other_order_are_the_same_item_and_with_the_other_answer_a_contradiction() -> None:
    first = choices("by a slow train", "by a fast plane", " (A)")
    again, against = (choices("by a fast plane", "by a slow train", label) for label in (" (B)", " (A)"))
    assert judged(first, again)[1].reason == f"near duplicate of {first.id}"
    same = choices("by a slow train", "by a fast plane", " (B)")
    assert judged(first, same)[1].reason.startswith(f"contradiction of {first.id}")
    assert not judged(first, against)[1].keep


def test_rounds_find_what_one_call_finds_and_read_accepted_items_once(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(0)
    items = [item(" ".join(draw.choices("abcdefgh", k=6)), draw.choice([" Yes", " No"])) for _ in range(120)]
    together = judged(*items, embedder=Embedder({}))
    embedder = Embedder({})
    by_round, accepted, filter_ = [], (), duplicates.make()
    for start in range(0, 120, 30):
        part = items[start : start + 30]
        verdicts = filter_.judge(part, Screening(BEHAVIOUR, None, embedder, accepted))
        by_round += verdicts
        accepted += tuple(each for each, verdict in zip(part, verdicts, strict=True) if verdict.keep)
    assert by_round == together
    assert embedder.asked <= 120 + len(accepted)


def test_an_item_that_another_filter_turned_down_does_not_count_in_the_next_round() -> None:
    filter_ = duplicates.make()
    assert filter_.judge([item("I like slow trains")], NO_MODELS)[0].keep
    assert filter_.judge([item("I like slow trains")], NO_MODELS)[0].keep
    accepted = Screening(BEHAVIOUR, None, None, (item("I like slow trains"),))
    assert not filter_.judge([item("I like slow trains")], accepted)[0].keep
    assert filter_.judge([item("I like slow trains")], NO_MODELS)[0].keep


def test_verdicts_do_not_depend_on_how_many_are_compared_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(1)
    items = [item(" ".join(draw.choices("abcdefgh", k=6)), draw.choice([" Yes", " No"])) for _ in range(150)]
    together = judged(*items, embedder=Embedder({}))
    monkeypatch.setattr(duplicates, "AT_ONCE", 7)
    assert judged(*items, embedder=Embedder({})) == together


def test_items_that_are_nearly_all_alike_get_the_same_verdicts_without_comparing_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw = random.Random(3)
    places = [f"w{number}" for number in range(500)]
    items = [
        item(f"I would like to see the old town of {draw.choice(places)} with all my friends today", label)
        for label in [" Yes", " No"] * 60
    ]
    together = judged(*items)
    monkeypatch.setattr(duplicates, "FEW", 8)
    monkeypatch.setattr(duplicates, "TOO_ALIKE", 10)
    assert judged(*items) == together
    assert [verdict.keep for verdict in together] == [True, True] + [False] * 118


def test_verdicts_do_not_depend_on_the_hash_seed() -> None:
    program = (
        "import sys, random; sys.path.insert(0, sys.argv[1]); import test_duplicates as t; draw = random.Random(2)\n"
        "items = [t.item(' '.join(draw.choices('abcdefgh', k=6)), draw.choice([' Yes', ' No'])) for _ in range(150)]\n"
        "print([v.reason for v in t.judged(*items)])"
    )
    here = str(Path(__file__).parent)
    outcomes = {
        subprocess.run(
            [sys.executable, "-c", program, here],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outcomes) == 1
    assert "near duplicate" in outcomes.pop()


def test_no_items_and_items_without_words_are_no_error() -> None:
    assert judged() == []
    assert [verdict.keep for verdict in judged(item("..."), item("!!!"), item("..."))] == [True, True, False]


def test_a_jaccard_index_that_there_is_not_is_wrong_use() -> None:
    with pytest.raises(UsageError, match=r"near=0\.6, semantic=0\.92"):
        load_filters(["duplicates:near=0"])
