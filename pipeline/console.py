"""What a person sees while work goes on, always on stderr, and how words and data are written out at its end."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from pipeline.ports import Progress, SilentProgress

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.progress import TaskID

SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def progress(quiet: bool) -> Iterator[Progress]:
    """Progress on stderr: a bar if that is a terminal, else a line every few seconds; nothing if quiet."""
    if quiet:
        yield SilentProgress()
    elif sys.stderr.isatty():
        with _LiveProgress() as live:
            yield live
    else:
        yield _PlainProgress()


class Board(Protocol):
    """A table of what a command has done so far, such as `pipeline/board.py`."""

    def progress(self, done: int, total: int) -> None:
        """How far the cell in work is."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """As much as the terminal has room for."""


def show_above(progress: Progress, board: Board) -> bool:
    """Keep a table above the progress bar; False where there is no bar. Lines then come for long tasks alone."""
    if isinstance(progress, _LiveProgress):
        progress.show(board)
        return True
    if isinstance(progress, _PlainProgress):
        progress.terse = True
    return False


def keep_in_view(progress: Progress, table: RenderableType) -> None:
    """Leave a table on the terminal for good; nothing where lines are written instead."""
    if isinstance(progress, _LiveProgress):
        progress.print(table)


def width() -> int:
    """Characters in a line of the terminal."""
    return shutil.get_terminal_size((100, 24)).columns


class _PlainProgress:
    """One line per task at its end, and every few seconds in between."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self.terse = False
        """The end of a task is nothing to tell; others say what came of it."""

    def update(self, task: str, done: int, total: int, detail: str = "") -> None:
        now = time.monotonic()
        wait = SECONDS_BETWEEN_LINES * (6 if self.terse else 1)
        if now - self._last >= wait or (done == total and not self.terse):
            self._last = now
            self.note(f"{task}: {_amount(task, done)} of {_amount(task, total)}" + (f" ({detail})" if detail else ""))

    def note(self, text: str) -> None:
        sys.stderr.write(visible(text) + "\n")
        sys.stderr.flush()


class _LiveProgress:
    """A rich bar for the current task; notes scroll above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        class Bars(RichProgress):
            above: RenderableType | None = None

            def get_renderables(self) -> Iterator[RenderableType]:
                if self.above is not None:
                    yield self.above
                yield from super().get_renderables()

        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[amount]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[detail]}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._board: Board | None = None
        self._task: TaskID | None = None
        self._name = ""

    def __enter__(self) -> _LiveProgress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def update(self, task: str, done: int, total: int, detail: str = "") -> None:
        amount = f"{_amount(task, done)}/{_amount(task, total)}"
        if self._board is not None:
            self._board.progress(done, total)
        if self._task is None or task != self._name:
            if self._task is not None:
                self._bars.remove_task(self._task)
            self._task, self._name = self._bars.add_task(visible(task), total=total, amount=amount, detail=""), task
        self._bars.update(self._task, completed=done, total=total, amount=amount, detail=visible(detail))

    def show(self, board: Board) -> None:
        """A table above the bar, until the end."""
        self._board = self._bars.above = board

    def print(self, table: RenderableType) -> None:
        """Stays, with the table above the bar gone."""
        self._board = self._bars.above = None
        self._bars.refresh()
        self._bars.console.print(table)

    def note(self, text: str) -> None:
        self._bars.console.print(visible(text), markup=False, highlight=False, soft_wrap=True)


def _amount(task: str, value: int) -> str:
    return f"{value / 1e6:,.0f} MB" if task.startswith("download ") else f"{value:,}"


def visible(text: str) -> str:
    """The text without control characters: what a model or a file says cannot steer the terminal."""
    return "".join(c if c == "\n" or (c.isprintable() and c != "\x7f") else "\N{REPLACEMENT CHARACTER}" for c in text)


def say(text: str) -> None:
    """Words of a model or a file among ours: on the terminal, without what could steer it."""
    write(visible(text))


def write(text: str) -> None:
    """What a person reads: on the terminal, whichever of the two streams that is."""
    if sys.stderr.isatty() and not sys.stdout.isatty():
        write_error(text)
        return
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def write_error(text: str) -> None:
    """On stderr, at once."""
    sys.stderr.write(text)
    sys.stderr.flush()


def print_json(wanted: bool, value: object) -> None:
    """One line of data on stdout, if it is wanted."""
    if wanted:
        sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
        sys.stdout.flush()
