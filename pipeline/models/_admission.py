"""How many requests of one model may be in flight: more while all is well, half after "too many requests".

Additive increase, multiplicative decrease, as TCP does it (Chiu and Jain 1989): programs that share a rate limit come
to equal shares without knowing of each other. The window doubles each round trip until the first 429, is halved at
most once a round trip, and grows by a few places a round trip from then on. Timeouts count like 429s, and slow
answers keep the window from growing: a small server queues what it is sent, and says nothing.
A Retry-After stops everything that waits. Limits on requests and tokens a minute, where they are set, are kept by
token buckets. First come, first served.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

FIRST_WINDOW = 25
"""Requests in flight at the start; the window doubles from there."""

_GROWTH_SHARE = 1 / 32
"""Growth a round trip after the first 429, as a share of the most requests in flight; at least 1 request."""
_JITTER_SHARE, _MOST_JITTER = 0.1, 5.0
"""A pause ends later by up to this share of it, so that programs that share a limit do not come back at once."""


@dataclass(frozen=True)
class Place:
    """A place among the requests in flight."""

    since: float
    tokens: int


class Admission:
    """The queue before a server. Bound to one event loop, as long as anything waits."""

    def __init__(
        self,
        most: int,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        patience: float = math.inf,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`patience` is in seconds: answers that took longer do not open the window, since they stood in a queue."""
        self.window = float(min(FIRST_WINDOW, most))
        """Requests that may be in flight now; 1 to `most`."""
        self.in_flight = 0
        self._most, self._patience = most, patience
        self._requests, self._tokens = Bucket(requests_per_minute), Bucket(tokens_per_minute)
        self._sleep, self._draw, self._slept_ahead = sleep, draw, 0.0
        self._doubling = True
        self._cut_at = self._paused_until = -math.inf
        self._waiting: deque[tuple[asyncio.Future[Place], int]] = deque()
        self._wake: asyncio.Task[None] | None = None

    def now(self) -> float:
        """The event loop's time in seconds, ahead of it by what `sleep` took no time for."""
        return asyncio.get_running_loop().time() + self._slept_ahead

    async def enter(self, tokens: int = 0) -> Place:
        """Wait for a place for a request of about so many tokens. Every place must be given back by `leave`."""
        waiter: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self._waiting.append((waiter, tokens))
        self._admit()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.leave(waiter.result())
            raise

    def leave(self, place: Place, tokens: int | None = None, limited: bool = False, pause: float = 0.0) -> None:
        """Give a place back.

        `tokens` is what the request really took, where the server said so and thereby that all is well; `limited`
        says that it asked for fewer requests or did not answer in time, and `pause` for how many seconds it wants none.
        """
        self.in_flight -= 1
        if limited:
            self._slow_down(place, pause)
        elif tokens is not None:
            self._tokens.take(tokens - place.tokens)
            self._grow(place)
        self._admit()

    def _grow(self, place: Place) -> None:
        # Neither what was sent before the last cut nor a window that is not used up says that more would be well.
        is_full = self.in_flight + 1 >= int(self.window)
        if is_full and place.since > self._cut_at and self.now() - place.since <= self._patience:
            step = 1.0 if self._doubling else max(1.0, self._most * _GROWTH_SHARE) / self.window
            self.window = min(float(self._most), self.window + step)

    def _slow_down(self, place: Place, pause: float) -> None:
        now = self.now()
        if place.since > self._cut_at:
            self.window = max(1.0, self.window / 2)
            self._doubling = False
            self._cut_at = now
        if pause > 0:
            jitter = self._draw() * min(_MOST_JITTER, pause * _JITTER_SHARE)
            self._paused_until = max(self._paused_until, now + pause + jitter)

    def _admit(self) -> None:
        now = self.now()
        while self._waiting and self.in_flight < int(self.window):
            waiter, tokens = self._waiting[0]
            if waiter.done():
                self._waiting.popleft()
                continue
            until = max(self._paused_until, self._requests.ready_at(1, now), self._tokens.ready_at(tokens, now))
            if until > now:
                self._admit_at(until)
                return
            self._waiting.popleft()
            self._requests.take(1)
            self._tokens.take(tokens)
            self.in_flight += 1
            waiter.set_result(Place(now, tokens))

    def _admit_at(self, time: float) -> None:
        if self._wake is not None:
            self._wake.cancel()
        self._wake = asyncio.create_task(self._wait_until(time))

    async def _wait_until(self, time: float) -> None:
        await self._sleep(time - self.now())
        self._slept_ahead += max(0.0, time - self.now())
        self._wake = None
        self._admit()


class Bucket:
    """A limit a minute: it fills evenly, holds one second's worth, and may be overdrawn by a single taker."""

    def __init__(self, per_minute: float | None) -> None:
        self._rate = math.inf if per_minute is None else per_minute / 60
        self._room = max(1.0, self._rate)
        self._level, self._at = self._room, -math.inf

    def ready_at(self, amount: float, now: float) -> float:
        """When that much may be taken; an amount that never fits may go once the bucket is full."""
        if self._rate == math.inf:
            return now
        if now > self._at:
            self._level = min(self._room, self._level + (now - self._at) * self._rate)
            self._at = now
        lacking = min(amount, self._room) - self._level
        # A hair later than due: rounding must not ask for the same moment for ever.
        return now if lacking <= 1e-9 else now + lacking / self._rate + 1e-6

    def take(self, amount: float) -> None:
        """Take an amount, or give one back (below 0)."""
        self._level = min(self._room, self._level - amount)
