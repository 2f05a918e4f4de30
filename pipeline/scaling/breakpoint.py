"""Two joined lines through a curve: numbers to draw where a score turns, never a test (Simonsohn 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PLACES = 97
"""Candidate breakpoints between the second smallest and the second largest size."""


@dataclass(frozen=True)
class TwoLines:
    """The best pair of lines that meet between the sizes."""

    at: float
    """log10 of the size where they meet."""
    before: float
    """Slope up to there, in points a decade."""
    after: float


def two_lines(x: np.ndarray, y: np.ndarray, family: np.ndarray) -> TwoLines | None:
    """Least squares over breakpoints, an intercept for each family; None below five distinct sizes.

    `x` (models,) log10 sizes, `y` (models,) scores in points, `family` (models,) indices.
    """
    sizes = np.unique(x)
    if len(sizes) < 5:
        return None
    levels = (family[:, None] == np.unique(family)).astype(float)
    best: tuple[float, TwoLines] | None = None
    for at in np.linspace(sizes[1], sizes[-2], PLACES):
        columns = np.column_stack([np.minimum(x - at, 0), np.maximum(x - at, 0), levels])
        found = np.linalg.lstsq(columns, y, rcond=None)[0]
        squares = float(((y - columns @ found) ** 2).sum())
        if best is None or squares < best[0] - 1e-9:
            best = squares, TwoLines(float(at), float(found[0]), float(found[1]))
    return best[1] if best else None
