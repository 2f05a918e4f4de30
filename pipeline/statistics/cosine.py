"""Finds the vectors that point almost the same way, exactly: an index that can be extended and forked.

A matrix product a block, so the time grows with the square of the number of vectors: at 100,000 of them it is still
faster than building and asking a graph index (docs/measured.md), and nothing is missed.

The product is of a few dimensions only. In an orthonormal basis a cosine is at most the product of the first
coordinates plus that of the lengths of the rest (Cauchy and Schwarz), which is one more coordinate: an upper bound that
rules out all but some in ten thousand pairs, and only these are looked at in full.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.statistics.overlap import Pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 4096
"""Vectors of one matrix product on either side: its result takes 64 MB."""
HEAD = 64
"""Coordinates of the bound: of MiniLM's 384 they hold .79 of the squared length of persona statements."""
WORTH_BOUNDING = 1024
"""Vectors on either side from which a bound saves more than it costs."""
_ROUNDING = 1e-5


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
        given: dict[int, list[_Block]] = {}
        for group, asking in self._asking(vectors, groups):
            earlier_blocks = [*self._blocks.get(group, ()), *given.setdefault(group, [])]
            basis = _basis(asking.vectors)
            for block in (*earlier_blocks, asking):
                pairs = _close(asking, block, self.least, basis)
                found.append(pairs.where(pairs.later > pairs.earlier))
            given[group].append(asking)
        return Pairs.joined(found)

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


def _close(asking: _Block, held: _Block, least: float, basis: NDArray[np.float32] | None) -> Pairs:
    """Pairs of a row of either block whose cosine is at least `least`."""
    if basis is None or len(held.rows) < WORTH_BOUNDING:
        cosines = asking.vectors @ held.vectors.T
        later, earlier = _places(cosines, least)
        cosine = cosines[later, earlier]
    else:
        later, earlier = _places(_bounding(asking.vectors, basis) @ _bounding(held.vectors, basis).T, least - _ROUNDING)
        cosine = np.einsum("ij,ij->i", asking.vectors[later], held.vectors[earlier])
        later, earlier, cosine = later[cosine >= least], earlier[cosine >= least], cosine[cosine >= least]
    return Pairs(asking.rows[later], held.rows[earlier], np.minimum(cosine.astype(np.float64), 1.0))


def _places(values: NDArray[np.float32], least: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    # Looking through the flat array is twice as fast as through two dimensions.
    row, column = np.divmod(np.flatnonzero(values.ravel() >= least), values.shape[1])
    return row, column


def _basis(vectors: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """The directions in which the vectors are longest, shape (d, HEAD); None where a bound would not pay."""
    if len(vectors) < WORTH_BOUNDING or vectors.shape[1] < 4 * HEAD:
        return None
    _, directions = np.linalg.eigh(vectors.T @ vectors)
    return np.ascontiguousarray(directions[:, -HEAD:])


def _bounding(vectors: NDArray[np.float32], basis: NDArray[np.float32]) -> NDArray[np.float32]:
    """Coordinates in the basis, and the length of what lies outside: shape (n, HEAD + 1)."""
    head = vectors @ basis
    rest = np.einsum("ij,ij->i", vectors, vectors) - np.einsum("ij,ij->i", head, head)
    return np.hstack([head, np.sqrt(np.maximum(rest, 0))[:, None]])
