"""What a batch session has in hand: requests that wait for their outcomes, and the batches that they wait for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.models._batch_ledger import Batch
from pipeline.models._batch_protocol import BatchState, Outcome
from pipeline.models._session import Unit

_LOOK_SECONDS = (5.0, 120.0)

Build = Callable[[frozenset[str]], dict[str, Any]]
Shape = tuple[str, ...]
Unclaimed = tuple[Outcome, frozenset[str]]
"""What came of a request that nobody waits for yet, and the parameters that were left out of it."""


def look_interval(age: float, batches: int) -> float:
    """Seconds to the next look at batches of which the youngest is `age` seconds old: a twentieth of that, 5 to 120.

    A look asks for each of them, and questions count towards rate limits: many batches are looked at less often.
    """
    least, most = _LOOK_SECONDS
    return max(least, min(most, age / 20), 0.5 * batches)


def shape_of(path: str, body: dict[str, Any]) -> Shape:
    """What decides whether a model takes a request: its parameters, and whether it ends in a prefill."""
    turns = body.get("messages") or [{}]
    return (path, str(turns[-1].get("role")), *sorted(body))


def ago(created: float) -> str:
    """The time since then in words."""
    minutes = max(0, round((time.time() - created) / 60))
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


@dataclass(eq=False)
class Entry:
    """One request that waits for its outcome. None as the outcome sends it to the live API instead."""

    custom_id: str
    path: str
    build: Build
    outcome: asyncio.Future[Outcome | None]
    unit: Unit | None = None
    """What it is a part of."""
    body: dict[str, Any] = field(default_factory=dict)
    """As it was last built. Who asked knows of this one, too: it is built for what is sent and for nothing else."""
    is_again: bool = False
    """Whether it was answered before, and another answer is wanted."""
    first_of: Shape | None = None
    """The shape whose others wait for what the live API says to this one."""

    def resolve(self, outcome: Outcome | None, refused: frozenset[str] = frozenset()) -> None:
        """Hand out the outcome, unless who asked is gone. `refused` is what was left out of the body that was sent."""
        if not self.outcome.done():
            if outcome is not None:
                self.body = self.body or self.build(refused)
            self.outcome.set_result(outcome)

    def fail(self, error: BaseException) -> None:
        """Hand out an error instead."""
        if not self.outcome.done():
            self.outcome.set_exception(error)


@dataclass(eq=False)
class Open:
    """A batch that is waited for."""

    batch: Batch
    waiting: dict[str, list[Entry]]
    """By custom id. The same may be asked for twice."""
    state: BatchState | None = None

    @property
    def entries(self) -> list[Entry]:
        """Everything that waits for it."""
        return [entry for entries in self.waiting.values() for entry in entries]


def chunks(entries: Sequence[Entry], line: Callable[[Entry], bytes], most: int, most_bytes: int) -> list[list[Entry]]:
    """Split by number and by size; the same request asked for twice counts once, since it is sent once."""
    together: dict[str, list[Entry]] = {}
    for entry in entries:
        together.setdefault(entry.custom_id, []).append(entry)
    parts: list[list[Entry]] = []
    count = size = 0
    for same in together.values():
        length = len(line(same[0]))
        if not parts or count == most or size + length > most_bytes:
            parts.append([])
            count = size = 0
        parts[-1] += same
        count, size = count + 1, size + length
    return parts
