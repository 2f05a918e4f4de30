"""The reliability plot of a judge: what it predicted against what was right."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.report.canvas import FAINT, INK, SOFT, rendered
from pipeline.statistics.calibration import BINS, Values, reliability
from pipeline.statistics.intervals import wilson

SIZE = 3.6
"""Inches, both ways."""


def draw_reliability(probabilities: Values, truth: Sequence[bool], title: str) -> bytes:
    """A PNG: a point a bin of equal numbers of items, with its 95 % interval, and the diagonal."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIZE, SIZE), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    axis.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=(0, (3, 2)))
    for each in reliability(probabilities, truth, BINS):
        low, high = wilson(round(each.observed * each.n), each.n)
        axis.plot([each.predicted] * 2, [low, high], color=INK, linewidth=1)
        axis.plot([each.predicted], [each.observed], "o", color=INK, markersize=4)
    axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="predicted probability", ylabel="share that was right")
    axis.set_aspect("equal")
    axis.grid(color=FAINT)
    axis.set_axisbelow(True)
    axis.set_title(title, fontsize=9)
    return rendered(figure, "png")
