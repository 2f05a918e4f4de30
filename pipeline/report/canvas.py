"""What all pictures share: colours, fonts, sizes, labels that keep apart, and files that come out the same."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAGE, COLUMN = 7.0, 3.4
"""Widths in inches: across two columns of a paper, and in one."""

INK, SOFT, LINE, FAINT = "#1b1f24", "#6b7280", "#9aa1ab", "#e5e7eb"

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
"""Okabe and Ito's palette: told apart with any colour vision."""

_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    # What a person or a model wrote is shown as it is: "$" starts no formula.
    "text.parse_math": False,
    "svg.fonttype": "none",
}


@contextmanager
def styled(salt: str = "mwe") -> Iterator[None]:
    """The style of all pictures. `salt` makes the ids in an SVG, so that two of them fit into one page."""
    import matplotlib as mpl

    with mpl.rc_context({**_STYLE, "svg.hashsalt": salt}), warnings.catch_warnings():
        # A text in a script that the font lacks gives boxes in the PNG and text in the SVG.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def picture(
    compose: Callable[[Figure], None], formats: Sequence[str] = ("png", "svg"), salt: str = "mwe"
) -> dict[str, bytes]:
    """A figure that `compose` fills, in each format."""
    with styled(salt):
        figure = blank()
        compose(figure)
        return {form: rendered(figure, form) for form in formats}


def blank() -> Figure:
    """An empty figure that is drawn without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, PAGE / 2))
    FigureCanvasAgg(figure)
    return figure


def rendered(figure: Figure, form: str) -> bytes:
    """The figure as a file, the same bytes for the same figure."""
    buffer = io.BytesIO()
    metadata = {"Software": None} if form == "png" else {"Date": None, "Creator": None}
    figure.savefig(buffer, format=form, dpi=200, facecolor="white", metadata=metadata)
    return buffer.getvalue()


def place(figure: Figure, width: float, height: float, margins: tuple[float, float, float, float]) -> None:
    """Size the figure in inches with margins (left, right, bottom, top) in inches around its axes."""
    left, right, bottom, top = margins
    figure.set_size_inches(width, height)
    figure.subplots_adjust(left=left / width, right=1 - right / width, bottom=bottom / height, top=1 - top / height)


@dataclass(frozen=True)
class DirectLabel:
    """A name that stands to the right of the axes at the height of what it names."""

    height: float
    """In the axes' data."""
    text: str
    colour: str
    size: float = 8.0
    gid: str | None = None
    """Marks it in an SVG."""
    x: float | None = None
    """Where it stands in the axes' data, for a name beside its mark; None for one to the right of the axes."""


def name_directly(axis: Axes, labels: Sequence[DirectLabel]) -> None:
    """Labels to the right of the axes, moved apart where they would overlap, with a line back where they were moved.

    Those with an `x` stand to the right of their mark instead.
    """
    figure = axis.get_figure()
    assert figure is not None
    low, high = axis.get_ylim()
    inches = axis.get_position().height * figure.get_figheight()  # type: ignore[union-attr]
    unit = (high - low) / inches / 72
    for label in labels:
        if label.x is not None:
            axis.annotate(
                label.text, (label.x, label.height), (11, 0), textcoords="offset points", color=label.colour,
                fontsize=label.size, linespacing=1.05, gid=label.gid, zorder=5, va="center",
                bbox={"facecolor": "white", "alpha": 0.85, "linewidth": 0, "pad": 0.8},
            )  # fmt: skip
    ordered = sorted((label for label in labels if label.x is None), key=lambda label: -label.height)
    tall = [(label.text.count("\n") + 1) * label.size * 1.18 * unit for label in ordered]
    for label, y in zip(ordered, spread([label.height for label in ordered], tall, low, high), strict=True):
        moved = abs(y - label.height) > 0.35 * label.size * unit
        axis.annotate(
            label.text, (1, label.height), (9 if moved else 5, (y - label.height) / unit),
            xycoords=("axes fraction", "data"), textcoords="offset points", va="center", color=label.colour,
            fontsize=label.size, linespacing=1.05, annotation_clip=False, gid=label.gid,
            arrowprops={"arrowstyle": "-", "color": label.colour, "linewidth": 0.5, "alpha": 0.6,
                        "shrinkA": 0, "shrinkB": 0, "relpos": (0, 0.5)} if moved else None,
        )  # fmt: skip


def spread(heights: Sequence[float], tall: Sequence[float], low: float, high: float) -> list[float]:
    """Centres of labels from top to bottom, near their heights (descending) but not on one another.

    Pushed down where they overlap, then up again from the bottom edge.
    """
    centres: list[float] = []
    for height, own in zip(heights, tall, strict=True):
        limit = centres[-1] - (tall[len(centres) - 1] + own) / 2 if centres else high
        centres.append(min(height, limit))
    floor = low
    for i in range(len(centres) - 1, -1, -1):
        centres[i] = max(centres[i], floor + tall[i] / 2 if i == len(centres) - 1 else floor)
        floor = centres[i] + (tall[i] + tall[i - 1]) / 2 if i else floor
    return centres
