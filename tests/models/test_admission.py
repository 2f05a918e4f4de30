"""Admission against simulated servers, in simulated time: nothing here waits."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.models._admission import FIRST_WINDOW, Admission, Bucket

T = TypeVar("T")
ROUND_TRIP = 1.0


class SkippingSelector(selectors.SelectSelector):
    """Moves the clock instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "everything waits for ever"
        self.now += timeout
        return []


def simulated(work: Coroutine[Any, Any, T]) -> T:
    """What `work` comes to in a loop whose time passes only while all sleep."""
    selector = SkippingSelector()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


class Server:
    """Takes `capacity` requests at once and refuses more."""

    def __init__(self, capacity: int, round_trip: float = ROUND_TRIP) -> None:
        self.capacity, self.round_trip = capacity, round_trip
        self.in_flight = self.answered = self.refused = 0
        self.seen: list[tuple[float, int]] = []

    async def ask(self) -> bool:
        self.in_flight += 1
        self.seen.append((asyncio.get_running_loop().time(), self.in_flight))
        taken = self.in_flight <= self.capacity
        await asyncio.sleep(self.round_trip * random.uniform(0.9, 1.1) if taken else self.round_trip / 10)
        self.in_flight -= 1
        self.answered += taken
        self.refused += not taken
        return taken


async def client(admission: Admission, server: Server, until: float) -> int:
    """Asks as fast as it is admitted; the number of answers."""
    answered = 0

    async def work() -> None:
        nonlocal answered
        while asyncio.get_running_loop().time() < until:
            place = await admission.enter()
            taken = await server.ask()
            answered += taken
            admission.leave(place, 0 if taken else None, limited=not taken)
            if not taken:
                await asyncio.sleep(random.uniform(0, ROUND_TRIP))

    await asyncio.gather(*(work() for _ in range(400)))
    return answered


@pytest.fixture(autouse=True)
def seeded() -> None:
    random.seed(7)


def test_while_all_is_well_the_window_doubles_each_round_trip_up_to_the_most() -> None:
    async def run() -> None:
        server, admission = Server(10**6), Admission(200)
        await client(admission, server, 10 * ROUND_TRIP)
        assert admission.window == 200
        at_start = max(count for time, count in server.seen if time < 0.9 * ROUND_TRIP)
        after_one = max(count for time, count in server.seen if time < 1.7 * ROUND_TRIP)
        assert (at_start, after_one) == (FIRST_WINDOW, 2 * FIRST_WINDOW)

    simulated(run())


@pytest.mark.parametrize("capacity", [3, 20, 70])
def test_the_window_settles_near_what_the_server_takes(capacity: int) -> None:
    async def run() -> None:
        server, admission = Server(capacity), Admission(100)
        await client(admission, server, 100 * ROUND_TRIP)
        server.answered = server.refused = 0
        await client(admission, server, 400 * ROUND_TRIP)
        assert server.answered > 0.65 * capacity * 300, "three quarters is what halving leaves in the mean"
        assert server.refused < 0.25 * server.answered

    simulated(run())


def test_a_small_server_that_queues_in_silence_is_not_sent_more_than_it_answers_in_time() -> None:
    tries: Counter[int] = Counter()

    async def run() -> float:
        admission, slots = Admission(100, patience=60), asyncio.Semaphore(2)

        async def ask() -> None:
            async with slots:
                await asyncio.sleep(10)

        async def work(i: int) -> None:
            answered = False
            while not answered:
                tries[i] += 1
                place = await admission.enter()
                try:
                    await asyncio.wait_for(ask(), 120)
                    answered = True
                except TimeoutError:
                    pass
                admission.leave(place, 0 if answered else None, limited=not answered)

        await asyncio.gather(*(work(i) for i in range(300)))
        return asyncio.get_running_loop().time()

    assert simulated(run()) < 1.1 * 300 * 10 / 2, "next to nothing was computed in vain"
    assert max(tries.values()) <= 3
    assert tries.total() < 1.2 * 300


def test_one_burst_of_refusals_halves_the_window_once() -> None:
    async def run() -> None:
        admission = Admission(64)
        admission.window = 64.0
        places = [await admission.enter() for _ in range(64)]
        for place in places:
            admission.leave(place, limited=True)
        assert admission.window == 32
        await asyncio.sleep(ROUND_TRIP)
        admission.leave(await admission.enter(), limited=True)
        assert admission.window == 16

    simulated(run())


