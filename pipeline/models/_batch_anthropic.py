"""Anthropic's Message Batches: one POST holds the requests, results are one JSONL file, kept for 29 days.

https://platform.claude.com/docs/en/build-with-claude/batch-processing
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from pipeline.models._batch_ledger import INTENT_SECONDS, Batch
from pipeline.models._batch_protocol import BatchProtocol, BatchState, Limits, Outcome, Wire, checked_id, entries_of
from pipeline.models._faults import CallError, message_in, read_object

LIMITS = Limits(requests=10_000, bytes=50_000_000)
"""The API takes 100,000 requests and 256 MB. Smaller batches come back in parts, and are held in memory one by one."""

_BATCHES = "/v1/messages/batches"
_PAGE = 100
_MOST_PAGES = 20
_SKEW_SECONDS = 600.0
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def read_state(answer: Mapping[str, Any]) -> BatchState:
    """The state in a batch object. Raises a CallError that heals where it is none."""
    counts, status = answer.get("request_counts"), answer.get("processing_status")
    if not isinstance(status, str) or not isinstance(counts, dict):
        raise CallError("the answer is no batch", 200, heals=True)
    total = sum(int(count or 0) for count in counts.values())
    return BatchState(
        id=checked_id(answer.get("id"), "batch"),
        ended=status == "ended",
        done=total - int(counts.get("processing") or 0),
        total=total,
        created=_seconds(answer.get("created_at")),
    )


def _seconds(time: object) -> float:
    try:
        return datetime.fromisoformat(str(time)).timestamp()
    except ValueError:
        return 0.0


def read_results(text: str) -> Iterator[tuple[str, Outcome]]:
    """Outcomes in the results. Lines that are no entry are left out: their requests are asked again."""
    for custom_id, entry in entries_of(text):
        yield custom_id, _outcome(entry.get("result") or {})


def _outcome(result: Mapping[str, Any]) -> Outcome:
    message = result.get("message")
    if result.get("type") == "succeeded" and isinstance(message, dict):
        return message
    if result.get("type") == "errored":
        text, code = message_in(result.get("error"), "the request failed")
        return CallError(text, _STATUS.get(code, 500), code)
    # Expired or cancelled; neither was paid for.
    return CallError(f"the batch left it {result.get('type') or 'without an answer'}", heals=True)


class AnthropicBatches(BatchProtocol):
    """Batches of `/v1/messages`."""

    name: ClassVar[str] = "anthropic"

    def __init__(self, wire: Wire, limits: Limits = LIMITS) -> None:
        super().__init__(wire)
        self.limits = limits

    def line(self, custom_id: str, path: str, body: Mapping[str, Any]) -> bytes:
        """One element of the list of requests."""
        return json.dumps({"custom_id": custom_id, "params": body}, separators=(",", ":")).encode()

    async def create(self, batch: Batch, lines: Sequence[bytes]) -> BatchState:
        """Make a batch of these requests."""
        return read_state(await self.wire.post(_BATCHES, b'{"requests":[' + b",".join(lines) + b"]}"))

    async def search(self, batch: Batch) -> list[BatchState]:
        """Batches of the same number of requests, made when ours was: a batch carries no mark of its maker's.

        Whether one is ours shows in the custom ids of its results.
        """
        earliest, latest = batch.created - _SKEW_SECONDS, batch.created + INTENT_SECONDS + _SKEW_SECONDS
        found: list[BatchState] = []
        after: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            page = read_object(await self.wire.get(_BATCHES, limit=_PAGE, **after))
            states = [read_state(each) for each in page.get("data") or []]
            found += [s for s in states if s.total == batch.total and earliest <= s.created <= latest]
            if not page.get("has_more") or not states or states[-1].created < earliest:
                break
            after = {"after_id": states[-1].id}
        return found

    async def retrieve(self, batch_id: str) -> BatchState:
        """How far a batch is."""
        return read_state(read_object(await self.wire.get(f"{_BATCHES}/{batch_id}")))

    async def results(self, state: BatchState) -> dict[str, Outcome]:
        """What the results say. They are read from the base URL: `results_url` names Anthropic's own address, which
        a gateway's key does not open."""
        return dict(read_results(await self.wire.get(f"{_BATCHES}/{state.id}/results")))
