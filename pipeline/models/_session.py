"""How requests reach a server: one POST each, with retries and learned limits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.models._faults import CallError, as_call_error, read_object, retrying, scrub

if TYPE_CHECKING:
    from pipeline.models._api import ApiProvider

ReplyType = TypeVar("ReplyType")
_MOST_REBUILDS = 10


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
    ) -> ReplyType:
        """What `read` makes of the server's answer to the body that `build` makes of the refused parameters.

        `read` raises CallError, KeyError, TypeError, ValueError or AttributeError for an answer of another form.
        Raises CallError when nothing helps.
        """

    @abstractmethod
    async def close(self) -> None:
        """The `answer` is over; requests still in hand have been cancelled."""


class LiveSession(Session):
    """Posts each body at once; retries, and learns the parameters that the model turns out not to take."""

    def __init__(self, provider: ApiProvider, key: str) -> None:
        self.provider = provider
        self.at_once = provider.policy.concurrency
        self.secret = key if key != "none" else ""
        self.sdk, self.client = provider.open_client(key)
        self.reached = False
        self._retrying = retrying(provider.policy, lambda: self.reached, lambda text: self._tell(text))

    def _tell(self, text: str) -> None:
        self.provider.note(f"{self.provider.name} {scrub(text, self.secret)}")

    async def call(
        self,
        path: str,
        build: Callable[[frozenset[str]], dict[str, Any]],
        read: Callable[[dict[str, Any]], ReplyType],
    ) -> ReplyType:
        """POST what `build` makes of the refused parameters, and `read` the answer; faults that heal are retried.

        A parameter that a 400 refuses is left out from then on. Raises CallError when nothing helps.
        """
        for _ in range(_MOST_REBUILDS):
            body = build(frozenset(self.provider.refused))
            try:
                return await self._retrying.copy()(self._post, path, body, read)
            except CallError as fault:
                lesson = self.provider.learn(fault, body) if fault.status in {400, 422} else None
                if lesson is None:
                    raise
                if lesson not in self.provider.refused:
                    self.provider.refused.add(lesson)
                    self._tell(f"does not take {lesson}; going on without it")
        raise CallError("the server keeps refusing parameters of the request", 400)

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
        answer = read_object(text)
        try:
            return read(answer)
        except (KeyError, TypeError, ValueError, AttributeError) as form:
            what = f"the answer is not of the expected form ({type(form).__name__}: {form})"
            raise CallError(what, 200, heals=True) from form

    async def close(self) -> None:
        """Close the client."""
        await self.client.close()
