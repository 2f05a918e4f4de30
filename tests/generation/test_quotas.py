"""A topic counts up to its share; what is no topic, and what is too little to have any, counts whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from pipeline import prompts
from pipeline.formats.yes_no import question
from pipeline.generation.quotas import counting
from pipeline.ports import EmbeddingModel, Screening
from pipeline.schema import Item, ModelInfo

BEHAVIOUR = prompts.describe("a person who is fond of trains")
N, TOPICS = 128, 8
"""sqrt(128 / 2) is 8."""


class Planted(EmbeddingModel):
    """Puts a text where its first word says: `topic3`, or `alone5` for a direction of its own."""

    task = ""
    info = ModelInfo(name="test/planted")

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        vectors = np.zeros((len(texts), 400), dtype=np.float32)
        for row, text in enumerate(texts):
            first, number = text.split()[0], row
            if first.startswith("topic"):
                vectors[row, int(first[5:])] = 1.0
                vectors[row, 20 + number] = 0.3
            else:
                vectors[row, 20 + int(first[5:])] = 1.0
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def item(text: str, label: str = " Yes") -> Item:
    other = " No" if label == " Yes" else " Yes"
    return Item(
        question=question(text), statement=text, answer_matching_behavior=label, answer_not_matching_behavior=other
    )


def counts(items: Sequence[Item], share: float) -> list[bool]:
    return counting(items, N, share, Screening(BEHAVIOUR, None, Planted()))


def spread_over_topics(sizes: Sequence[int], label: str = " Yes") -> list[Item]:
    return [item(f"topic{topic} number {label} {i}", label) for topic, size in enumerate(sizes) for i in range(size)]


@pytest.mark.parametrize(("share", "most"), [(1.0, 8), (2.5, 20)])
def test_a_planted_topic_counts_up_to_its_share_of_a_label_and_the_others_whole(share: float, most: int) -> None:
    items = spread_over_topics([40, 5, 5, 5, 5, 5, 5, 5])
    found = Counter(each.text.split()[0] for each, does in zip(items, counts(items, share), strict=True) if does)
    assert found.pop("topic0") == most
    assert set(found.values()) == {5}


def test_the_share_is_that_of_each_label_apart_and_the_earlier_items_count() -> None:
    items = spread_over_topics([30, 2, 2, 2, 2, 2, 2, 2]) + spread_over_topics([30, 2, 2, 2, 2, 2, 2, 2], " No")
    found = counts(items, 1.0)
    for start in (0, 44):
        assert found[start : start + 30] == [True] * 8 + [False] * 22
        assert all(found[start + 30 : start + 44])


def test_statements_that_have_nothing_in_common_are_no_topic_however_they_are_grouped() -> None:
    assert all(counts([item(f"alone{i} statement") for i in range(100)], 1.0))


def test_a_handful_of_items_counts_whole() -> None:
    assert all(counts(spread_over_topics([19]), 1.0))


def test_without_an_embedder_topics_are_found_by_words() -> None:
    texts = [f"I polish my brass whistle number {i} every morning" for i in range(40)]
    texts += [f"{word}{i} is what {word}ers want{i}" for i, word in enumerate(("mapl", "tick", "bridg", "tunn"))]
    found = counting([item(text) for text in texts], 32, 1.0, Screening(BEHAVIOUR, None, None))
    assert sum(found[:40]) < 40
    assert all(found[40:])
