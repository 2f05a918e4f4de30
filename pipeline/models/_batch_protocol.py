"""What the batch APIs have in common: requests go in as one batch, states are polled, answers come out by custom id."""

from __future__ import annotations

import asyncio
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

from pipeline.models._batch_ledger import Batch
from pipeline.models._faults import CallError, Contact, as_call_error, read_object

SEND_SECONDS = 600.0
"""Longest wait for the answer to a batch that was sent: it may be tens of megabytes."""

Outcome = dict[str, Any] | CallError
"""The server's answer to one request, or why there is none; a fault that heals is asked again outside of the batch."""


@dataclass(frozen=True)
class Limits:
    """How large a batch may be."""

    requests: int
    bytes: int


@dataclass(frozen=True)
class BatchState:
    """What the server says of a batch."""

    id: str
    ended: bool
    done: int
    """Requests that have an answer or have failed."""
    total: int
    created: float
    """Seconds since 1970, by the server's clock."""
    input_file: str = ""
    files: tuple[str, ...] = ()
    """Files that hold the answers."""
    problem: CallError | None = None
    """Why the server did not take the batch as a whole. It heals if only the server's queue is full."""


class Wire:
    """The SDK's client, with its exceptions translated: they hold the key in the headers of the request."""

    def __init__(self, sdk: ModuleType, client: Any, contact: Contact) -> None:
        self.sdk, self.client, self.contact = sdk, client, contact

    async def get(self, path: str, **query: Any) -> str:
        return await self._send("get", path, options={"params": query} if query else {})

    async def post(self, path: str, content: bytes) -> dict[str, Any]:
        options = {"timeout": SEND_SECONDS, "headers": {"Content-Type": "application/json"}}
        return read_object(await self._send("post", path, content=content, options=options))

    async def upload(self, path: str, fields: Mapping[str, str], name: str, content: bytes) -> dict[str, Any]:
        options = {"timeout": SEND_SECONDS, "headers": {"Content-Type": "multipart/form-data"}}
        files = [("file", (name, content, "application/jsonl"))]
        return read_object(await self._send("post", path, body=fields, files=files, options=options))

    async def delete(self, path: str) -> None:
        await self._send("delete", path)

    async def _send(self, method: str, path: str, **how: Any) -> str:
        answer, fault = "", None
        try:
            async with asyncio.timeout(SEND_SECONDS):
                answer = str(await getattr(self.client, method)(path, cast_to=str, **how))
        except self.sdk.APIError as error:
            fault = as_call_error(error)
        except TimeoutError:
            fault = CallError(f"no answer within {SEND_SECONDS:g} s", code="timeout")
        self.contact.reached |= fault is None or fault.status is not None
        if fault:
            # Raised outside of the handler, which would chain the SDK's exception to it.
            raise fault
        return answer


class BatchProtocol(ABC):
    """One server's way to take batches. Raises CallError; retries are the caller's."""

    name: ClassVar[str]
    limits: Limits

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    @abstractmethod
    def line(self, custom_id: str, path: str, body: Mapping[str, Any]) -> bytes:
        """One request of a batch, as it is sent; its length counts towards the limit."""

    async def upload(self, lines: Sequence[bytes]) -> str | None:
        """The server's id of a file that holds the requests; None where they go into the batch itself."""
        return None

    @abstractmethod
    async def create(self, batch: Batch, lines: Sequence[bytes]) -> BatchState:
        """Make a batch. Once it is made, it is paid for."""

    @abstractmethod
    async def search(self, batch: Batch) -> list[BatchState]:
        """Batches at the server that may be this one, which was sent and whose answer never came in."""

    @abstractmethod
    async def retrieve(self, batch_id: str) -> BatchState:
        """How far a batch is."""

    @abstractmethod
    async def results(self, state: BatchState) -> dict[str, Outcome]:
        """Outcomes by custom id, of a batch that has ended. A request may be missing."""

    async def clean(self, state: BatchState) -> None:  # noqa: B027  # Not every server is left with something.
        """Remove what a batch that has ended leaves behind at the server and nobody needs."""


def checked_id(value: object, what: str) -> str:
    """An id that a server gave: it becomes a part of URLs. Raises a CallError that heals where it is none."""
    if not isinstance(value, str) or not re.fullmatch(r"[\w.:=-]{1,256}", value) or not value.strip("."):
        raise CallError(f"the answer is no {what}", 200, heals=True)
    return value


def entries_of(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The entries of a JSONL file of results, by their custom_id; lines that are none are left out.

    Only a line feed ends a line: `splitlines` also cuts at U+2028 inside of a string.
    """
    for line in text.split("\n"):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("custom_id"), str):
            yield entry["custom_id"], entry
