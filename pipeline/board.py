"""The live table of a sweep: datasets down, models across, a score in each cell that is done.

Shown above the progress bar on a terminal; where there is none, a line a cell is written instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pipeline.console import visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table

CELL, LEAST_ROWS, OTHER_LINES = 9, 4, 6
"""Width of a model's column with its gap; rows shown on the lowest terminal; lines that the bar and the head take."""


class Board:
    """What is known of every cell so far."""

    def __init__(self, titles: Sequence[str], models: Sequence[str]) -> None:
        self.titles, self.models = list(titles), list(models)
        self._cells: dict[tuple[str, str], str] = {}
        self._now: tuple[str, str] | None = None

    def begin(self, title: str, model: str) -> None:
        """This cell is being worked on."""
        self._now = (title, model)
        self._cells.setdefault(self._now, "\N{HORIZONTAL ELLIPSIS}")

    def progress(self, done: int, total: int) -> None:
        """How far the cell in work is."""
        if self._now and total:
            self._cells[self._now] = f"{100 * done // total} %"

    def score(self, title: str, model: str, score: float) -> None:
        """A cell is done: its score of 0..1, shown in percent."""
        self._cells[title, model] = f"{100 * score:.1f}"
        self._now = None

    def fail(self, title: str, model: str) -> None:
        """A cell failed; without a title, all of a model's cells that are not done."""
        for each in [title] if title else self.titles:
            if not self._cells.get((each, model), "").replace(".", "").isdigit():
                self._cells[each, model] = "failed"
        self._now = None

    @property
    def done(self) -> int:
        """Cells with a score or a failure."""
        return len(self._cells) - (self._now is not None)

    @property
    def place(self) -> str:
        """How far the sweep is, to stand before a line: "[12 of 159] "."""
        return f"[{self.done:,} of {len(self.titles) * len(self.models):,}] "

    def table(self, width: int, rows: int | None = None) -> Table:
        """The table; of more rows than `rows`, those around the cell in work, and of the models those that fit."""
        from rich.table import Table
        from rich.text import Text

        titles = self._window(rows)
        longest = max([7, *(len(title) for title in titles)])
        first = min(longest, max(20, width // 2))
        models = self._columns((width - first) // CELL)
        table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        table.add_column(f"{self.done:,} of {len(self.titles) * len(self.models):,}", width=first, no_wrap=True)
        for model in models:
            table.add_column(Text(visible(model).rsplit("/", 1)[-1]), width=CELL - 2, justify="right", overflow="fold")
        for title in titles:
            cells = [self._cells.get((title, model), "") for model in models]
            table.add_row(Text(visible(title), overflow="ellipsis"), *map(_styled, cells))
        return table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """As much as the terminal has room for."""
        yield self.table(options.max_width, max(LEAST_ROWS, console.size.height - OTHER_LINES - self._head()))

    def _head(self) -> int:
        return max((len(model.rsplit("/", 1)[-1]) // (CELL - 2) + 1 for model in self.models), default=1)

    def _window(self, rows: int | None) -> list[str]:
        if rows is None or len(self.titles) <= rows:
            return self.titles
        at = self.titles.index(self._now[0]) if self._now else 0
        start = min(max(0, at - rows // 2), len(self.titles) - rows)
        return self.titles[start : start + rows]

    def _columns(self, number: int) -> list[str]:
        if len(self.models) <= max(1, number):
            return self.models
        at = self.models.index(self._now[1]) if self._now else len(self.models) - 1
        start = min(max(0, at - number + 2), len(self.models) - number)
        return self.models[start : start + max(1, number)]


def _styled(cell: str) -> RenderableType:
    from rich.text import Text

    return Text(cell, style="red" if cell == "failed" else "dim" if not cell[-1:].isdigit() else "")
