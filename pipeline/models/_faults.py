"""When an API fails: what the failure was, whether it heals, how long to wait, and what to tell the user.

    SDK exception ──as_call_error──> CallError ──retrying──> another try
                                       └──as_model_error──> ModelError or ModelUnavailable

The one retry policy of the API providers stands here; the SDKs' own retries are switched off.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import math
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import tenacity

from pipeline.errors import ModelError, ModelUnavailable
from pipeline.models._redaction import redaction

_HEALS = {408, 409, 429}
_NO_CREDIT = re.compile(
    r"insufficient_quota|insufficient_credits|credit balance|billing|exceeded your current quota", re.I
)
_KEY = re.compile(r"\b(?:sk|pk|key)-[A-Za-z0-9_*.-]{6,}")
_REFUSES = re.compile(
    r"unsupported|unrecogni[sz]ed|unknown|deprecated|not (?:\w+ )?(?:supported|allowed|permitted|available)"
    r"|(?:does|do) ?(?:not|n't) support|cannot both|extra inputs",
    re.I,
)
_UNSUPPORTED = re.compile(r"\b(?:un)?supported\b|\bnot support\b", re.I)
_PASSES = re.compile(r"rate.?limit|overload|time.?out|temporar|unavailable|internal|capacity|try again", re.I)
_LONGEST_MESSAGE = 300
_MOST_BROKEN_ANSWERS, _MOST_BROKEN_AT_FIRST = 10, 5
"""Answers to one call that cannot be read, each of which may cost money; fewer where no answer ever could be read."""


@dataclass(frozen=True)
class Policy:
    """How hard and how fast an API is asked. Times are in seconds."""

    concurrency: int = 100
    """Most requests in flight at once; how many there are is found out (`_admission.py`)."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Of both prompts and answers. None: as much as the server takes."""
    request_seconds: float = 120.0
    """Longest wait for one answer."""
    total_seconds: float = 600.0
    """Longest time spent on one request, all its tries and the waits between them, but not its time in the queue."""
    first_contact_seconds: float = 30.0
    """The same as long as the server has not answered at all: most likely it does not run, or the URL is wrong."""
    first_wait: float = 0.5
    longest_wait: float = 30.0
    """Waits are drawn evenly from 0 to first_wait * 2^tries, at most this; a Retry-After comes on top."""
    grace_seconds: float = 10.0
    """After an error that does not heal: how long requests in flight, which are paid for, may still finish."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Replaced in tests, which do not wait."""


@dataclass
class Contact:
    """What is known of a server from what it sent."""

    reached: bool = False
    """It has answered something."""
    understood: bool = False
    """One of its answers was as it should be."""