def test_two_programs_that_share_a_limit_come_to_equal_shares_though_one_came_late() -> None:
    async def run() -> None:
        server = Server(60)
        first, second = Admission(100), Admission(100)
        await client(first, server, 50 * ROUND_TRIP)
        answered = await asyncio.gather(client(first, server, 800), client(second, server, 800))
        assert 0.85 < answered[0] / answered[1] < 1.18

    simulated(run())


def test_after_a_retry_after_nothing_goes_out_for_that_time_and_no_longer_than_a_tenth_more() -> None:
    async def run() -> list[float]:
        admission = Admission(10)
        place = await admission.enter()
        admission.leave(place, limited=True, pause=20.0)
        times = []
        for _ in range(30):
            admission.leave(await admission.enter(), 0)
            times.append(asyncio.get_running_loop().time())
        return times

    times = simulated(run())
    assert min(times) >= 20.0 and max(times) <= 22.1


def test_first_come_is_first_served_and_one_that_gives_up_does_not_hold_up_the_others() -> None:
    async def run() -> list[int]:
        admission = Admission(1)
        order: list[int] = []

        async def work(i: int) -> None:
            place = await admission.enter()
            order.append(i)
            await asyncio.sleep(1)
            admission.leave(place, 0)

        tasks = [asyncio.create_task(work(i)) for i in range(6)]
        await asyncio.sleep(0.5)
        for i in (2, 3):
            tasks[i].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert admission.in_flight == 0
        return order

    assert simulated(run()) == [0, 1, 4, 5]


def test_a_place_that_is_granted_in_the_moment_of_giving_up_is_not_lost() -> None:
    async def run() -> None:
        admission = Admission(1)
        held = await admission.enter()
        waiting = asyncio.create_task(admission.enter())
        await asyncio.sleep(0)
        admission.leave(held, 0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert admission.in_flight == 0
        admission.leave(await admission.enter(), 0)

    simulated(run())


def sent(admission: Admission, tokens: int, count: int, used: Callable[[int], int]) -> list[tuple[float, int]]:
    """When each of so many requests went out, and the tokens it really took."""

    async def run() -> list[tuple[float, int]]:
        found: list[tuple[float, int]] = []

        async def work(i: int) -> None:
            place = await admission.enter(tokens)
            found.append((asyncio.get_running_loop().time(), used(i)))
            await asyncio.sleep(0.05)
            admission.leave(place, used(i))

        await asyncio.gather(*(work(i) for i in range(count)))
        return found

    return simulated(run())


def most_in_a_minute(found: list[tuple[float, int]]) -> int:
    return max(sum(amount for time, amount in found if start <= time < start + 60) for start, _ in found)


def test_no_minute_has_more_requests_than_the_limit_and_one_second_more() -> None:
    found = [(time, 1) for time, _ in sent(Admission(100, requests_per_minute=120), 0, 400, lambda i: 0)]
    assert 118 <= most_in_a_minute(found) <= 122
    assert found[-1][0] == pytest.approx(199, abs=2)


def test_no_minute_has_more_tokens_than_the_limit_even_if_the_estimates_are_low() -> None:
    found = sent(Admission(4, tokens_per_minute=60_000), 500, 400, lambda i: 700 + i % 3)
    # A second's worth, and what four requests in flight take beyond their estimates.
    assert most_in_a_minute(found[8:]) <= 60_000 + 1_000 + 4 * 702
    assert sum(amount for _, amount in found) / found[-1][0] > 900


def test_estimates_that_are_too_high_are_given_back() -> None:
    found = sent(Admission(50, tokens_per_minute=60_000), 2_000, 200, lambda i: 200)
    assert found[-1][0] < 200 * 2_000 / 1_000 / 2, "by the estimates alone it would take 400 s"


def test_a_request_larger_than_the_limit_still_goes_out() -> None:
    assert len(sent(Admission(10, tokens_per_minute=60), 5_000, 2, lambda i: 5_000)) == 2


@given(
    rate=st.floats(1, 10_000),
    steps=st.lists(st.tuples(st.floats(0, 5), st.floats(0, 500)), min_size=1, max_size=50),
)
def test_a_bucket_never_gives_more_than_its_rate_and_its_room(rate: float, steps: list[tuple[float, float]]) -> None:
    bucket, now, taken = Bucket(rate), 0.0, 0.0
    room = max(1.0, rate / 60)
    for gap, amount in steps:
        now += gap
        amount = min(amount, room)
        if bucket.ready_at(amount, now) <= now:
            bucket.take(amount)
            taken += amount
            assert taken <= room + now * rate / 60 + 1e-6 * len(steps) + 1e-6
