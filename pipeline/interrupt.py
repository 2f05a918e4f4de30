"""Ctrl-C: the first ends the work in good order, the second at once.

The command line handles the signal (`handled`). Work that can stop in good order stands inside `orderly`: there the
first Ctrl-C only sets a flag, which providers look at between units of work, and the end of the block raises
KeyboardInterrupt once what was in flight is stored. Anywhere else Ctrl-C is a KeyboardInterrupt at once.
Without `handled`, in another program, it is Python's own.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType


@dataclass
class _State:
    """Signals belong to the process, and so does this."""

    requested: bool = False
    orderly: int = 0
    listeners: list[Callable[[], object]] = field(default_factory=list)


_state = _State()


def requested() -> bool:
    """Whether Ctrl-C was pressed: start nothing new, finish what is in hand."""
    return _state.requested


@contextmanager
def orderly() -> Iterator[None]:
    """Work that looks at `requested` or listens. Raises KeyboardInterrupt at its end if Ctrl-C was pressed in it."""
    _state.orderly += 1
    try:
        yield
    finally:
        _state.orderly -= 1
    if _state.requested:
        raise KeyboardInterrupt


@contextmanager
def listening(listener: Callable[[], object]) -> Iterator[None]:
    """Call `listener` when Ctrl-C is pressed, or now if it was: from within the signal handler, so it must be short."""
    _state.listeners.append(listener)
    try:
        if _state.requested:
            listener()
        yield
    finally:
        _state.listeners.remove(listener)


@contextmanager
def handled(announce: Callable[[], None]) -> Iterator[None]:
    """Handle Ctrl-C in this block; `announce` says at the first one, inside orderly work, what happens next."""

    def handle(number: int, frame: FrameType | None) -> None:
        if _state.requested or not _state.orderly:
            raise KeyboardInterrupt
        _state.requested = True
        announce()
        for listener in list(_state.listeners):
            listener()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        _state.requested = False
