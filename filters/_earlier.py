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
        other._older_keys = self._older_keys | self._keys if self._older_keys else self._keys
        other._sides = self._sides
        other._overlap, other._cosine = self._overlap.fork(), self._cosine.fork()
        return other

    def exact(self, keys: Sequence[bytes]) -> list[int | Item | None]:
        """What each item repeats word by word under the same label: an item added before, or the place of one of these.

        None where it is the first to say so.
        """
        found: list[int | Item | None] = []
        places: dict[bytes, int] = {}
        for place, each in enumerate(keys):
            position = self._keys.get(each, self._older_keys.get(each))
            first = places.setdefault(each, place)
            repeated = None if first == place else first
            found.append(repeated if position is None else self.items[position])
        return found

    def filed(self, said: Sequence[Sequence[str]]) -> Filed:
        """The words of items, ready to be compared."""
        return self._overlap.filed(self._vocabulary.sets(said))

    def read(
        self, items: Sequence[Item], said: Sequence[Sequence[str]], keys: Sequence[bytes], filed: Filed | None = None
    ) -> Batch:
        """What can be known of items without looking at the earlier ones. `said` are the words of each."""
        labels = [self._labels.setdefault(item.answer_matching_behavior, len(self._labels)) for item in items]
        negated = [is_negated(each) for each in said]
        return Batch(
            list(items),
            list(keys),
            filed or self.filed(said),
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
        pairs, is_semantic = self._in_order(batch)
        found: list[Match | None] = [None] * len(batch.items)
        for at in range(len(pairs.later)):
            later, earlier = int(pairs.later[at]) - first, int(pairs.earlier[at])
            if found[later] is None and (earlier < first or found[earlier - first] is None):
                item = batch.items[later]
                other = self.items[earlier] if earlier < first else batch.items[earlier - first]
                # Looked at only here, one by one: under different labels most pairs are opposites.
                if kind := _kind(item, other, bool(is_semantic[at])):
                    found[later] = Match(other, float(pairs.score[at]), kind)
        return found

    def _in_order(self, batch: Batch) -> tuple[Pairs, NDArray[np.bool_]]:
        """Pairs that share words or meaning, by the later item and then the best first, and which share meaning only.

        Without those under one label of which one is negated.
        """
        by_words = self._overlap.pairs(batch.filed)
        sides = np.concatenate([self._sides, batch.sides])
        later, earlier = sides[by_words.later], sides[by_words.earlier]
        by_words = by_words.where((later == earlier) | (later // 2 != earlier // 2))
        by_meaning = self._cosine.pairs(batch.vectors, batch.sides) if batch.vectors is not None else Pairs.joined([])
        pairs = Pairs.joined([by_words, by_meaning])
        is_semantic = np.arange(len(pairs.later)) >= len(by_words.later)
        order = np.lexsort((pairs.earlier, -pairs.score, is_semantic, pairs.later))
        return pairs.where(order), is_semantic[order]


def _kind(item: Item, earlier: Item, is_semantic: bool) -> Kind | None:
    """How the item repeats the earlier one; None where they are opposites."""
    if is_semantic:
        return "semantic"
    if same_side(item, earlier):
        return "near"
    return "contradiction" if says_the_same(item, earlier) else None


def key(item: Item, said: Sequence[str]) -> bytes:
    """16 bytes that are the same for the same words in the same order under the same label."""
    text = "\x1f".join([item.answer_matching_behavior, *said])
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
