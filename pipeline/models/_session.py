"""How requests reach a server: one POST each, with retries and learned limits."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.models._faults import CallError, as_call_error, read_object, retrying, scrub

if TYPE_CHECKING:
    from pipeline.models._api import ApiProvider
    from pipeline.ports import Request

ReplyType = TypeVar("ReplyType")
MOST_REBUILDS = 10


class Session(ABC):
    """What the requests of one `answer` go through. Providers put everything that they send into `call`."""

    at_once: int
    """Units of work to be in hand at the same time."""
    secret: str
    """The key, to be kept out of every message; "" if there is none."""

    @abstractmethod
    async def call(
        self,
        path: str,
        build: Callable[[frozenset[str]], dict[str, Any]],
        read: Callable[[dict[str, Any]], ReplyType],
        request: Request | None = None,
    ) -> ReplyType:
        """What `read` makes of the server's answer to the body that `build` makes of the refused parameters.

        `request` is what the body is built from, where the answer may take long: it names the call beyond this run.
        `read` raises CallError, KeyError, TypeError, ValueError or AttributeError for an answer of another form.
        Raises CallError when nothing helps.
        """

    def settle(self) -> None:
        """All replies have been taken over, and are stored where they are to be stored."""
        return

    @abstractmethod
    async def close(self) -> None:
        """The `answer` is over; requests still in hand have been cancelled."""


def understood(answer: dict[str, Any], read: Callable[[dict[str, Any]], ReplyType]) -> ReplyType:
    """What `read` makes of an answer. Raises a CallError that heals where it is of another form."""
    try:
        return read(answer)
    except (KeyError, TypeError, ValueError, AttributeError) as form:
        what = f"the answer is not of the expected form ({type(form).__name__}: {form})"
        raise CallError(what, 200, heals=True) from form


async def together(calls: Iterable[Coroutine[Any, Any, ReplyType]]) -> list[ReplyType]:
    """The answers of several calls that are made at the same time; when one fails, the others are cancelled."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


class LiveSession(Session):
    """Posts each body at once; retries, and learns the parameters that the model turns out not to take."""

    def __init__(self, provider: ApiProvider, key: str) -> None:
        self.provider = provider
        self.at_once = provider.policy.concurrency
        self.secret = key if key != "none" else ""
        self.sdk, self.client = provider.open_client(key)
        self.reached = False
        self._retrying = retrying(provider.policy, lambda: self.reached, lambda text: self.tell(text))

    def tell(self, text: str) -> None:
        """A line for the user, without the key."""
        self.provider.note(f"{self.provider.name} {scrub(text, self.secret)}")

    async def call(
        self,
        path: str,
        build: Callable[[frozenset[str]], dict[str, Any]],
        read: Callable[[dict[str, Any]], ReplyType],
        request: Request | None = None,
    ) -> ReplyType:
        """POST what `build` makes of the refused parameters, and `read` the answer; faults that heal are retried.

        A parameter that a 400 refuses is left out from then on. Raises CallError when nothing helps.
        """
        for _ in range(MOST_REBUILDS):
            body = build(frozenset(self.provider.refused))
            try:
                return await self._retrying.copy()(self._post, path, body, read)
            except CallError as fault:
                if not self.learns(fault, body):
                    raise
        raise CallError("the server keeps refusing parameters of the request", 400)

    def learns(self, fault: CallError, body: dict[str, Any]) -> bool:
        """Whether a fault says what to leave out of the body; from then on it is left out."""
        lesson = self.provider.learn(fault, body) if fault.status in {400, 422} else None
        if lesson is None:
            return False
        if lesson not in self.provider.refused:
            self.provider.refused.add(lesson)
            self.tell(f"does not take {lesson}; going on without it")
        return True

    async def _post(self, path: str, body: dict[str, Any], read: Callable[[dict[str, Any]], ReplyType]) -> ReplyType:
        fault = None
        try:
            text = await self.client.post(path, body=body, cast_to=str)
        except self.sdk.APIError as error:
            fault = as_call_error(error)
        # Raised outside of the handler: the SDK's exception holds the request with the key in its headers.
        self.reached = self.reached or fault is None or fault.status is not None
        if fault:
            raise fault
        return understood(read_object(text), read)

    async def close(self) -> None:
        """Close the client."""
        await self.client.close()
