"""One key at a time from the keyboard, or one character at a time where the input is no terminal."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def keys() -> Iterator[Callable[[], str]]:
    """A function that gives the next key as one character, "" at the end of the input.

    The terminal stops echoing and waiting for line ends until the context ends; interrupting it still works.
    """
    if os.name != "posix" or not sys.stdin.isatty():
        yield lambda: sys.stdin.read(1)
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield lambda: _key(terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _key(terminal: int) -> str:
    """One key; arrow and function keys, which come as several bytes from an escape on, are passed over."""
    while True:
        first = os.read(terminal, 1)
        if first == b"\x1b":
            _pass_over_sequence(terminal)
            continue
        if first == b"\x04":
            return ""
        return (first + _rest(terminal, first)).decode(errors="ignore") if first else ""


def _pass_over_sequence(terminal: int) -> None:
    """Reads what follows an escape at once: nothing after the key itself, "[" or "O" to a letter after an arrow."""

    def pending() -> bytes:
        return os.read(terminal, 1) if select.select([terminal], [], [], 0.01)[0] else b""

    if pending() in (b"[", b"O"):
        while (byte := pending()) and not b"\x40" <= byte <= b"\x7e":
            pass


def _rest(terminal: int, first: bytes) -> bytes:
    """The bytes that follow the first one of a UTF-8 character."""
    lead = first[0] if first else 0
    missing = 3 if lead >= 0xF0 else 2 if lead >= 0xE0 else 1 if lead >= 0xC0 else 0
    return b"".join(os.read(terminal, 1) for _ in range(missing))
