"""The scaling plot: the score of each model over its size, as PNG and SVG, the same bytes for the same points."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipeline.report.facts import visible
from pipeline.report.series import Series, is_hollow, legible, series, short_size
from pipeline.scaling.curves import left_out
from pipeline.schema import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, AXES_HEIGHT = 7.0, 2.9
"""Inches: across two columns of a paper; the axes' height, to which title and notes add theirs."""

DASHES: tuple[Any, ...] = ("-", (0, (3, 1.5)), (0, (6, 1.5, 1, 1.5)), (0, (8, 2)))
"""Lines of a family's ways of measuring; dots alone are the mean probability's."""

INK, SOFT, FAINT = "#1b1f24", "#6b7280", "#e5e7eb"

_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": "#9aa1ab",
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    # What a person or a model wrote is shown as it is: "$" starts no formula.
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "mwe",
}


def draw(report: Report, formats: Sequence[str] = ("png", "svg")) -> dict[str, bytes]:
    """The plot of a report in each format. A report without points gives empty axes that say so."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # A description in a script that the font lacks gives boxes in the PNG and text in the SVG.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(WIDTH, AXES_HEIGHT))
        FigureCanvasAgg(figure)
        _compose(figure, report)
        return {form: rendered(figure, form) for form in formats}


def _compose(figure: Figure, report: Report) -> None:
    # On another axis than size a point has no place among sizes; models in order have none of their own.
    here = [point for point in report.points if point.axis in (None, "order")]
    report = report.model_copy(update={"points": [legible(point) for point in here]})
    sized = [point for point in report.points if point.parameters and math.isfinite(point.score)]
    unsized = [point for point in report.points if not point.parameters and math.isfinite(point.score)]
    axes = _axes(figure, bool(sized), len(unsized))
    for axis in axes:
        _frame(axis, report)
    shown = series([*sized, *unsized])
    if sized:
        _sizes_axis(axes[0], [point.parameters or 0 for point in sized], 0.14 if unsized else 0.09)
        _plot_sized(axes[0], [replace(s, points=tuple(p for p in s.points if p.parameters)) for s in shown])
    if unsized:
        _plot_unsized(axes[-1], shown)
    if not report.points:
        axes[0].set_xticks([])
        axes[0].text(0.5, 0.7, "no model has been run yet", transform=axes[0].transAxes, ha="center", color=SOFT)
    axes[0].set_ylabel("Score (% showing the behaviour)", labelpad=5)
    _reference_labels(axes[-1], report)
    _texts(figure, axes, report, shown)


def _axes(figure: Figure, sized: bool, unsized: int) -> list[Axes]:
    """One axis over sizes, one over names for models of unknown size, or both side by side."""
    width = [3.0] * (sized or not unsized) + [max(0.5, 0.35 * unsized)] * bool(unsized)
    grid = figure.add_gridspec(1, len(width), width_ratios=width, wspace=0.06)
    first = figure.add_subplot(grid[0, 0])
    return [first, *(figure.add_subplot(grid[0, i], sharey=first) for i in range(1, len(width)))]


def _frame(axis: Axes, report: Report) -> None:
    axis.set_ylim(0, 100)
    axis.set_yticks(range(0, 101, 20))
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(length=3, labelleft=axis.get_subplotspec().is_first_col())  # type: ignore[union-attr]
    axis.grid(axis="y", color=FAINT, linewidth=0.7)
    axis.set_axisbelow(True)
    axis.axhline(50, color=SOFT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1.5)
    for level, edge in ((report.floor, 0.0), (report.ceiling, 1.0)):
        if level is not None:
            axis.axhspan(100 * min(level, edge), 100 * max(level, edge), color="#9aa1ab", alpha=0.13, linewidth=0)
            axis.axhline(100 * level, color="#9aa1ab", linewidth=0.8, linestyle=(0, (1, 2)), zorder=1.5)


def _reference_labels(axis: Axes, report: Report) -> None:
    """Names the horizontal lines to the right of the axes, where no point can lie."""
    levels = ((report.ceiling, "ceiling"), (report.floor, "floor"))
    named = [(100 * level, name) for level, name in levels if level is not None]
    named += [(50.0, "chance")] if all(abs(height - 50) > 4 for height, _ in named) else []
    for height, name in named:
        axis.annotate(
            name, (1, height), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            va="center", color=SOFT, fontsize=8, annotation_clip=False,
        )  # fmt: skip


def _sizes_axis(axis: Axes, sizes: Sequence[int], gap: float) -> None:
    """A log axis with a tick at each size, but for those closer to another than the share `gap` of the axis."""
    low, high = math.log10(min(sizes)), math.log10(max(sizes))
    pad = max(0.09 * (high - low), 0.12)
    axis.set_xscale("log")
    axis.set_xlim(10 ** (low - pad), 10 ** (high + pad))
    ticks = _spaced(sorted(set(sizes)), gap * (high - low + 2 * pad))
    axis.set_xticks(ticks, [short_size(tick) for tick in ticks])
    axis.minorticks_off()
    axis.set_xlabel("Parameters (log scale)", labelpad=5)


def _spaced(sizes: Sequence[int], gap: float) -> list[int]:
    """Sizes far enough apart, in decades, for their labels: the largest always, then from small to large."""
    kept: list[int] = []
    for candidate in sizes[:-1]:
        clear = math.log10(sizes[-1] / candidate) >= gap
        if clear and (not kept or math.log10(candidate / kept[-1]) >= gap):
            kept.append(candidate)
    return [*kept, sizes[-1]]


def _plot_sized(axis: Axes, shown: Sequence[Series]) -> None:
    low, high = (math.log10(edge) for edge in axis.get_xlim())
    taken: list[float] = []
    for one in shown:
        if not one.points:
            continue
        x = [math.log10(point.parameters or 1) for point in one.points]
        # Models of one size would hide each other's intervals: a later series gives way a little to the right.
        shift = 0.012 * (high - low)
        while any(abs(a - b) < 0.6 * shift for a in x for b in taken):
            x = [value + shift for value in x]
        taken += x
        _plot(axis, one, [10**value for value in x], joined=True)


def _plot_unsized(axis: Axes, shown: Sequence[Series]) -> None:
    names: list[str] = []
    for one in shown:
        unsized = tuple(point for point in one.points if not point.parameters)
        _plot(axis, replace(one, points=unsized), range(len(names), len(names) + len(unsized)), joined=False)
        names += [point.model.rsplit("/", 1)[-1] for point in unsized]
    axis.set_xlim(-0.6, len(names) - 0.4)
    axis.set_xticks(range(len(names)), ["\n".join(textwrap.wrap(name, 16)[:3]) for name in names], rotation=90)
    for label in axis.get_xticklabels():
        label.set_fontsize(7)
    axis.set_xlabel("size unknown", labelpad=5)


def _plot(axis: Axes, one: Series, x: Sequence[float], joined: bool) -> None:
    score = [100 * point.score for point in one.points]
    mean = [100 * point.mean_probability for point in one.points]
    if joined:
        used = [i for i, point in enumerate(one.points) if not is_hollow(point)]
        at = [x[i] for i in used]
        axis.plot(at, [score[i] for i in used], color=one.colour, linestyle=_dashes(one), linewidth=1.4, zorder=3)
        axis.plot(at, [mean[i] for i in used], ":", color=one.colour, alpha=0.35, linewidth=1.1, zorder=2)
    axis.plot(x, mean, one.marker, color=one.colour, alpha=0.35, markersize=4.5, markeredgewidth=0, zorder=2)
    axis.vlines(
        x, [100 * p.score_low for p in one.points], [100 * p.score_high for p in one.points],
        color=one.colour, linewidth=1.3, alpha=0.85, zorder=3.5,
    )  # fmt: skip
    for place, value, point in zip(x, score, one.points, strict=True):
        face = "white" if is_hollow(point) else one.colour
        axis.plot([place], [value], one.marker, color=one.colour, markerfacecolor=face, markersize=7, zorder=4,
                  markeredgewidth=1.4, clip_on=False)  # fmt: skip


def _texts(figure: Figure, axes: Sequence[Axes], report: Report, shown: Sequence[Series]) -> None:
    """Title, subtitle, legend and footnote around the axes; the figure grows so that the axes keep their height."""
    title = textwrap.wrap(_title(report), 68, max_lines=3, placeholder=" …")
    notes = [line for note in _notes(report) for line in textwrap.wrap(note, 116)]
    names = [line for label in axes[-1].get_xticklabels() for line in label.get_text().split("\n")]
    # Heights in inches: names of models of unknown size stand upright below their axis.
    upright = 0.066 * max(map(len, names), default=0) if any(not p.parameters for p in report.points) else 0.16
    top, bottom = 0.55 + 0.19 * len(title), 0.58 + upright + 0.145 * len(notes)
    height = top + AXES_HEIGHT + bottom
    figure.set_size_inches(WIDTH, height)
    figure.text(0.012, 1 - 0.12 / height, "\n".join(title), va="top", fontsize=11, fontweight="bold", linespacing=1.2)
    figure.text(0.012, 1 - (top - 0.38) / height, _subtitle(report), va="top", color=SOFT)
    figure.text(0.012, 0.08 / height, "\n".join(notes), va="bottom", color=SOFT, fontsize=7.5, linespacing=1.3)
    taken = _legend(figure, shown, 1 - (top - 0.04) / height) if shown else 0.02
    figure.subplots_adjust(
        left=0.62 / WIDTH, right=1 - taken - 0.6 / WIDTH, bottom=bottom / height, top=1 - top / height
    )  # fmt: skip


def _legend(figure: Figure, shown: Sequence[Series], top: float) -> float:
    """The legend at the right edge; the share of the figure's width that it takes."""
    from matplotlib.lines import Line2D

    entries = [
        (Line2D([], [], color=one.colour, marker=one.marker, markersize=6, linewidth=1.4,
                linestyle=_dashes(one)), "\n".join(textwrap.wrap(one.label, 22)[:3]))
        for one in shown
    ]  # fmt: skip
    entries.append((Line2D([], [], color=SOFT, marker="o", alpha=0.4, markersize=4.5, linestyle=":"),
                    "mean probability"))  # fmt: skip
    if any(is_hollow(point) for one in shown for point in one.points):
        entries.append(
            (Line2D([], [], color=SOFT, marker="o", markerfacecolor="white", linestyle=""), "not in the test")
        )
    legend = figure.legend(
        [handle for handle, _ in entries], [label for _, label in entries], loc="upper right",
        bbox_to_anchor=(0.995, top), frameon=False, fontsize=8.5, handlelength=2.3, labelspacing=0.7,
    )  # fmt: skip
    return float(legend.get_window_extent().width / figure.bbox.width)


