"""How well a statement fits among the others that were written for the same behaviour.

What is about a behaviour keeps company: candidates resemble one another, and one about something else stands alone.
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

    Vectors = NDArray[np.float32]

FEWEST = 20
"""Below so many statements there is no company to speak of."""
MOST = 2_000
"""Statements that one is compared with: a random draw of that size says the same as a million."""
NEIGHBOURS = 15
"""One in so many counts as near, so that the figure does not depend on how many there are."""
LEAST_NEIGHBOURS = 3
_ROWS = 1_024


def company(items: Sequence[Item], vectors: Vectors, screening: Screening) -> list[float] | None:
    """Mean cosine similarity of each item to the nearest fifteenth of its company, less the company's own mean.

    Company are the items judged together and those accepted before. `vectors` are the items' unit vectors, (n, d).
    In -2..2, mostly within .3 of 0; None for fewer than 20.

    On the published persona data it raises the AUROC of relevance from .948 to .969 (one statement in five from
    another behaviour). Of 300 generated items that had passed and were read blind it told right ones from others best
    of all signs (AUROC .67), alike for all five descriptions.
    """
    own_ids = {item.id for item in items}
    accepted = [item for item in screening.accepted if item.id not in own_ids]
    if len(items) + len(accepted) < FEWEST or screening.embedder is None:
        return None
    earlier = embedded(screening.embedder, [item.text for item in accepted])
    everyone = np.concatenate([vectors, earlier]) if len(accepted) else vectors
    chosen = _drawn([item.id for item in (*items, *accepted)])
    among = everyone[chosen]
    # A statement is no company for itself.
    own = np.full(len(everyone), -1)
    own[chosen] = np.arange(len(chosen))
    usual = float(_nearness(among, among, np.arange(len(among))).mean())
    return [float(value) - usual for value in _nearness(vectors, among, own[: len(items)])]


def _drawn(ids: Sequence[str]) -> NDArray[np.intp]:
    """Positions of a draw that depends on the items alone, not on their order."""
    order = sorted(range(len(ids)), key=lambda i: ids[i])
    return np.array(random.Random("company").sample(order, min(MOST, len(order))))


def _nearness(rows: Vectors, among: Vectors, own: NDArray[np.intp]) -> NDArray[Any]:
    """Mean similarity of each row to its nearest in `among`, leaving out the column `own` (-1: none)."""
    nearest = max(LEAST_NEIGHBOURS, len(among) // NEIGHBOURS)
    parts = []
    for start in range(0, len(rows), _ROWS):
        similarity = rows[start : start + _ROWS] @ among.T
        mine = own[start : start + _ROWS]
        similarity[np.flatnonzero(mine >= 0), mine[mine >= 0]] = -2.0
        parts.append(np.sort(similarity, axis=1)[:, -nearest:].mean(axis=1))
    return np.concatenate(parts)
