"""Words that texts share, and clusters of texts that say nearly the same: pure functions of texts."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

NEAR_DUPLICATE = 0.8
"""Jaccard similarity of the sets of words from which two texts count as the same item."""

_SPACELESS = "\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(f"[{_SPACELESS}]|[^\\s{_SPACELESS}]+")
_ASCII_WORD = re.compile("[a-z0-9]+")
_APOSTROPHES = str.maketrans("", "", "'\u2018\u2019\u02bc`\u00b4")
_INVISIBLE_LETTERS = frozenset(map(ord, "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"))
_VARIATIONS = range(0xFE00, 0xFE10)


def tokens(text: str) -> list[str]:
    """The words of a text in order, without case, punctuation, apostrophes and what a reader cannot see.

    Unicode variants such as full-width letters count as the plain ones (NFKC, case-folded); invisible and
    bidirectional characters do not count. Letters of another script that look alike (Cyrillic for Latin "a") do.
    Scripts written without spaces are split by the character. A text without any word is one word, itself.
    """
    # Most statements are ASCII, where all of this is ten times as fast.
    plain = text.lower() if text.isascii() else _folded(text)
    plain = plain.translate(_APOSTROPHES)
    return (_ASCII_WORD if text.isascii() else _WORD).findall(plain) or [_visible(text).strip()]


def _folded(text: str) -> str:
    """Letters, digits and their marks, case-folded; a space for everything else that can be seen."""
    folded = unicodedata.normalize("NFKC", _visible(text)).casefold()
    return unicodedata.normalize("NFKC", folded).translate(_APOSTROPHES).translate(_LETTERS)


def _visible(text: str) -> str:
    """The text without format characters (zero width, direction, soft hyphens, tags), fillers and variations."""
    return text if text.isascii() else text.translate(_VISIBLE)


class _Visible(dict[int, int | None]):
    """What `str.translate` makes of each character, found out when it first occurs: None for the invisible."""

    def __missing__(self, code: int) -> int | None:
        invisible = code in _INVISIBLE_LETTERS or code in _VARIATIONS or unicodedata.category(chr(code)) == "Cf"
        return self.setdefault(code, None if invisible else code)


class _Letters(dict[int, int]):
    """The character itself for letters, digits and their marks, else a space."""

    def __missing__(self, code: int) -> int:
        # Vowel signs are marks: without them different words of Hindi or Thai would be the same.
        stays = chr(code).isalnum() or unicodedata.category(chr(code))[0] == "M"
        return self.setdefault(code, code if stays else ord(" "))


_VISIBLE, _LETTERS = _Visible(), _Letters()


def words(text: str) -> frozenset[str]:
    """The set of the words of a text, as `tokens` finds them."""
    return frozenset(tokens(text))


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
