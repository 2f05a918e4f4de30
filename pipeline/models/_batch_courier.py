"""The courier takes batches to a server and brings back how far they are and what came of them.

Every step is in the ledger before the next one is taken, and is tried again while its faults heal. Making a batch is
the one step that must not happen twice: when its answer was lost, the server is searched before it is tried again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from pipeline.models._batch_ledger import Batch, Ledger
from pipeline.models._batch_protocol import BatchProtocol, BatchState, Outcome
from pipeline.models._faults import CallError, Contact, Policy, retrying
from pipeline.models._redaction import redaction

Result = TypeVar("Result")


def is_in_doubt(fault: CallError) -> bool:
    """Whether what was asked for may have been done although the answer is a fault."""
    return fault.status is None or fault.status in {200, 408} or fault.status >= 500


class Courier:
    """Raises CallError when a step fails for good."""

    def __init__(
        self,
        protocol: BatchProtocol,
        ledger: Ledger,
        policy: Policy,
        contact: Contact,
        faults: Counter[str],
        tell_wait: Callable[[float, CallError], None],
        secret: str = "",
    ) -> None:
        """`secret` reaches no ledger, whatever the server says."""
        self.protocol, self.ledger = protocol, ledger
        self._policy, self._contact, self._faults, self._tell_wait = policy, contact, faults, tell_wait
        self._secret = secret

    async def make(self, batch: Batch, lines: Sequence[bytes]) -> Batch:
        """Send a batch that the ledger has as an intent; the batch with its id."""
        if file := await self._try(lambda: self.protocol.upload(lines)):
            self.ledger.uploaded(batch.token, self._clean_id(file))
            batch = replace(batch, input_file=file)
        doubt = False

        async def once() -> BatchState:
            nonlocal doubt
            if doubt and (found := await self._search(batch)):
                return found
            try:
                return await self.protocol.create(batch, lines)
            except CallError as fault:
                doubt = doubt or is_in_doubt(fault)
                raise

        return self._made(batch, await self._try(once))

    async def recover(self, batch: Batch) -> Batch | None:
        """The batch that an intent without an id has become; the same if somebody is sending it now; None if it must
        be sent again, which the ledger then does not know any more."""
        now = self.ledger.find(batch.token)
        if now is None or now.id or not now.is_left_behind:
            return now
        found = await self._try(lambda: self._search(now))
        if found:
            return self._made(now, found)
        self.ledger.give_up(now.token)
        return None

    async def state(self, batch_id: str) -> BatchState:
        """How far a batch is."""
        return await self._try(lambda: self.protocol.retrieve(batch_id))

    async def results(self, state: BatchState) -> dict[str, Outcome]:
        """What came of a batch that has ended."""
        return await self._try(lambda: self.protocol.results(state))

    async def clean(self, state: BatchState) -> bool:
        """Remove a batch's input from the server. False where that failed, which is no harm: it expires."""
        try:
            await self.protocol.clean(state)
        except CallError:
            return False
        return True

    def _made(self, batch: Batch, state: BatchState) -> Batch:
        self.ledger.made(batch.token, self._clean_id(state.id))
        return replace(batch, id=state.id)

    def _clean_id(self, given: str) -> str:
        if redaction(self._secret).hide(given) != given:
            raise CallError("the server gave a batch the key for its name", 400)
        return given

    async def _search(self, batch: Batch) -> BatchState | None:
        """Of the server's batches that may be this one, and are no other of ours, the one made closest to it."""
        known = self.ledger.ids()
        found = [state for state in await self.protocol.search(batch) if state.id not in known]
        return min(found, key=lambda state: abs(state.created - batch.created), default=None)

    async def _try(self, step: Callable[[], Awaitable[Result]]) -> Result:
        now = asyncio.get_running_loop().time

        async def attempt() -> Result:
            began = now()
            try:
                return await step()
            except CallError as fault:
                fault.seconds = now() - began
                self._faults[fault.kind] += 1
                if fault.heals and fault.retry_after:
                    # Nobody else waits for it: the admission knows of live requests alone.
                    await self._policy.sleep(min(fault.retry_after, self._policy.total_seconds))
                raise

        return await retrying(self._policy, self._policy.sleep, self._contact, self._tell_wait)(attempt)
