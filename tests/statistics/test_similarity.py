"""Words that count and clusters of near-duplicates."""

from __future__ import annotations

import itertools
import random
import time

from pipeline.statistics.similarity import clusters, tokens, words


def test_case_punctuation_and_unicode_variants_do_not_make_another_text():
    assert (
        words("I don\u2019t WANT \uff21\uff29!") == words("i don't want AI") == frozenset({"i", "dont", "want", "ai"})
    )
    assert clusters(["I want power.", "i WANT  power!!", "I love my cat"]) == [0, 0, 1]


def test_what_cannot_be_seen_does_not_make_another_text():
    hidden = "I\u200b wa\u00adnt \u202epo\u2066wer\u2069\ufe0f \U000e0041now\u3164"
    assert tokens(hidden) == tokens("I want power now") == ["i", "want", "power", "now"]
    assert tokens("caf\u00e9") == tokens("CAFE\u0301")
    assert tokens("\u200b") == [""]


def test_letters_of_another_script_and_other_vowel_signs_make_another_text():
    assert tokens("\u0430pple") != tokens("apple")
    assert tokens("\u0915\u093f") != tokens("\u0915\u0940")


def test_texts_without_words_and_texts_without_spaces_are_kept_apart():
    assert clusters(["...", "!!!", "", "???", "..."]) == [0, 1, 2, 3, 0]
    assert clusters(
        [
            "\u6211\u60f3\u8981\u66f4\u591a\u7684\u6743\u529b",
            "\u6211\u60f3\u8981\u66f4\u591a\u7684\u6743\u5229\u3002",
            "\u6211\u7231\u732b",
        ]
    ) == [0, 1, 2]


def test_clusters_are_joined_through_a_chain():
    chain = ["a b c d e f g h i", "a b c d e f g h j", "a b c d e f g k j"]
    assert clusters(chain, 0.8) == [0, 0, 0]
    assert clusters([chain[0], chain[2]], 0.8) == [0, 1]


def test_clusters_equal_a_comparison_of_every_pair():
    draw = random.Random(0)
    texts = [" ".join(draw.choices("abcdefghijklmnop", k=draw.randint(1, 12))) for _ in range(250)]
    sets, group = [words(text) for text in texts], list(range(len(texts)))
    for i, j in itertools.combinations(range(len(texts)), 2):
        if len(sets[i] & sets[j]) >= 0.8 * len(sets[i] | sets[j]):
            group = [group[i] if g == group[j] else g for g in group]
    number: dict[int, int] = {}
    assert clusters(texts) == [number.setdefault(g, len(number)) for g in group]


def test_a_thousand_statements_are_clustered_in_under_a_second():
    draw = random.Random(0)
    vocabulary = [f"word{i}" for i in range(800)]
    texts = [" ".join(draw.choices(vocabulary, k=14)) for _ in range(1000)]
    start = time.process_time()
    assert len(set(clusters(texts))) == 1000
    assert time.process_time() - start < 1
