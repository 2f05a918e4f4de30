"""The statements that were seen before, found by the words they share and by what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from filters._claims import is_negated, same_side, says_the_same
from pipeline.ports import EmbeddingModel
from pipeline.schema import Item
from pipeline.statistics.cosine import CosineIndex
from pipeline.statistics.overlap import Filed, OverlapIndex, Pairs, Vocabulary

if TYPE_CHECKING:
    from numpy.typing import NDArray


Kind = Literal["exact", "near", "semantic", "contradiction"]


class Match(NamedTuple):
    """The earlier item that a later one repeats."""

    earlier: Item
    score: float
    """Jaccard index of the words; cosine where the meaning is what they share."""
    kind: Kind


@dataclass(frozen=True)
class Batch:
    """Items read at once. `sides` are even numbers by label, and one more where the statement is negated."""

    items: list[Item]
    keys: list[bytes]
    filed: Filed
    sides: NDArray[np.int64]
    vectors: NDArray[np.float32] | None


class Earlier:
    """Items seen before, with an index of their words and, with an embedder, of their meaning."""

    def __init__(self, near: float, semantic: float, embedder: EmbeddingModel | None) -> None:
        """`near` is a Jaccard index, `semantic` a cosine; without an embedder the meaning does not count."""
        self.items: list[Item] = []
        self.embedder = embedder
        self._vocabulary = Vocabulary()
        self._labels: dict[str, int] = {}
        self._keys: dict[bytes, int] = {}
        self._older_keys: dict[bytes, int] = {}
        self._sides = np.zeros(0, dtype=np.int64)
        self._overlap = OverlapIndex(near)
        self._cosine = CosineIndex(semantic)

    def fork(self) -> Earlier:
        """The same items, to be added to without adding to these. Asked and then thrown away, in no time."""
        other = Earlier(self._overlap.near, self._cosine.least, self.embedder)
        other.items = list(self.items)
        other._vocabulary, other._labels = self._vocabulary, self._labels
        other._older_keys, other._sides = self._keys, self._sides
        other._overlap, other._cosine = self._overlap.fork(), self._cosine.fork()
        return other

    def exact(self, items: Sequence[Item], said: Sequence[Sequence[str]]) -> list[int | Item | None]:
        """What each item repeats word by word under the same label: an item added before, or the place of one of these.

        None where it is the first to say so. `said` are the words of each item.
        """
        found: list[int | Item | None] = []
        places: dict[bytes, int] = {}
        for place, (item, its_words) in enumerate(zip(items, said, strict=True)):
            key = _key(item, its_words)
            position = self._keys.get(key, self._older_keys.get(key))
            first = places.setdefault(key, place)
            repeated = None if first == place else first
            found.append(repeated if position is None else self.items[position])
        return found

    def read(self, items: Sequence[Item], said: Sequence[Sequence[str]]) -> Batch:
        """What can be known of items without looking at the earlier ones. `said` are the words of each."""
        labels = [self._labels.setdefault(item.answer_matching_behavior, len(self._labels)) for item in items]
        negated = [is_negated(each) for each in said]
        return Batch(
            list(items),
            [_key(item, each) for item, each in zip(items, said, strict=True)],
            self._overlap.filed(self._vocabulary.sets(said)),
            2 * np.array(labels, dtype=np.int64) + np.array(negated, dtype=np.int64),
            self.embedder.embed([item.text for item in items]) if self.embedder and items else None,
        )

    def add(self, batch: Batch, keep: NDArray[np.bool_]) -> None:
        """Those of the batch to `keep` are earlier items from now on."""
        for place in np.flatnonzero(keep).tolist():
            self._keys[batch.keys[place]] = len(self.items)
            self.items.append(batch.items[place])
        self._overlap.add(batch.filed, keep)
        self._sides = np.concatenate([self._sides, batch.sides[keep]])
        if batch.vectors is not None:
            self._cosine.add(batch.vectors[keep], batch.sides[keep])

    def matches(self, batch: Batch) -> list[Match | None]:
        """What each item of the batch repeats: an item added before, or one earlier in the batch that repeats nothing.

        The one whose words overlap most, else the one whose meaning is closest; the earliest of several.
        """
        first = len(self.items)
        by_words = self._same_claim(self._overlap.pairs(batch.filed), batch)
        by_meaning = Pairs.joined([])
        if batch.vectors is not None:
            by_meaning = self._cosine.pairs(batch.vectors, batch.sides)
        pairs = Pairs.joined([by_words, by_meaning])
        is_semantic = np.arange(len(pairs.later)) >= len(by_words.later)
        order = np.lexsort((pairs.earlier, -pairs.score, is_semantic, pairs.later))
        found: list[Match | None] = [None] * len(batch.items)
        for at in order.tolist():
            later, earlier = int(pairs.later[at]) - first, int(pairs.earlier[at])
            if found[later] is None and (earlier < first or found[earlier - first] is None):
                other = self.items[earlier] if earlier < first else batch.items[earlier - first]
                found[later] = Match(other, float(pairs.score[at]), _kind(batch.items[later], other, is_semantic[at]))
        return found

    def _same_claim(self, pairs: Pairs, batch: Batch) -> Pairs:
        """Pairs that share words, without those that say the opposite: under one label, or as a contradiction."""
        sides = np.concatenate([self._sides, batch.sides])
        same = sides[pairs.later] == sides[pairs.earlier]
        first = len(self.items)
        # Under different labels most such pairs are opposites: these are looked at one by one.
        for at in np.flatnonzero(sides[pairs.later] // 2 != sides[pairs.earlier] // 2).tolist():
            later, earlier = int(pairs.later[at]) - first, int(pairs.earlier[at])
            other = self.items[earlier] if earlier < first else batch.items[earlier - first]
            same[at] = same_side(batch.items[later], other) or says_the_same(batch.items[later], other)
        return pairs.where(same)


def _kind(item: Item, earlier: Item, is_semantic: bool) -> Kind:
    if is_semantic:
        return "semantic"
    return "near" if same_side(item, earlier) else "contradiction"


def _key(item: Item, said: Sequence[str]) -> bytes:
    """16 bytes that are the same for the same words in the same order under the same label."""
    text = "\x1f".join([item.answer_matching_behavior, *said])
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
