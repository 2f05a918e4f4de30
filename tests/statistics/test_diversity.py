"""Diversity is measured where it is known by hand, and topics are found where they were planted."""

from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pytest

from pipeline.statistics import diversity
from pipeline.statistics.diversity import label_imbalance, self_bleu, topic_entropy, topics, vendi_score


def planted(n: int, k: int, d: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """n rows around k random directions in d dimensions, of any length, and the direction of each."""
    draw = np.random.default_rng(seed)
    of = draw.integers(0, k, n)
    rows = draw.normal(size=(k, d))[of] + spread * draw.normal(size=(n, d))
    return rows * draw.uniform(0.1, 10, size=(n, 1)), of


def test_planted_topics_are_found_whatever_the_length_of_the_vectors() -> None:
    rows, truth = planted(n=400, k=6, d=32, spread=0.3)
    found = topics(rows, k=6, seed=1)
    assert len(set(zip(found, truth, strict=True))) == 6


def test_topics_are_numbered_by_first_occurrence_and_the_same_seed_gives_the_same() -> None:
    rows, _ = planted(n=200, k=8, d=16, spread=1.0)
    found = topics(rows, seed=3)
    assert list(dict.fromkeys(found.tolist())) == list(range(len(set(found.tolist()))))
    assert len(set(found.tolist())) <= diversity.number_of_topics(200) == 10
    assert np.array_equal(found, topics(rows, seed=3))


@pytest.mark.parametrize(("n", "k"), [(0, 3), (1, 3), (2, 5), (5, 1)])
def test_few_items_and_one_topic_are_no_error(n: int, k: int) -> None:
    found = topics(np.ones((n, 4)), k=k)
    assert found.shape == (n,)
    assert set(found.tolist()) <= {0}


def test_less_than_one_topic_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 topics"):
        topics(np.ones((3, 2)), k=0)


def test_rows_of_zeros_break_nothing() -> None:
    rows = np.vstack([np.zeros((3, 4)), np.eye(4), np.eye(4)])
    assert len(topics(rows, k=4)) == 11
    assert math.isfinite(vendi_score(rows))


@pytest.mark.parametrize("d", [3, 8, 50])
def test_vendi_score_counts_what_is_different_on_either_side_of_n(d: int) -> None:
    rows = np.eye(d)[[0, 0, 1, 1, 2, 2, 0, 1, 2, 0, 1, 2]]
    assert vendi_score(rows) == pytest.approx(3)
    assert vendi_score(7 * rows) == pytest.approx(3)
    assert vendi_score(np.ones((9, d))) == pytest.approx(1)


def test_vendi_score_of_two_items_is_the_one_worked_out_by_hand() -> None:
    cosine = 0.6  # the eigenvalues of K / 2 are .8 and .2
    rows = np.array([[1.0, 0.0], [cosine, math.sqrt(1 - cosine**2)]])
    assert vendi_score(rows) == pytest.approx(math.exp(-0.8 * math.log(0.8) - 0.2 * math.log(0.2)))
    assert vendi_score(np.zeros((0, 5))) == 0


def test_topic_entropy_is_one_where_even_and_none_where_all_is_one_topic() -> None:
    assert topic_entropy([0, 1, 2, 3] * 5, 4) == pytest.approx(1)
    assert topic_entropy([2] * 9, 4) == 0
    assert topic_entropy([0, 1], 4) == pytest.approx(0.5)


def test_label_imbalance_is_seen_inside_topics_though_the_whole_is_balanced() -> None:
    labels = ["Yes"] * 4 + ["No"] * 4
    assert label_imbalance([0, 0, 1, 1, 0, 0, 1, 1], labels) == 0
    assert label_imbalance([0, 0, 0, 0, 1, 1, 1, 1], labels) == 1
    assert label_imbalance([0, 0, 0, 1, 0, 1, 1, 1], labels) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="2 topics of 1 items"):
        label_imbalance([0, 1], ["Yes"])


def brute_self_bleu(texts: list[list[str]]) -> float:
    """Straight from the definition: every text against all others, one reference at a time."""
    total = 0.0
    for i, text in enumerate(texts):
        references = texts[:i] + texts[i + 1 :]
        logs = []
        for order in range(1, 5):
            own = Counter(tuple(text[s : s + order]) for s in range(len(text) - order + 1))
            clipped = 0
            for gram, count in own.items():
                held = [sum(tuple(r[s : s + order]) == gram for s in range(len(r) - order + 1)) for r in references]
                clipped += min(count, max(held))
            if order == 1 and not clipped:
                break
            logs.append(math.log((clipped or 0.1) / max(1, sum(own.values()))))
        else:
            closest = min(map(len, references), key=lambda length: (abs(length - len(text)), length))
            total += math.exp(sum(logs) / 4 + min(0.0, 1 - closest / len(text)))
    return total / len(texts)


def test_self_bleu_is_that_of_comparing_every_text_with_all_others() -> None:
    draw = random.Random(0)
    for vocabulary in ("ab", "abcdef", "abcdefghijklmnopqrstuvwxyz"):
        split = [draw.choices(vocabulary, k=draw.randint(1, 9)) for _ in range(40)]
        assert self_bleu([" ".join(words) for words in split]) == pytest.approx(brute_self_bleu(split))


def test_self_bleu_is_the_one_that_nltk_gives() -> None:
    # Mean of sentence_bleu of nltk 3.10.4 with SmoothingFunction().method1 over the same words.
    texts = ["I like slow trains", "I like fast trains a lot", "trains are slow", "I do not like trains at all"]
    assert self_bleu(texts) == pytest.approx(0.10580446142931157, abs=1e-12)


def test_self_bleu_of_repeated_texts_is_one_and_of_unlike_texts_none() -> None:
    assert self_bleu(["I like slow trains a lot", "I like slow TRAINS, a lot!"]) == pytest.approx(1)
    assert self_bleu(["alpha beta", "gamma delta"]) == 0
    assert self_bleu(["alone"]) == self_bleu([]) == 0
