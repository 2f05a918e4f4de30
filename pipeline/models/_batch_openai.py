"""OpenAI's Batch API: a JSONL file of requests is uploaded, a batch is made of it, answers are two more files.

https://platform.openai.com/docs/guides/batch. One endpoint and one model a batch; whoever else speaks the protocol
(Groq, Together, LiteLLM…) serves it under the same paths.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from pipeline.models._batch_ledger import Batch
from pipeline.models._batch_protocol import BatchProtocol, BatchState, Limits, Outcome, Wire, checked_id, entries_of
from pipeline.models._faults import CallError, message_in, read_object

LIMITS = Limits(requests=10_000, bytes=50_000_000)
"""The API takes 50,000 requests and 200 MB. Smaller batches come back in parts, and one file at a time is in memory."""

_ENDED = {"completed", "failed", "expired", "cancelled"}
_QUEUE_IS_FULL = "token_limit_exceeded"
_PAGE = 100
_MOST_PAGES = 20
_SKEW_SECONDS = 600.0
_KEPT_SECONDS = 30 * 24 * 3600


def line(custom_id: str, path: str, body: Mapping[str, Any]) -> bytes:
    """One line of the input file. Its URL starts with /v1 whatever the server's own address."""
    entry = {"custom_id": custom_id, "method": "POST", "url": f"/v1{path}", "body": body}
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def read_state(answer: Mapping[str, Any]) -> BatchState:
    """The state in a batch object. Raises a CallError that heals where it is none."""
    status = answer.get("status")
    if not isinstance(status, str):
        raise CallError("the answer is no batch", 200, heals=True)
    counts = answer.get("request_counts") or {}
    files = (answer.get("output_file_id"), answer.get("error_file_id"))
    return BatchState(
        id=checked_id(answer.get("id"), "batch"),
        ended=status in _ENDED,
        done=int(counts.get("completed") or 0) + int(counts.get("failed") or 0),
        total=int(counts.get("total") or 0),
        created=float(answer.get("created_at") or 0),
        input_file=str(answer.get("input_file_id") or ""),
        files=tuple(checked_id(each, "batch") for each in files if each),
        problem=_problem(answer) if status == "failed" else None,
    )


def _problem(answer: Mapping[str, Any]) -> CallError:
    found = (answer.get("errors") or {}).get("data") or [{}]
    code = str(found[0].get("code") or "")
    message = str(found[0].get("message") or "no reason was given")
    if code == _QUEUE_IS_FULL:
        return CallError(message, 429, code, heals=True)
    return CallError(f"batch {answer['id']} was not taken: {message} ({code or 'no code'})", 400)


def read_results(text: str) -> Iterator[tuple[str, Outcome]]:
    """Outcomes in an output or error file. Lines that are no entry are left out: their requests are asked again."""
    for custom_id, entry in entries_of(text):
        yield custom_id, _outcome(entry)


def _outcome(entry: Mapping[str, Any]) -> Outcome:
    response = entry.get("response")
    if not isinstance(response, dict):
        # How the API says that an entry expired or was cancelled.
        error = entry.get("error") or {}
        return CallError(str(error.get("message") or "no answer"), code=str(error.get("code") or ""), heals=True)
    status, body = int(response.get("status_code") or 0), response.get("body")
    if status == 200:
        try:
            return read_object(json.dumps(body))
        except CallError as fault:
            return fault
    message, code = message_in(body, f"status {status}")
    return CallError(message, status or None, code)


class OpenAiBatches(BatchProtocol):
    """Batches of `/chat/completions` or `/completions`."""

    name: ClassVar[str] = "openai"

    def __init__(self, wire: Wire, official: bool, limits: Limits = LIMITS) -> None:
        super().__init__(wire)
        self.official, self.limits = official, limits

    def line(self, custom_id: str, path: str, body: Mapping[str, Any]) -> bytes:
        """One line of the input file."""
        return line(custom_id, path, body)

    async def upload(self, lines: Sequence[bytes]) -> str | None:
        """The id of the input file."""
        answer = await self.wire.upload("/files", {"purpose": "batch"}, "mwe-batch.jsonl", b"".join(lines))
        return checked_id(answer.get("id"), "file")

    async def create(self, batch: Batch, lines: Sequence[bytes]) -> BatchState:
        """Make a batch of the file that was uploaded."""
        body: dict[str, Any] = {
            "input_file_id": batch.input_file,
            "endpoint": f"/v1{batch.path}",
            "completion_window": "24h",
        }
        if self.official:
            # Output files are kept for ever unless they are told otherwise.
            expiry = {"anchor": "created_at", "seconds": _KEPT_SECONDS}
            body |= {"metadata": {"mwe": batch.token}, "output_expires_after": expiry}
        return read_state(await self.wire.post("/batches", json.dumps(body).encode()))

    async def search(self, batch: Batch) -> list[BatchState]:
        """The batch made of our file: nobody else knows it."""
        if not batch.input_file:
            return []
        after: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            page = read_object(await self.wire.get("/batches", limit=_PAGE, **after))
            states = [read_state(each) for each in page.get("data") or []]
            if found := [state for state in states if state.input_file == batch.input_file]:
                return found
            if not page.get("has_more") or not states or states[-1].created < batch.created - _SKEW_SECONDS:
                break
            after = {"after": states[-1].id}
        return []

    async def retrieve(self, batch_id: str) -> BatchState:
        """How far a batch is."""
        return read_state(read_object(await self.wire.get(f"/batches/{batch_id}")))

    async def results(self, state: BatchState) -> dict[str, Outcome]:
        """What the output file and the error file say."""
        found: dict[str, Outcome] = {}
        for file in state.files:
            found.update(read_results(await self.wire.get(f"/files/{file}/content")))
        return found

    async def clean(self, state: BatchState) -> None:
        """Delete the input file. The output is left: a run that dies now reads it once more."""
        if state.input_file:
            await self.wire.delete(f"/files/{state.input_file}")
