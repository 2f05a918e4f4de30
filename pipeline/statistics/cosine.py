"""Finds the vectors that point almost the same way, exactly: an index that can be extended and forked.

A matrix product a block, so the time grows with the square of the number of vectors: at 100,000 of them it is still
faster than building and asking a graph index (docs/measured.md), and nothing is missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.statistics.overlap import Pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 4096
"""Vectors of one matrix product on either side: its result takes 64 MB."""


class CosineIndex:
    """Unit vectors in groups, found by any vector of the same group whose cosine is at least `least`.

    Rows are numbered in the order in which they were added, over all groups.
    """

    def __init__(self, least: float) -> None:
        self.least = least
        self._blocks: dict[int, tuple[_Block, ...]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def fork(self) -> CosineIndex:
        """An index that holds the same and can grow without this one. It takes no time: what is held is shared."""
        other = CosineIndex(self.least)
        other._blocks, other._size = dict(self._blocks), self._size
        return other

    def pairs(self, vectors: NDArray[np.float32], groups: NDArray[np.int64]) -> Pairs:
        """Pairs of given vectors with rows held before, and among themselves as if they were added next.

        `vectors` has shape (n, d) and unit rows, `groups` shape (n,).
        """
        found = []
        for group, asking in self._asking(vectors, groups):
            for block in self._blocks.get(group, ()):
                later, earlier, cosine = _close(asking.vectors, block.vectors, self.least)
                found.append(Pairs(asking.rows[later], block.rows[earlier], cosine))
        found += self._among(vectors, groups)
        return Pairs.joined(found)

    def _among(self, vectors: NDArray[np.float32], groups: NDArray[np.int64]) -> Iterator[Pairs]:
        blocks: dict[int, list[_Block]] = {}
        for group, asking in self._asking(vectors, groups):
            for block in blocks.setdefault(group, []):
                later, earlier, cosine = _close(asking.vectors, block.vectors, self.least)
                yield Pairs(asking.rows[later], block.rows[earlier], cosine)
            later, earlier, cosine = _close(asking.vectors, asking.vectors, self.least)
            yield Pairs(asking.rows[later], asking.rows[earlier], cosine).where(later > earlier)
            blocks[group].append(asking)

    def add(self, vectors: NDArray[np.float32], groups: NDArray[np.int64]) -> None:
        """Hold these vectors too."""
        for group, new in self._asking(vectors, groups):
            blocks = self._blocks.get(group, ())
            if blocks and len(blocks[-1].rows) + len(new.rows) <= BLOCK:
                new = _Block(np.concatenate([blocks[-1].rows, new.rows]), np.vstack([blocks[-1].vectors, new.vectors]))
                blocks = blocks[:-1]
            self._blocks[group] = (*blocks, new)
        self._size += len(vectors)

    def _asking(self, vectors: NDArray[np.float32], groups: NDArray[np.int64]) -> Iterator[tuple[int, _Block]]:
        """The given vectors by group, in blocks, with the rows that they would have."""
        for group in np.unique(groups).tolist():
            rows = np.flatnonzero(groups == group)
            for start in range(0, len(rows), BLOCK):
                part = rows[start : start + BLOCK]
                yield group, _Block(part + self._size, vectors[part])


class _Block(NamedTuple):
    rows: NDArray[np.int64]
    vectors: NDArray[np.float32]


def _close(asking: NDArray[np.float32], held: NDArray[np.float32], least: float) -> Any:
    """Places in both of the pairs whose cosine is at least `least`, and the cosine."""
    cosines = asking @ held.T
    # Comparing the flat array is twice as fast as finding the places in two dimensions.
    flat = np.flatnonzero(cosines.ravel() >= least)
    later, earlier = np.divmod(flat, cosines.shape[1])
    return later, earlier, np.minimum(cosines.ravel()[flat].astype(np.float64), 1.0)
