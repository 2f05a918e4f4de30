"""Which requests go to the live API first, so that a whole batch need not fail to show what a model refuses."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.models._batch_entries import Entry, Shape, shape_of
from pipeline.models._faults import CallError
from pipeline.models._session import Unit

_MOST_FAILED = 20
"""A 400 may be about the one request. After so many of them in a row it is about all."""


class Firsts:
    """The first request of each shape that the model has not taken yet goes live; the others of it wait for its end.

    A parameter that is refused then shows for a cent and at once, instead of by a batch of failures within a day.
    """

    def __init__(self, accepted: set[Shape]) -> None:
        """Shapes that the model takes are added to `accepted`."""
        self._accepted = accepted
        self._trying: dict[Shape, Unit | None] = {}
        self._failed = 0

    def __bool__(self) -> bool:
        """Whether any are on their way."""
        return bool(self._trying)

    def choose(self, entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
        """Those that may go into batches, and those that have to wait. Those that go live are told so.

        What belongs to the same choice goes live with its first request: its answer is then whole, and stored.
        """
        ready, held = [], []
        for entry in entries:
            shape = shape_of(entry.path, entry.body)
            if shape in self._accepted:
                ready.append(entry)
            elif shape not in self._trying:
                self._trying[shape] = entry.unit
                entry.first_of = shape
                entry.resolve(None)
            elif entry.unit and entry.unit is self._trying[shape]:
                entry.resolve(None)
            else:
                held.append(entry)
        return ready, held

    def through(self, entry: Entry, fault: CallError | None) -> CallError | None:
        """A first one has its answer, or a fault that is final. Returns the fault that is final for all."""
        if entry.first_of is not None:
            self._trying.pop(entry.first_of, None)
        if fault is None:
            self._failed = 0
            self._accepted.add(shape_of(entry.path, entry.body))
            return None
        if fault.status != 400:
            return fault
        self._failed += 1
        # Without its code, which may say that this one request was refused for what it asks.
        return CallError(fault.message, 400) if self._failed == _MOST_FAILED else None