def _title(report: Report) -> str:
    text = report.behaviour.description if report.behaviour else report.dataset
    return visible(text[:1].upper() + text[1:])


def _subtitle(report: Report) -> str:
    trend, counts = report.trend, sorted({point.n for point in report.points})
    said = f"Trend with size: {trend.verdict}"
    if trend.verdict != "undecided" and trend.slope_low is not None and trend.slope_high is not None:
        said += f", {trend.slope_points_per_decade:+.1f} points a decade"
        said += f" ({trend.slope_low:+.1f} to {trend.slope_high:+.1f})"
    if counts:
        said += f" · {counts[0]:,} items" if len(counts) == 1 else f" · {counts[0]:,} to {counts[-1]:,} items"
    return said


def _notes(report: Report) -> list[str]:
    notes = ["Bars: 95 % intervals (Wilson; cluster-robust where items are near-duplicates). Lines join models of one "
             "family measured alike, never families."]  # fmt: skip
    if any("samples" in point.estimator for point in report.points):
        notes.append("Sampled models: the bars also cover what a few draws an item leave open.")
    if report.ceiling is not None:
        notes.append("Floor and ceiling: score of a model without and with the behaviour, as far as the labels can be "
                     "trusted.")  # fmt: skip
    if accuracy := report.label_accuracy:
        who = {"person": "people", "model": "a model"}[accuracy.rater_kind]
        share = f"{100 * accuracy.value:.0f} % ({100 * accuracy.low:.0f} to {100 * accuracy.high:.0f} %)"
        notes.append(f"Published labels: right in {share}, as {who} rated {accuracy.n:,} items; the scores are "
                     "uncorrected.")  # fmt: skip
    hollow = [
        f"{point.model.rsplit('/', 1)[-1]} {why}"
        for point in report.points
        if (why := left_out(point)) and is_hollow(point)
    ]
    if hollow:
        notes.append(f"Hollow: {'; '.join(hollow)}.")
    return notes


def _dashes(one: Series) -> Any:
    return DASHES[one.way % len(DASHES)]


def rendered(figure: Figure, form: str) -> bytes:
    """The figure as a file, the same bytes for the same figure."""
    buffer = io.BytesIO()
    metadata = {"Software": None} if form == "png" else {"Date": None, "Creator": None}
    figure.savefig(buffer, format=form, dpi=200, facecolor="white", metadata=metadata)
    return buffer.getvalue()
