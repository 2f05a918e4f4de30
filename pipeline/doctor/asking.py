"""Questions to the network, all put at the same time and each with a limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

SECONDS = 3.0
"""How long a server has for its answer."""

Result = TypeVar("Result")


class Asked(Generic[Result]):
    """Work in a thread of its own, since looking up a name knows no time limit.

    `work` raises nothing but bugs, which the thread shows with their traceback.
    """

    def __init__(self, work: Callable[[], Result], seconds: float = SECONDS) -> None:
        self._found: list[Result] = []
        self._until = time.monotonic() + seconds + 0.5
        self._thread = Thread(target=lambda: self._found.append(work()), daemon=True)
        self._thread.start()

    def result(self) -> Result | None:
        """What came out, or None where nothing did in time."""
        self._thread.join(max(0.0, self._until - time.monotonic()))
        return self._found[0] if self._found else None
