"""What is drawn for one series of the scaling plot: line, ribbon, points with intervals, controls and wordings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.report.figures import wordings
from pipeline.report.series import Series, is_hollow
from pipeline.scaling.common import band
from pipeline.scaling.design import Design
from pipeline.schema import Point

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

DASHES: tuple[Any, ...] = ("-", (0, (3, 1.5)), (0, (6, 1.5, 1, 1.5)), (0, (8, 2)))
"""Lines of a family's ways of measuring; dots alone are the mean probability's."""

CONTROLS = {"positive_control": ("^", "told to have it"), "negative_control": ("v", "told to lack it")}
"""Figures of a point that are drawn as empirical ceiling and floor, with their markers and names."""

RIBBON_FROM = 3
"""Sizes from which a line has an interval."""


def draw_series(
    axis: Axes, one: Series, x: Sequence[float], joined: bool, scale: float, numbers: Mapping[int, int]
) -> None:
    """One series at the places `x`; `scale` is 1 at page width, `numbers` the place of a point in the report by id."""
    used = [i for i, point in enumerate(one.points) if not is_hollow(point)]
    if joined:
        _ribbon(axis, one, [x[i] for i in used], [one.points[i] for i in used])
        _wordings(axis, one, x, used)
        _lines(axis, one, x, used, scale)
    _controls(axis, one, x, used, joined, scale)
    mean = [100 * point.mean_probability for point in one.points]
    axis.plot(x, mean, one.marker, color=one.colour, alpha=0.35, markersize=4.5 * scale, markeredgewidth=0, zorder=2)
    axis.vlines(
        x, [100 * p.score_low for p in one.points], [100 * p.score_high for p in one.points],
        color=one.colour, linewidth=1.3 * scale, alpha=0.85, zorder=3.5,
    )  # fmt: skip
    for place, point in zip(x, one.points, strict=True):
        face = "white" if is_hollow(point) else one.colour
        axis.plot([place], [100 * point.score], one.marker, color=one.colour, markerfacecolor=face, zorder=4,
                  markersize=7 * scale, markeredgewidth=1.4 * scale, clip_on=False,
                  gid=f"tip-point-{numbers[id(point)]}")  # fmt: skip


def belong(number: int, drawn: Iterable[Artist]) -> None:
    """Says in the SVG which series a mark belongs to, for the page's script."""
    for artist in drawn:
        artist.set_gid("-".join(part for part in (artist.get_gid(), f"series-{number}") if part))


def dashes(one: Series) -> Any:
    """How the line of a series is dashed."""
    return DASHES[one.way % len(DASHES)]


def _lines(axis: Axes, one: Series, x: Sequence[float], used: Sequence[int], scale: float) -> None:
    at = [x[i] for i in used]
    axis.plot(
        at, [100 * one.points[i].score for i in used], color=one.colour, linestyle=dashes(one), linewidth=1.5 * scale,
        zorder=3,
    )  # fmt: skip
    axis.plot(
        at, [100 * one.points[i].mean_probability for i in used], ":", color=one.colour, alpha=0.35, linewidth=1.1,
        zorder=2,
    )  # fmt: skip


def _ribbon(axis: Axes, one: Series, x: Sequence[float], points: Sequence[Point]) -> None:
    """The 95 % t interval of the least-squares line, on the model points; none below three sizes."""
    sizes = [float(point.parameters or 0) for point in points]
    if len(set(sizes)) < RIBBON_FROM:
        return
    at = np.linspace(math.log10(min(sizes)), math.log10(max(sizes)), 60)
    found = band(Design.of(sizes), np.array([100 * point.score for point in points]), at)
    if found is not None:
        low, high = np.clip(found[1:], 0, 100)
        axis.fill_between(10**at, low, high, color=one.colour, alpha=0.13, linewidth=0, zorder=1.2)


def _controls(axis: Axes, one: Series, x: Sequence[float], used: Sequence[int], joined: bool, scale: float) -> None:
    for name, (marker, _) in CONTROLS.items():
        known = [i for i in used if getattr(one.points[i], name) is not None]
        y = [100 * getattr(one.points[i], name) for i in known]
        line = (0, (2, 2)) if joined else ""
        axis.plot(
            [x[i] for i in known], y, marker, color=one.colour, linestyle=line, linewidth=0.7, alpha=0.6,
            markersize=4 * scale, markerfacecolor="white", markeredgewidth=0.8, zorder=2.2,
        )  # fmt: skip


def _wordings(axis: Axes, one: Series, x: Sequence[float], used: Sequence[int]) -> None:
    for name in wordings(one.points):
        known = [i for i in used if name in one.points[i].wordings]
        y = [100 * one.points[i].wordings[name] for i in known]
        # A single model has no line: a dash stands for it.
        marker = "_" if len(known) == 1 else "None"
        at = [x[i] for i in known]
        axis.plot(at, y, marker=marker, color=one.colour, linewidth=0.6, alpha=0.55, zorder=2.1)
