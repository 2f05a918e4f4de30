"""How diverse a set of items is, and which topics it falls into: pure functions of texts, vectors and labels.

Vectors are sentence embeddings, shape (n, d), one row an item; their length does not matter, only the direction.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.statistics.similarity import tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROUNDS = 100
"""Of k-means at the most; it settles after about 20."""

BLEU_ORDER = 4
SMOOTHING = 0.1
"""Count that stands for no n-gram in common (method 1 of Chen and Cherry 2014, with NLTK's value)."""


def topics(vectors: NDArray[np.floating[Any]], k: int | None = None, seed: int = 0) -> NDArray[np.intp]:
    """The topic of each row, shape (n,), numbered from 0 by first occurrence; at most `k` of them.

    Spherical k-means (Dhillon and Modha 2001) from one k-means++ start that `seed` draws: the same input gives the same
    topics. `k` is by default sqrt(n / 2), a rule of thumb (Mardia, Kent and Bibby 1979) that is 10 for 200 items, the
    number of clusters that Perez et al. 2022 look at. Rows of zeros are a direction of their own.
    Raises ValueError for a `k` below 1.
    """
    unit = normalised(vectors)
    k = number_of_topics(len(unit)) if k is None else k
    if k < 1:
        raise ValueError(f"{k} topics")
    if len(unit) == 0:
        return np.zeros(0, dtype=np.intp)
    nearest = _spherical_k_means(unit, min(k, len(unit)), seed)
    _, first, of = np.unique(nearest, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[of]


def number_of_topics(n: int) -> int:
    """How many topics `n` items are divided into by default: sqrt(n / 2), at least 1."""
    return max(1, round(math.sqrt(n / 2)))


def _spherical_k_means(unit: NDArray[np.float64], k: int, seed: int) -> NDArray[np.intp]:
    from sklearn.cluster import kmeans_plusplus

    centres, _ = kmeans_plusplus(unit, k, random_state=np.random.RandomState(seed))
    nearest: NDArray[np.intp] = np.argmax(unit @ centres.T, axis=1)
    for _ in range(ROUNDS):
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, unit)
        # A centre that lost its last row stays where it is.
        centres = np.where(np.any(sums, axis=1, keepdims=True), normalised(sums), centres)
        moved = np.argmax(unit @ centres.T, axis=1)
        if np.array_equal(moved, nearest):
            break
        nearest = moved
    return nearest


def normalised(vectors: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The rows with length one, in double precision; rows of zeros stay."""
    rows = np.asarray(vectors, dtype=np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1.0)


def vendi_score(vectors: NDArray[np.floating[Any]]) -> float:
    """Effective number of different items, 1 (all alike) to n (all at right angles); 0 without items.

    exp of the Shannon entropy of the eigenvalues of K / n, K the matrix of cosines (Friedman and Dieng 2023,
    definition 3.1). The (d, d) matrix X'X / n has the same ones, so the smaller of the two is taken.
    """
    unit = normalised(vectors)
    n, d = unit.shape
    if n == 0:
        return 0.0
    gram = (unit @ unit.T if n <= d else unit.T @ unit) / n
    return math.exp(entropy_of_shares(np.linalg.eigvalsh(gram)))


def entropy_of_shares(shares: NDArray[np.floating[Any]]) -> float:
    """Shannon entropy in nats of shares; they are scaled to a sum of 1, and those not above 0 do not count."""
    positive = shares[shares > 0]
    if not len(positive):
        return 0.0
    p = positive / positive.sum()
    return float(-(p * np.log(p)).sum())


def topic_entropy(of: Sequence[Hashable], k: int) -> float:
    """How evenly items spread over `k` topics, 0 (all in one) to 1 (as many in each).

    Shannon entropy of the topics' shares over log k (Pielou's evenness, where empty topics count).
    `of` is the topic of each item; the topics are to be those of a larger set if two selections of it are compared.
    """
    if k < 2 or not of:
        return 0.0
    return entropy_of_shares(np.array(list(Counter(of).values()), dtype=float)) / math.log(k)


def label_imbalance(of: Sequence[Hashable], labels: Sequence[str]) -> float:
    """How uneven the two labels are inside topics, 0 (as many of each in every topic) to 1 (no topic has both).

    The difference of both labels' numbers over the topic's size, averaged over items.
    Raises ValueError where `of` and `labels` differ in length.
    """
    if len(of) != len(labels):
        raise ValueError(f"{len(of)} topics of {len(labels)} items")
    counts: dict[Hashable, Counter[str]] = {}
    for topic, label in zip(of, labels, strict=True):
        counts.setdefault(topic, Counter())[label] += 1
    apart = sum(2 * max(count.values()) - count.total() for count in counts.values())
    return apart / len(of) if of else 0.0


def self_bleu(texts: Sequence[str]) -> float:
    """Mean BLEU of each text against all others as references, 0 (nothing shared) to 1 (all alike); lower is better.

    As in Zhu et al. 2018 ("Texygen"): n-grams up to 4 with equal weights, smoothed where none is shared, and the
    brevity penalty of the reference of closest length. Over all texts, not a sample: the clipped count of an n-gram
    needs only its largest count in one text and the largest in the others, so the time grows with the texts' length.
    0 for fewer than two texts.
    """
    if len(texts) < 2:
        return 0.0
    split = [tokens(text) for text in texts]
    precisions = [_log_precisions(split, order) for order in range(1, BLEU_ORDER + 1)]
    shares_nothing = precisions[0] == -math.inf
    score = np.where(shares_nothing, 0.0, np.exp(np.mean(precisions, axis=0) + _log_brevity(split)))
    return float(score.mean())


def _log_precisions(split: Sequence[Sequence[str]], order: int) -> NDArray[np.float64]:
    """Log of the clipped precision of each text's n-grams of one order; -inf for no word in common."""
    grams = [Counter(zip(*(words[start:] for start in range(order)), strict=False)) for words in split]
    most: dict[tuple[str, ...], list[int]] = {}
    for counts in grams:
        for gram, count in counts.items():
            largest = most.setdefault(gram, [0, 0])
            if count > largest[1]:
                largest[:] = sorted((largest[0], count), reverse=True)
    values = []
    for counts in grams:
        # Where a text holds the largest count itself, the second largest is the most that another one has.
        clipped = sum(min(c, most[g][0] if c < most[g][0] else most[g][1]) for g, c in counts.items())
        nothing = 0.0 if order == 1 else SMOOTHING
        values.append((clipped or nothing) / max(1, counts.total()))
    with np.errstate(divide="ignore"):
        logs: NDArray[np.float64] = np.log(np.array(values, dtype=float))
    return logs


def _log_brevity(split: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Log of the brevity penalty of each text; the shorter of two references that are equally close."""
    counts = Counter(len(words) for words in split)
    penalties = {}
    for length in counts:
        others = [other for other in counts if other != length or counts[length] > 1]
        closest = min(others, key=lambda other: (abs(other - length), other))
        penalties[length] = min(0.0, 1 - closest / max(1, length))
    return np.array([penalties[len(words)] for words in split])
