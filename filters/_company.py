"""How well a statement fits among the others that were written for the same behaviour.

What is about a behaviour keeps company: candidates resemble one another in meaning and in wording, and one about
something else stands alone.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from filters._asking import embedded
from pipeline.ports import Screening
from pipeline.schema import Item

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST = 20
"""Below so many statements there is no company to speak of."""
MOST = 2_000
"""Statements that one is compared with: a random draw of that size says the same as a million."""
NEIGHBOURS = 15
"""One in so many counts as near, so that the figure does not depend on how many there are."""
LEAST_NEIGHBOURS = 3
_ROWS = 1_024

Vectors = Any
"""Rows of length one, dense or sparse, (n, d)."""


def company(items: Sequence[Item], screening: Screening) -> dict[str, list[float]]:
    """`company` by sentence embeddings, where there is an embedder, and `wording` by pieces of words; {} for under 20.

    Each is the mean cosine similarity of an item to the nearest fifteenth of its company, less the company's own mean:
    in -2..2, mostly within .3 of 0. Company are the items judged together and those accepted before.

    On the published persona data (one statement in five from another behaviour, groups of behaviours held out) the
    first raises the mean AUROC of relevance from .948 to .969, both to .971. Of 300 generated items that had passed
    and were read blind these two told right ones from others best of all signs (AUROC .66 and .69).
    """
    own_ids = {item.id for item in items}
    everyone = [*items, *(item for item in screening.accepted if item.id not in own_ids)]
    if len(everyone) < FEWEST:
        return {}
    texts, chosen = [item.text for item in everyone], _drawn([item.id for item in everyone])
    found = {"wording": _fit(_pieces(texts, chosen), chosen, len(items))}
    if screening.embedder is not None:
        found["company"] = _fit(embedded(screening.embedder, texts), chosen, len(items))
    return found


def _pieces(texts: Sequence[str], chosen: NDArray[np.intp]) -> Vectors:
    """Runs of three to five letters within words, weighted by how rare they are in the company."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, dtype=np.float32)
    pieces.fit([texts[i] for i in chosen])
    return pieces.transform(texts)


def _drawn(ids: Sequence[str]) -> NDArray[np.intp]:
    """Positions of a draw that depends on the items alone, not on their order."""
    order = sorted(range(len(ids)), key=lambda i: ids[i])
    return np.array(random.Random("company").sample(order, min(MOST, len(order))))


def _fit(vectors: Vectors, chosen: NDArray[np.intp], n: int) -> list[float]:
    """The figure of the first `n` rows; company are the rows `chosen`."""
    among = vectors[chosen]
    # A statement is no company for itself.
    own = np.full(vectors.shape[0], -1)
    own[chosen] = np.arange(len(chosen))
    nearest = max(LEAST_NEIGHBOURS, len(chosen) // NEIGHBOURS)
    usual = float(_nearness(among, among, np.arange(len(chosen)), nearest).mean())
    return [float(value) - usual for value in _nearness(vectors[:n], among, own[:n], nearest)]


def _nearness(rows: Vectors, among: Vectors, own: NDArray[np.intp], nearest: int) -> NDArray[Any]:
    """Mean similarity of each row to its nearest in `among`, leaving out the column `own` (-1: none)."""
    parts = []
    for start in range(0, rows.shape[0], _ROWS):
        product = rows[start : start + _ROWS] @ among.T
        similarity = product if isinstance(product, np.ndarray) else product.toarray()
        mine = own[start : start + _ROWS]
        similarity[np.flatnonzero(mine >= 0), mine[mine >= 0]] = -2.0
        parts.append(np.sort(similarity, axis=1)[:, -nearest:].mean(axis=1))
    return np.concatenate(parts)
