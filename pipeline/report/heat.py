"""The heat map of models: how far each pair agrees, size by size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.report.canvas import COLUMN, INK, PAGE, SOFT, place
from pipeline.report.dots import shortened
from pipeline.report.sweep import SweepReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def compose(figure: Figure, sweep: SweepReport, width: float = PAGE) -> None:
    """Below the diagonal the correlation of log-odds item by item, above it the share of equal answers.

    Each cell holds its figure, so that no colour must be read off; the colours go from orange (against one another)
    over white to blue (alike), told apart with any colour vision.
    """
    from matplotlib.colors import LinearSegmentedColormap

    narrow = width <= COLUMN
    models = sweep.models
    size = min(8.0, (5.2 if narrow else 9.5) * (9 / max(len(models), 6)) ** 0.7)
    names = [shortened(model.rsplit("/", 1)[-1], 20 if narrow else 30) for model in models]
    margin = 0.15 + max(size, 5.5) / 72 * 0.55 * max(map(len, names), default=4)
    side = min(width - margin - 0.15, 0.55 * max(len(models), 3))
    height = side + margin + 0.35
    place(figure, width, height, (margin, 0.15, margin, 0.35))
    axis = figure.add_axes((margin / width, margin / height, side / width, side / height))
    values = matrix(sweep)
    colours = LinearSegmentedColormap.from_list("agreement", ["#D55E00", "#ffffff", "#0072B2"])
    axis.set(xlim=(-0.5, len(models) - 0.5), ylim=(len(models) - 0.5, -0.5))
    for i in range(len(models)):
        for j in range(len(models)):
            _cell(axis, values[i, j], i, j, size, colours((values[i, j] + 1) / 2))
    axis.set_xticks(range(len(models)), names, rotation=90, fontsize=max(size, 5.5))
    axis.set_yticks(range(len(models)), names, fontsize=max(size, 5.5))
    axis.tick_params(length=0, colors=INK)
    axis.spines[:].set_visible(False)
    figure.text(
        margin / width, 1 - 0.08 / height,
        "lower left: correlation of log odds · upper right: same answer, %", va="top", color=SOFT,
        fontsize=5.8 if narrow else 8,
    )  # fmt: skip


def matrix(sweep: SweepReport) -> np.ndarray:
    """(models, models): correlations below the diagonal; above it agreement of signs, scaled from 0..1 to -1..1."""
    at = {model: i for i, model in enumerate(sweep.models)}
    values = np.full((len(at), len(at)), np.nan)
    for pair in sweep.agreement:
        first, second = sorted((at[pair.one], at[pair.other]))
        values[second, first] = np.nan if pair.correlation is None else pair.correlation
        values[first, second] = np.nan if pair.signs is None else 2 * pair.signs - 1
    return values


def _cell(axis: Axes, value: float, i: int, j: int, size: float, colour: Any) -> None:
    from matplotlib.patches import Rectangle

    if np.isnan(value):
        return
    first, second = sorted((i, j))
    gid = f"tip-cell-{first}-{second}"
    axis.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=0.8, gid=gid))
    text = f"{50 * (value + 1):.0f}" if j > i else f"{value:.2f}".replace("0.", ".").replace("-", "\u2212")
    ink = "white" if abs(value) > 0.75 else INK
    axis.text(j, i, text, ha="center", va="center", fontsize=size, color=ink, gid=gid)
