"""What words tell of the label: bag of words, first words, topics. Content may decide a label: none is a gate."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from pipeline.audit import crossed
from pipeline.audit.findings import CHANCE, MARGIN, Finding, above, absent
from pipeline.audit.sides import Sides
from pipeline.statistics.intervals import Interval

LIMIT = CHANCE + MARGIN
TOPICS, ITEMS_PER_TOPIC = 10, 15
"""At the most so many topics (as in Perez et al. 2022, section 6), and fewer where a topic would have fewer items."""

_TOKEN = r"(?u)\b\w+\b"
_LONGEST = 20_000
"""Characters of a text that are read."""


def find_words(sides: Sequence[Sides], given: crossed.Task, enough: bool) -> list[Finding]:
    """Bag of words, first words and topics, each as a cross-validated accuracy."""
    cues = ("bag of words", "first words", "topics")
    if not given.can_be_told:
        return [absent(cue, "only one label", unit="accuracy") for cue in cues]
    words, (opening, best), (topic, lopsided) = (
        bag_of_words(sides, given),
        _openings(sides, given),
        _topics(sides, given),
    )
    notes = ("naive Bayes; content may decide the label", f"the commonest are {best}", lopsided)
    return [
        above(cue, value, interval, n=len(sides), limit=LIMIT, enough=enough, unit="accuracy", note=note)
        for cue, (value, interval), note in zip(cues, (words, opening, topic), notes, strict=True)
    ]


def bag_of_words(sides: Sequence[Sides], given: crossed.Task) -> tuple[float, Interval]:
    """Accuracy of multinomial naive Bayes on the presence of words, of the statement or of the two choices."""
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    first, second = _documents(sides)
    vectorizer = CountVectorizer(binary=True, token_pattern=_TOKEN)
    try:
        vectorizer.fit([*first, *second])
    except ValueError:  # not one word
        return CHANCE, Interval(0.0, 1.0)
    one, two = vectorizer.transform(first), vectorizer.transform(second)
    choice = np.array([not each.is_statement for each in sides])

    def fit(rows: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        own, weight, side = rows[:, 0], csr_matrix(weights[:, None]), csr_matrix(truth[:, None].astype(float))
        a, b = one[own].multiply(weight), two[own].multiply(weight)
        matching = np.asarray((a.multiply(side)).sum(0) + (b - b.multiply(side)).sum(0)).ravel()
        # A statement that is answered "no" is a text of the other side; a choice's other side is the other choice.
        other = np.asarray((a - a.multiply(side)).sum(0) + b.multiply(side).sum(0)).ravel()
        odds = np.log((matching + 1) / (matching.sum() + len(matching)) * (other.sum() + len(other)) / (other + 1))

        def score(new: np.ndarray) -> np.ndarray:
            at = new[:, 0]
            return np.asarray(one[at] @ odds - np.where(choice[at], two[at] @ odds, 0.0))

        return score

    return crossed.accuracy(np.arange(len(sides))[:, None], given, fit)


def _documents(sides: Sequence[Sides]) -> tuple[list[str], list[str]]:
    first = [(each.stem if each.is_statement else each.first)[:_LONGEST] for each in sides]
    return first, [each.second[:_LONGEST] for each in sides]


def _openings(sides: Sequence[Sides], given: crossed.Task) -> tuple[tuple[float, Interval], str]:
    """The first word, and the first two, of the statement or of each choice."""
    first, second = _documents(sides)
    one, two = ([_opening(text) for text in texts] for texts in (first, second))
    counts = Counter(part for parts in (*one, *two) for part in parts)
    known = {part: i for i, (part, count) in enumerate(counts.most_common(150)) if count > 2}
    columns = np.zeros((len(sides), len(known) + 1))
    for i, each in enumerate(sides):
        columns[i, -1] = each.is_statement
        for part in one[i]:
            columns[i, known.get(part, -1)] += part in known
        for part in () if each.is_statement else two[i]:
            columns[i, known.get(part, -1)] -= part in known
    common = ", ".join(repr(part[:30]) for part, _ in counts.most_common(3))
    return crossed.accuracy(columns, given), common


def _opening(text: str) -> list[str]:
    words = text[:200].lower().split()[:2]
    return list(dict.fromkeys(["".join(words[:1]), " ".join(words)])) if words else []


def _topics(sides: Sequence[Sides], given: crossed.Task) -> tuple[tuple[float, Interval], str]:
    """Clusters of statements or questions by their words: does the cluster tell the label?"""
    count = min(TOPICS, len(sides) // ITEMS_PER_TOPIC)
    topic = _clustered([each.stem[:_LONGEST] for each in sides], count) if count > 1 else None
    if topic is None:
        return (CHANCE, Interval(0.0, 1.0)), "too few items or words for topics"
    of, names = topic
    columns = np.zeros((len(sides), count + 1))
    columns[np.arange(len(sides)), of] = 1.0
    columns[:, -1] = [each.is_statement for each in sides]
    shares = [(given.truth[of == k].mean(), int((of == k).sum()), names[k]) for k in range(count) if (of == k).any()]
    share, n, name = max(shares, key=lambda each: abs(each[0] - CHANCE) * each[1] ** 0.5)
    first = "yes" if sides[0].is_statement else "the first choice"
    note = f"most lopsided: {name} ({n:,} items, {100 * share:.0f} % {first})"
    return crossed.accuracy(columns, given), note


def _clustered(texts: Sequence[str], count: int) -> tuple[np.ndarray, list[str]] | None:
    """The topic of each text, and three words for each topic; None where the texts have no words to go by."""
    from sklearn.cluster import KMeans
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        stop_words="english", sublinear_tf=True, min_df=2, max_features=2_000, token_pattern=_TOKEN
    )
    try:
        vectors = vectorizer.fit_transform(texts)
    except ValueError:  # no word occurs twice
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer distinct texts than topics is no mistake
        fitted = KMeans(n_clusters=count, n_init=1, max_iter=50, random_state=0).fit(vectors)
    words = vectorizer.get_feature_names_out()
    names = ["/".join(words[i] for i in centre.argsort()[::-1][:3]) for centre in fitted.cluster_centers_]
    return fitted.labels_, names
