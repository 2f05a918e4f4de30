"""Words that texts share, and clusters of texts that say nearly the same: pure functions of texts."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

NEAR_DUPLICATE = 0.8
"""Jaccard similarity of the sets of words from which two texts count as the same item."""

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|(?:(?![\u3040-\u30ff\u3400-\u9fff])[^\W_])+")
_APOSTROPHES = str.maketrans("", "", "'\u2018\u2019\u02bc`\u00b4")


def words(text: str) -> frozenset[str]:
    """The set of words of a text without case, punctuation, apostrophes and Unicode variants (NFKC, case-folded).

    Scripts written without spaces count by the character. A text without any word counts as one word, itself.
    """
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_APOSTROPHES)
    return frozenset(_WORD.findall(folded)) or frozenset([folded.strip()])


def clusters(texts: Sequence[str], similarity: float = NEAR_DUPLICATE) -> list[int]:
    """The cluster of each text, numbered from 0 by first occurrence; texts of one cluster are near-duplicates.

    Single linkage over pairs whose sets of words have a Jaccard similarity of at least `similarity` (in 0..1, above 0).
    Opposites such as "I would" and "I would not" may fall together: they are one topic, not one claim.
    Exact: candidates come from prefix filtering (Bayardo, Ma and Srikant 2007, "Scaling up all pairs similarity
    search"; Xiao et al. 2008), so 50,000 statements take seconds, not 10^9 comparisons.
    """
    sets = [words(text) for text in texts]
    distinct = list(dict.fromkeys(sets))
    parent = list(range(len(distinct)))
    for a, b in _similar_pairs(distinct, similarity, parent):
        parent[_root(parent, a)] = _root(parent, b)
    of_set = {member: _root(parent, i) for i, member in enumerate(distinct)}
    number: dict[int, int] = {}
    return [number.setdefault(of_set[member], len(number)) for member in sets]


def _similar_pairs(sets: list[frozenset[str]], similarity: float, parent: list[int]) -> Iterator[tuple[int, int]]:
    """Index pairs of similar sets, leaving out those that `parent` already joins."""
    frequency = Counter(word for member in sets for word in member)
    # Two sets this similar share a word among the rarest few of each, and only those few are indexed.
    ordered = [sorted(member, key=lambda word: (frequency[word], word)) for member in sets]
    index: dict[str, list[int]] = defaultdict(list)
    for i in sorted(range(len(sets)), key=lambda i: (len(sets[i]), i)):
        size = len(sets[i])
        shortest = similarity * size - 1e-9
        prefix = ordered[i][: size - math.ceil(shortest) + 1]
        for j in {j for word in prefix for j in index[word] if len(sets[j]) >= shortest}:
            if _root(parent, i) == _root(parent, j):
                continue
            shared = len(sets[i] & sets[j])
            if shared >= similarity * (size + len(sets[j]) - shared) - 1e-9:
                yield i, j
        for word in prefix:
            index[word].append(i)


def _root(parent: list[int], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i
