"""The pure halves of the two batch APIs: what is sent, and what their answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.models import _batch_anthropic as anthropic
from pipeline.models import _batch_openai as openai
from pipeline.models._batch_courier import is_in_doubt
from pipeline.models._batch_entries import look_interval, shape_of
from pipeline.models._faults import CallError

OPENAI: dict[str, Any] = {"id": "batch_1", "status": "in_progress", "created_at": 1_700_000_000, "input_file_id": "f"}
COUNTS = {"processing": 0, "succeeded": 3, "errored": 1, "canceled": 1, "expired": 1}
ANTHROPIC: dict[str, Any] = {"id": "msgbatch_1", "processing_status": "ended", "created_at": "2026-01-02T03:04:05Z"}
ANTHROPIC_STATE = {"processing_status": "ended", "request_counts": COUNTS}


def test_a_line_of_openais_input_file_is_one_line_whatever_the_text_holds() -> None:
    line = openai.line("id", "/chat/completions", {"model": "m", "messages": [{"content": 'a\nb\u2028c"é'}]})
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    entry = json.loads(line)
    assert (entry["custom_id"], entry["method"], entry["url"]) == ("id", "POST", "/v1/chat/completions")
    assert entry["body"]["messages"][0]["content"] == 'a\nb\u2028c"é'


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        ("validating", False),
        ("in_progress", False),
        ("finalizing", False),
        ("cancelling", False),
        ("completed", True),
        ("expired", True),
        ("cancelled", True),
        ("failed", True),
    ],
)
def test_openais_states_are_under_way_or_ended(status: str, ended: bool) -> None:
    counts = {"total": 10, "completed": 4, "failed": 2}
    state = openai.read_state({**OPENAI, "status": status, "request_counts": counts, "output_file_id": "o"})
    assert (state.ended, state.done, state.total, state.files, state.input_file) == (ended, 6, 10, ("o",), "f")
    assert (state.problem is not None) is (status == "failed")


def test_a_full_queue_heals_and_any_other_reason_to_turn_a_batch_down_does_not() -> None:
    errors = [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}]
    full = openai.read_state({**OPENAI, "status": "failed", "errors": {"data": errors}}).problem
    assert full and full.heals and full.status == 429
    errors = [{"code": "billing_hard_limit_reached", "message": "Billing hard limit has been reached"}]
    broke = openai.read_state({**OPENAI, "status": "failed", "errors": {"data": errors}}).problem
    assert broke and not broke.heals and "billing_hard_limit_reached" in broke.message
    unsaid = openai.read_state({**OPENAI, "status": "failed", "errors": None}).problem
    assert unsaid and not unsaid.heals


def test_openais_results_are_answers_failures_and_entries_without_either() -> None:
    rows = [
        {"custom_id": "good", "response": {"status_code": 200, "body": {"choices": ["\u2028"]}}, "error": None},
        {"custom_id": "bad", "response": {"status_code": 400, "body": {"error": {"message": "no", "code": "x"}}}},
        {"custom_id": "busy", "response": {"status_code": 503, "body": None}},
        {"custom_id": "late", "response": None, "error": {"code": "batch_expired", "message": "expired"}},
        {"custom_id": "odd", "response": {"status_code": 200, "body": {"error": {"message": "overloaded"}}}},
        {"custom_id": "odder", "response": {"status_code": 200, "body": "a page"}},
        {"no": "custom_id"},
    ]
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + '\n\n{"custom_id": "cut'
    found = dict(openai.read_results(text))
    assert found.pop("good") == {"choices": ["\u2028"]}
    faults = {name: fault for name, fault in found.items() if isinstance(fault, CallError)}
    assert {name: fault.heals for name, fault in faults.items()} == {
        "bad": False, "busy": True, "late": True, "odd": True, "odder": True,
    }  # fmt: skip
    assert (faults["bad"].status, faults["bad"].code, faults["bad"].message) == (400, "x", "no")


def test_anthropics_states_are_under_way_or_ended() -> None:
    state = anthropic.read_state({**ANTHROPIC, "request_counts": COUNTS})
    assert (state.ended, state.done, state.total, state.created) == (True, 6, 6, 1767323045.0)
    processing = {**ANTHROPIC, "processing_status": "canceling", "request_counts": {**COUNTS, "processing": 4}}
    state = anthropic.read_state(processing)
    assert (state.ended, state.done, state.total) == (False, 6, 10)


def test_anthropics_results_are_answers_failures_and_entries_without_either() -> None:
    kinds = {
        "invalid_request_error": (400, False),
        "authentication_error": (401, False),
        "billing_error": (402, False),
        "rate_limit_error": (429, True),
        "api_error": (500, True),
        "overloaded_error": (529, True),
        "something_new": (500, True),
    }
    rows: list[Any] = [{"custom_id": "good", "result": {"type": "succeeded", "message": {"content": ["\x85"]}}}]
    rows += [{"custom_id": each, "result": {"type": each}} for each in ("expired", "canceled")]
    for kind in kinds:
        error = {"type": "error", "error": {"type": kind, "message": "why"}}
        rows.append({"custom_id": kind, "result": {"type": "errored", "error": error}})
    found = dict(anthropic.read_results("\n".join(json.dumps(row, ensure_ascii=False) for row in rows)))
    assert found.pop("good") == {"content": ["\x85"]}
    faults = {name: fault for name, fault in found.items() if isinstance(fault, CallError)}
    assert faults.pop("expired").heals and faults.pop("canceled").heals
    assert {name: (fault.status, fault.heals) for name, fault in faults.items()} == kinds


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"id": 1},
        {"id": "x", "status": None},
        {**OPENAI, "id": "..", **ANTHROPIC_STATE},
        {**OPENAI, **ANTHROPIC_STATE, "id": "a/../../secrets"},
    ],
)
def test_an_answer_that_is_no_batch_heals(answer: dict[str, Any]) -> None:
    for read in (openai.read_state, anthropic.read_state):
        with pytest.raises(CallError) as caught:
            read(answer)
        assert caught.value.heals


def test_only_faults_that_say_nothing_leave_in_doubt_whether_a_batch_was_made() -> None:
    assert all(is_in_doubt(CallError("", status)) for status in (None, 408, 500, 502, 529, 200))
    assert not any(is_in_doubt(CallError("", status)) for status in (400, 401, 404, 413, 429))


def test_looks_get_seldom_as_a_batch_gets_old_and_as_there_are_many() -> None:
    assert [look_interval(age, 1) for age in (0, 100, 600, 3_600, 86_400)] == [5, 5, 30, 120, 120]
    assert look_interval(0, 100) == 50


def test_requests_are_alike_if_they_have_the_same_parameters_and_end_in_the_same_role() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "a"}], "temperature": 1.0}
    other = {"temperature": 0.5, "messages": [{"role": "user", "content": "b"}], "model": "m"}
    assert shape_of("/p", body) == shape_of("/p", other)
    prefilled = {**body, "messages": [*body["messages"], {"role": "assistant", "content": "-"}]}
    shapes = {
        shape_of("/p", body),
        shape_of("/q", body),
        shape_of("/p", prefilled),
        shape_of("/p", {**body, "stop": 1}),
    }
    assert len(shapes) == 4