class CallError(Exception):
    """One failed try; `status` is None where no HTTP answer came."""

    def __init__(
        self,
        message: str,
        status: int | None = None,
        code: str = "",
        retry_after: float = 0.0,
        heals: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.seconds = 0.0
        """How long the try took."""
        self.body: dict[str, Any] = {}
        """What was sent."""
        self.heals = _heals(status, f"{code} {message}") if heals is None else heals

    @property
    def refuses(self) -> bool:
        """Whether the server turned down the form of the request rather than failed."""
        return self.status in {400, 422} or (self.status is not None and self.status >= 500 and not self.heals)

    @property
    def kind(self) -> str:
        """What went wrong, for a count: a status such as "429", "timeout", "connection" or "broken answer"."""
        if self.status is None:
            return "timeout" if self.code == "timeout" else "connection"
        return "broken answer" if self.status == 200 else str(self.status)

    @property
    def asks_for_less(self) -> bool:
        """Whether the server gets more requests than it wants: it says so, or does not answer in time."""
        return self.heals and (self.status in {429, 503, 529} or self.kind == "timeout")


def _heals(status: int | None, text: str) -> bool:
    if status == 429:
        return not _NO_CREDIT.search(text)
    # Some servers answer 500 to a parameter that they do not know, and would do so for ever.
    return status is None or status in _HEALS or (status >= 500 and status != 501 and not _UNSUPPORTED.search(text))


def as_call_error(error: Any) -> CallError:
    """The `APIError` of the openai or anthropic SDK as a CallError, without the request, which carries the key."""
    status = getattr(error, "status_code", None)
    if status is None:
        timed_out = type(error).__name__ == "APITimeoutError"
        # The SDK says "Connection error."; what it was (refused, no such name, a certificate) stands in the cause.
        cause = "" if timed_out else str(error.__cause__ or "")
        return CallError(cause or str(error) or "connection error", code="timeout" if timed_out else "")
    message, code = message_in(error.body, str(error.message))
    headers = error.response.headers
    asked = {"true": True, "false": False}.get(headers.get("x-should-retry", ""))
    without_credit = status == 429 and _NO_CREDIT.search(f"{code} {message}")
    return CallError(message, status, code, _retry_after(headers), heals=False if without_credit else asked)


def read_object(text: Any) -> dict[str, Any]:
    """The JSON object in the body of a 200. Raises a CallError that heals on anything else, or the error it holds."""
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        raise CallError(f"the answer is not JSON but {str(text)[:80]!r}", 200, heals=True) from None
    if not isinstance(value, dict):
        raise CallError(f"the answer is not a JSON object but {str(text)[:80]!r}", 200, heals=True)
    if error := value.get("error"):
        message, code = message_in(value, str(error))
        status = int(code) if code.isdigit() and 400 <= int(code) < 600 else None
        heals = None if status else bool(_PASSES.search(f"{code} {message}"))
        raise CallError(f"an answer with status 200 holds an error: {message}", status or 200, code, heals=heals)
    return value


def message_in(body: Any, fallback: str) -> tuple[str, str]:
    """Message and code of the error in a body, as both APIs send it; `fallback` and "" where there is none."""
    inner = body.get("error", body) if isinstance(body, Mapping) else None
    if not isinstance(inner, Mapping):
        return (inner if isinstance(inner, str) else fallback), ""
    code = inner.get("code") or inner.get("type") or ""
    return str(inner.get("message") or fallback), str(code)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks to wait; 0 where it does not say."""
    if milliseconds := headers.get("retry-after-ms"):
        return _seconds(milliseconds) / 1000
    text = headers.get("retry-after", "")
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return _seconds(text)
    return max(0.0, date.timestamp() - time.time())


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and value > 0 else 0.0


def retrying(
    policy: Policy,
    sleep: Callable[[float], Awaitable[None]],
    contact: Contact,
    note: Callable[[float, CallError], None],
) -> tenacity.AsyncRetrying:
    """The retry policy for one call: only faults that heal, with jitter and a limit on the total time.

    A Retry-After counts as time spent, but it is the admission that waits for it, since it concerns every request.
    `note` hears of the seconds of every wait.
    """
    spent, broken = 0.0, 0

    def fault(state: tenacity.RetryCallState) -> CallError:
        error = state.outcome.exception() if state.outcome else None
        assert isinstance(error, CallError)
        return error

    def out_of_time(state: tenacity.RetryCallState) -> bool:
        nonlocal spent, broken
        error = fault(state)
        spent += error.seconds + error.retry_after
        broken += error.status == 200
        if broken >= (_MOST_BROKEN_ANSWERS if contact.understood else _MOST_BROKEN_AT_FIRST):
            return True
        connecting = error.status is None and error.code != "timeout" and not contact.reached
        limit = policy.first_contact_seconds if connecting else policy.total_seconds
        return spent + state.idle_for + state.upcoming_sleep > limit

    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, CallError) and error.heals),
        wait=tenacity.wait_random_exponential(multiplier=policy.first_wait, max=policy.longest_wait),
        stop=out_of_time,
        sleep=sleep,
        before_sleep=lambda state: note(state.upcoming_sleep + fault(state).retry_after, fault(state)),
        reraise=True,
    )


def refused_parameter(message: str, names: Iterable[str]) -> str | None:
    """The first of the request's parameters that a 400 says this model does not take, or None.

    Servers say it in their own words: "`temperature` is deprecated for this model", "Unsupported value:
    'reasoning_effort' does not support 'none' with this model", "You are not allowed to request logprobs".
    """
    if not _REFUSES.search(message):
        return None
    found = ((re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message), name) for name in names)
    places = [(match.start(), name) for match, name in found if match]
    return min(places)[1] if places else None


def as_model_error(fault: CallError, model: str, key_variable: str, secret: str) -> ModelError:
    """What the user is told: model, status, the server's own words without the key, and what to do."""
    said = f"{fault.status or 'no answer'}: {scrub(fault.message, secret)}"
    text = f"{fault.code} {fault.message}"
    if fault.status == 401:
        return ModelUnavailable(
            f"{model}: the server does not take the key in {key_variable} ({said}). Check that variable."
        )
    if fault.status == 402 or (fault.status in {400, 403, 429} and _NO_CREDIT.search(text)):
        return ModelUnavailable(
            f"{model}: the account has no credit left ({said}). What was answered so far is stored."
        )
    if fault.status == 403:
        return ModelUnavailable(f"{model}: the key in {key_variable} may not use it ({said}).")
    if fault.status == 404:
        return ModelUnavailable(
            f"{model}: the server does not know it ({said}). Check the model's name and the base URL."
        )
    if fault.status is None:
        return ModelUnavailable(f"{model}: the server cannot be reached ({said}). Check the network and the base URL.")
    return ModelError(
        f"{model}: the server failed ({said}). What was answered so far is stored; the same command goes on."
    )


def scrub(text: str, secret: str) -> str:
    """One printable line of at most 300 characters without the secrets (one a line) or anything that looks like one."""
    text = redaction(secret).hide(text)
    text = " ".join("".join(c if c.isprintable() else " " for c in _KEY.sub("***", text)).split())
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"
